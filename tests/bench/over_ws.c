/* SPDX-License-Identifier: BSD-2-Clause */
/* A session over a WebSocket: each binary message is one frame. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "session.h"

enum {
    SENT_AT_ONCE = 65536,
    OPCODE_BINARY = 0x2,
    FIN = 0x80,
};

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* ---- up ---- */

/* By the word: a load that takes longer for a message lets the server rest between them, and what is
 * compared would differ by that. */
static void
mask(uint8_t *data, size_t len)
{
    uint64_t word, key_word = 0;
    size_t i = 0;

    memcpy(&key_word, key, sizeof key);
    key_word |= key_word << 32;
    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        word ^= key_word;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < len; i++)
        data[i] ^= key[i % sizeof key];
}

/* A frame is written behind room for the longest header; the header goes right before it. Returns the
 * beginning. */
static uint8_t *
wrap(uint8_t *frame, size_t len)
{
    uint8_t *begin = frame - sizeof key - (len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10);
    uint16_t len16 = htobe16((uint16_t)len);
    uint64_t len64 = htobe64(len);

    begin[0] = FIN | OPCODE_BINARY;
    begin[1] = 0x80 | (uint8_t)(len < 126 ? len : len <= UINT16_MAX ? 126 : 127);
    if (len > UINT16_MAX)
        memcpy(begin + 2, &len64, sizeof len64);
    else if (len >= 126)
        memcpy(begin + 2, &len16, sizeof len16);
    memcpy(frame - sizeof key, key, sizeof key);
    mask(frame, len);
    return begin;
}

/* Writes a whole message. Returns its length. */
static size_t
put(uint8_t *out, uint8_t *frame, size_t len)
{
    uint8_t *begin = wrap(frame, len);
    size_t whole = (size_t)(frame + len - begin);

    memcpy(out, begin, whole);
    return whole;
}

static void
send(struct session *session, uint64_t count)
{
    static uint8_t block[SENT_AT_ONCE], room[SENT_AT_ONCE];
    uint8_t *frame = room + WIRE_OVERHEAD;
    size_t len = 0, header, size = session->crowd->size;

    for (; count > 0; count--) {
        if (len + size + WIRE_OVERHEAD + FRAME_HEADER > sizeof block)
            fail("more in flight than is sent at once");
        header = frame_begin(frame, FRAME_BINARY, session->sent + 1);
        session_fill(session, frame + header);
        len += put(block + len, frame, header + size);
    }
    link_send(&session->down, block, len);
}

static void
tell(struct session *session)
{
    uint8_t room[WIRE_OVERHEAD + FRAME_HEADER], *begin;
    uint8_t *frame = room + WIRE_OVERHEAD;
    size_t len = session_ack(session, frame);

    begin = wrap(frame, len);
    link_send(&session->down, begin, (size_t)(frame + len - begin));
}

static void
answer_ping(struct session *session, const struct frame *ping)
{
    uint8_t room[WIRE_OVERHEAD + 128], *begin;
    uint8_t *frame = room + WIRE_OVERHEAD;

    if (ping->len > 125)
        fail("a PING is too long");
    frame[0] = FRAME_PONG;
    memcpy(frame + 1, ping->data, ping->len);
    begin = wrap(frame, 1 + ping->len);
    link_send(&session->down, begin, (size_t)(frame + 1 + ping->len - begin));
    if (session->crowd->scenario == IDLE)
        session->crowd->units++;
}

/* ---- down ---- */

static void
take_open(struct session *session, const struct frame *frame)
{
    char json[1024];

    if (frame->len >= sizeof json)
        fail("an OPEN is too long");
    memcpy(json, frame->data, frame->len);
    json[frame->len] = '\0';
    session_opened(session, json);
    session_is_ready(session);
}

static void
take_frame(struct session *session, const uint8_t *data, size_t len)
{
    struct frame frame;

    if (frame_read(data, len, &frame) < 0)
        fail("a session's message is no frame");
    if (frame.type == FRAME_OPEN)
        take_open(session, &frame);
    else if (frame.type == FRAME_PING && !session->leaving)
        answer_ping(session, &frame);
    else
        session_take(session, &frame);
}

/* One message, if it is complete. Returns the bytes that it took, or 0. */
static size_t
take_message(struct session *session, const uint8_t *data, size_t len)
{
    size_t header, payload;
    uint16_t len16;

    if (len < 2)
        return 0;
    payload = data[1];
    header = payload < 126 ? 2 : payload == 126 ? 4 : 10;
    if (header == 10 || (data[1] & 0x80) != 0)
        fail("a frame of a length that no message here has, or masked");
    if (len < header)
        return 0;
    memcpy(&len16, data + 2, sizeof len16);
    if (header == 4)
        payload = be16toh(len16);
    if (len < header + payload)
        return 0;
    if (data[0] == (FIN | OPCODE_BINARY))
        take_frame(session, data + header, payload);
    else if (!session->leaving)
        fail("a session's WebSocket brings what is not binary");
    return header + payload;
}

static void
on_data(struct link *link, uint8_t *data, size_t len)
{
    struct session *session = container_of(link, struct session, down);
    size_t n;

    /* What comes whole, as most does, is not copied. */
    while (session->kept_len == 0 && len > 0 && link->wire.fd >= 0) {
        n = take_message(session, data, len);
        if (n == 0)
            break;
        data += n;
        len -= n;
    }
    if (len == 0 || link->wire.fd < 0)
        return;
    session_keep(session, data, len);
    while ((n = take_message(session, session->kept, session->kept_len)) > 0)
        session_used(session, n);
}

/* ---- connections ---- */

static void
on_open(struct link *link)
{
    (void)link; /* OPEN follows */
}

static void
on_ended(struct link *link)
{
    struct session *session = container_of(link, struct session, down);

    if (!session->leaving)
        fail("the server ended a connection");
    session->crowd->n_left++;
}

static void
start(struct session *session)
{
    static const struct link_events events = {on_open, on_data, on_ended};

    link_init(&session->down, session->crowd, &events);
    link_open(&session->down);
}

static void
drop(struct session *session)
{
    link_close(&session->down);
}

static void
rest(struct session *session)
{
    (void)session;
}

static void
leave(struct session *session)
{
    uint8_t frame[WIRE_OVERHEAD];

    link_send(&session->down, frame, wire_goodbye(frame));
}

static void
traffic(const struct session *session, struct traffic *down, struct traffic *up)
{
    (void)up;
    traffic_add(down, session->down.wire.fd);
}

const struct transport over_ws = {start, send, tell, drop, rest, leave, traffic};
