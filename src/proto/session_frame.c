/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/session_frame.h"

#include <assert.h>
#include <string.h>

#include "proto/utf8.h"
#include "proto/ws_frame.h"

/* ---- reading ---- */

/* Skips a number at the front. */
static const char *
read_seq(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    size_t n = varint_decode(bytes, len, &frame->seq);

    frame->data = bytes + n;
    frame->len = len - n;
    return n > 0 ? NULL : "a frame ends inside its number";
}

static const char *
read_message(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    const char *why = read_seq(bytes, len, frame);

    if (why == NULL && frame->seq == 0)
        why = "messages are numbered from 1";
    return why;
}

static const char *
read_ack(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    const char *why = read_seq(bytes, len, frame);

    if (why == NULL && frame->len > 0)
        why = "an ACK with bytes behind its number";
    return why;
}

/* The same codes as in a WebSocket's Close, but that there has to be one. */
static const char *
read_close(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    const char *reason;
    uint16_t fault;

    if (len < 2 || len > 2 + SESSION_REASON_MAX)
        return "a CLOSE of a wrong length";
    fault = ws_close_parse(bytes, len, &frame->code, &reason, &frame->len);
    frame->data = bytes + 2;
    if (fault == 1007)
        return "a CLOSE whose reason is not UTF-8";
    return fault == 0 ? NULL : "a CLOSE with an invalid code";
}

static const char *
read_ping(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    frame->data = bytes;
    frame->len = len;
    return len <= SESSION_PING_MAX ? NULL : "a PING or PONG of more than 125 bytes";
}

const char *
session_frame_read(uint8_t *bytes, size_t len, struct session_frame *frame)
{
    memset(frame, 0, sizeof *frame);
    if (len == 0)
        return "an empty frame";
    frame->type = (enum session_frame_type)bytes[0];
    if (bytes[0] >= SESSION_IGNORED)
        return NULL;
    switch (frame->type) {
    case SESSION_BINARY:
    case SESSION_TEXT:
        return read_message(bytes + 1, len - 1, frame);
    case SESSION_ACK:
        return read_ack(bytes + 1, len - 1, frame);
    case SESSION_CLOSE:
        return read_close(bytes + 1, len - 1, frame);
    case SESSION_PING:
    case SESSION_PONG:
        return read_ping(bytes + 1, len - 1, frame);
    case SESSION_OPEN:
        return "OPEN is the server's";
    default:
        return "a frame of an unknown type";
    }
}

/* ---- writing ---- */

size_t
session_frame_before(uint8_t *bytes, enum session_frame_type type, uint64_t seq)
{
    size_t n = varint_len(seq);

    varint_encode(bytes - n, seq);
    bytes[-(ptrdiff_t)n - 1] = (uint8_t)type;
    return n + 1;
}

size_t
session_frame_ack(uint8_t *out, uint64_t seq)
{
    out[0] = SESSION_ACK;
    return 1 + varint_encode(out + 1, seq);
}

_Static_assert((int)SESSION_REASON_MAX == (int)WS_CONTROL_MAX - 2, "reasons are WebSocket's");

size_t
session_frame_close(uint8_t *out, uint16_t code, const char *reason)
{
    out[0] = SESSION_CLOSE;
    return 1 + ws_close_build(out + 1, code, reason);
}

size_t
session_frame_ping(uint8_t *out, enum session_frame_type type, const void *payload, size_t len)
{
    assert(len <= SESSION_PING_MAX);
    out[0] = (uint8_t)type;
    memcpy(out + 1, payload, len);
    return 1 + len;
}

/* ---- bodies ---- */

/* Puts the length before a frame. */
static size_t
put(uint8_t *out, const uint8_t *frame, size_t len)
{
    size_t n = varint_encode(out, len);

    memcpy(out + n, frame, len);
    return n + len;
}

size_t
session_body_ack(uint8_t *out, uint64_t seq)
{
    uint8_t frame[SESSION_CONTROL_MAX];
    size_t len = session_frame_ack(frame, seq);

    return put(out, frame, len);
}

size_t
session_body_close(uint8_t *out, uint16_t code, const char *reason)
{
    uint8_t frame[SESSION_CONTROL_MAX];
    size_t len = session_frame_close(frame, code, reason);

    return put(out, frame, len);
}

size_t
session_body_pong(uint8_t *out, const void *payload, size_t payload_len)
{
    uint8_t frame[SESSION_CONTROL_MAX];
    size_t len = session_frame_ping(frame, SESSION_PONG, payload, payload_len);

    return put(out, frame, len);
}

void
session_body_deinit(struct session_body *body)
{
    gather_clear(&body->kept);
}

/* Takes bytes of a length. Returns how many. */
static size_t
take_length(struct session_body *body, const uint8_t *bytes, size_t len)
{
    size_t used = 0;

    while (used < len && (body->n == 0 || body->n < varint_len_of(body->length[0])))
        body->length[body->n++] = bytes[used++];
    if (varint_decode(body->length, body->n, &body->left) > 0) {
        body->n = 0;
        body->in_frame = true;
    }
    return used;
}

/* Of a frame that did not lie whole in what came at once. */
static enum session_body_result
collect(struct session_body *body, const uint8_t *bytes, size_t len, size_t *used, uint8_t **frame,
        size_t *frame_len)
{
    size_t n = body->left < len ? (size_t)body->left : len;

    if (n > 0 && gather_add(&body->kept, bytes, n) != 0)
        return SESSION_BODY_NO_MEMORY;
    body->left -= n;
    *used += n;
    if (body->left > 0)
        return SESSION_BODY_MORE;
    body->in_frame = false;
    *frame = gather_data(&body->kept);
    *frame_len = gather_len(&body->kept);
    return SESSION_BODY_FRAME;
}

enum session_body_result
session_body_take(struct session_body *body, uint8_t *bytes, size_t len, size_t *used,
                  uint8_t **frame, size_t *frame_len)
{
    *used = 0;
    if (!body->in_frame) {
        gather_clear(&body->kept); /* of the one that was handed out */
        *used = take_length(body, bytes, len);
        if (!body->in_frame)
            return SESSION_BODY_MORE;
        if (body->left > body->frame_max)
            return SESSION_BODY_TOO_LONG;
    }
    if (gather_len(&body->kept) > 0 || body->left > len - *used)
        return collect(body, bytes + *used, len - *used, used, frame, frame_len);
    *frame = bytes + *used;
    *frame_len = (size_t)body->left;
    *used += *frame_len;
    body->in_frame = false;
    return SESSION_BODY_FRAME;
}
