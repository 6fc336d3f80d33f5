/* SPDX-License-Identifier: BSD-2-Clause */
/* A session down by long polls, each of which acknowledges what the one before brought, and up by POST. */
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "session.h"

static void
poll(struct session *session)
{
    char path[256], headers[256];
    uint8_t ack[FRAME_HEADER];

    session_ack(session, ack); /* the query tells it */
    snprintf(path, sizeof path, "%s?ack=%lu&n=%lu", session->crowd->wire.path, session->received,
             ++session->attaches);
    snprintf(headers, sizeof headers, "%sAccept: application/vnd.culvert.v1\r\n",
             uplink_header(session));
    http_request(&session->http, "GET", path, headers, NULL, 0);
}

static void
on_open(struct http *http)
{
    struct session *session = container_of(http, struct session, http);

    poll(session);
    session_is_ready(session);
}

static void
on_body(struct http *http, uint8_t *data, size_t len)
{
    session_keep(container_of(http, struct session, http), data, len);
}

static void
on_done(struct http *http)
{
    struct session *session = container_of(http, struct session, http);
    struct frame frame;
    size_t at = 0;
    ssize_t n;

    if (session->leaving)
        return;
    if (http->answer.status != 200 && http->answer.status != 204)
        fail("a poll was refused");
    while ((n = frame_from_body(session->kept + at, session->kept_len - at, &frame)) > 0) {
        session_take(session, &frame);
        at += (size_t)n;
    }
    if (at != session->kept_len)
        fail("the answer of a poll is no frames");
    session->kept_len = 0;
    if (http->link.wire.fd >= 0)
        poll(session);
}

static void
on_ended(struct http *http)
{
    if (!container_of(http, struct session, http)->leaving)
        fail("the server ended a connection");
}

static void
opened(struct session *session)
{
    http_open(&session->http);
}

static void
start(struct session *session)
{
    static const struct http_events events = {
        .open = on_open, .body = on_body, .done = on_done, .ended = on_ended};

    http_init(&session->http, session->crowd, &events);
    uplink_start(&session->up, session, false, opened);
}

static void
send(struct session *session, uint64_t count)
{
    uplink_send(&session->up, count);
}

static void
tell(struct session *session)
{
    (void)session; /* the next poll does */
}

static void
drop(struct session *session)
{
    http_close(&session->http);
    uplink_close(&session->up);
}

static void
rest(struct session *session)
{
    uplink_rest(&session->up);
}

static void
leave(struct session *session)
{
    uplink_leave(&session->up);
}

static void
traffic(const struct session *session, struct traffic *down, struct traffic *up)
{
    traffic_add(down, session->http.link.wire.fd);
    traffic_add(up, session->up.http.link.wire.fd);
}

const struct transport over_poll = {start, send, tell, drop, rest, leave, traffic};
