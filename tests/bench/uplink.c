/* SPDX-License-Identifier: BSD-2-Clause */
#include "uplink.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "session.h"

#define MEDIA_TYPE "application/vnd.culvert.v1"

enum {
    BODY_MAX = 32768,
    LENGTHS = 2 * VARINT_MAX,
};

/* ---- requests ---- */

const char *
uplink_header(const struct session *session)
{
    static char line[128];

    snprintf(line, sizeof line, "Culvert-Session: %s\r\n", session->id);
    return line;
}

/* Puts the length before a frame; returns what both are. */
static size_t
put(uint8_t *out, const uint8_t *frame, size_t len)
{
    size_t n = varint_write(out, len);

    memcpy(out + n, frame, len);
    return n + len;
}

static size_t
put_messages(struct uplink *up, uint8_t *out)
{
    static uint8_t frame[BODY_MAX];
    struct session *session = up->session;
    size_t size = session->crowd->size, len = 0, header;

    while (up->waiting > 0 && len + size + FRAME_HEADER + LENGTHS < BODY_MAX) {
        header = frame_begin(frame, FRAME_BINARY, session->sent + 1);
        session_fill(session, frame + header);
        len += put(out + len, frame, header + size);
        up->waiting--;
    }
    return len;
}

static void
post(struct uplink *up)
{
    static uint8_t body[BODY_MAX + LENGTHS];
    struct session *session = up->session;
    uint8_t ack[FRAME_HEADER];
    char headers[256];
    size_t len = 0;

    if (up->http.link.wire.fd < 0)
        fail("a connection for POST has ended");
    if (!up->http.link.is_open || http_is_busy(&up->http))
        return;
    if (up->waiting == 0 && !up->ack_waits) {
        if (up->rests)
            http_close(&up->http);
        return;
    }
    if (up->ack_waits) {
        len = session_ack(session, ack);
        len = put(body, ack, len);
        up->ack_waits = false;
    }
    len += put_messages(up, body + len);
    snprintf(headers, sizeof headers, "%sContent-Type: " MEDIA_TYPE "\r\n", uplink_header(session));
    http_request(&up->http, "POST", session->crowd->wire.path, headers, body, len);
}

void
uplink_send(struct uplink *up, uint64_t count)
{
    up->waiting += count;
    post(up);
}

void
uplink_tell(struct uplink *up)
{
    if (!up->acks)
        return;
    up->ack_waits = true;
    post(up);
}

void
uplink_rest(struct uplink *up)
{
    up->rests = true;
    up->ack_waits = up->acks;
    post(up);
}

void
uplink_leave(struct uplink *up)
{
    if (up->http.link.is_open && !http_is_busy(&up->http))
        http_request(&up->http, "DELETE", up->session->crowd->wire.path, uplink_header(up->session),
                     NULL, 0);
}

/* ---- answers ---- */

static void
take_frames(struct uplink *up)
{
    struct frame frame;
    size_t at = 0;
    ssize_t n;

    while ((n = frame_from_body(up->answer + at, up->answer_len - at, &frame)) > 0) {
        if (frame.type != FRAME_ACK)
            fail("the answer of a POST holds more than an ACK");
        session_take(up->session, &frame);
        at += (size_t)n;
    }
    if (at != up->answer_len || at == 0)
        fail("the answer of a POST is no frames");
}

static void
on_open(struct http *http)
{
    struct uplink *up = container_of(http, struct uplink, http);

    if (up->opened != NULL && up->session->id[0] == '\0')
        http_request(http, "POST", up->session->crowd->wire.path, "", "", 0);
    else
        post(up);
}

static void
on_body(struct http *http, uint8_t *data, size_t len)
{
    struct uplink *up = container_of(http, struct uplink, http);

    if (up->answer_len + len >= sizeof up->answer)
        fail("the answer of a POST is too long");
    memcpy(up->answer + up->answer_len, data, len);
    up->answer_len += len;
}

static void
on_done(struct http *http)
{
    struct uplink *up = container_of(http, struct uplink, http);
    struct session *session = up->session;

    if (http->answer.status == 204 && session->leaving) {
        session->crowd->n_left++;
        return;
    }
    if (http->answer.status == 201 && session->id[0] == '\0') {
        up->answer[up->answer_len] = '\0';
        session_opened(session, (const char *)up->answer);
        up->answer_len = 0;
        up->opened(session);
        return;
    }
    if (http->answer.status != 200)
        fail("a POST was refused");
    take_frames(up);
    up->answer_len = 0;
    if (session->leaving)
        uplink_leave(up);
    else
        post(up);
}

static void
on_ended(struct http *http)
{
    (void)http; /* nothing was asked of it for long */
}

void
uplink_start(struct uplink *up, struct session *session, bool acks,
             void (*opened)(struct session *session))
{
    static const struct http_events events = {
        .open = on_open, .body = on_body, .done = on_done, .ended = on_ended};

    up->session = session;
    up->acks = acks;
    up->opened = opened;
    http_init(&up->http, session->crowd, &events);
    http_open(&up->http);
}

void
uplink_close(struct uplink *up)
{
    http_close(&up->http);
}
