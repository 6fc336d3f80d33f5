/* SPDX-License-Identifier: BSD-2-Clause */
/* A session down by server-sent events and up by POST. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "session.h"

/* ---- events ---- */

static uint64_t
number_of(const struct session *session, const char *id)
{
    size_t len = strlen(session->id);

    if (strncmp(id, session->id, len) != 0 || id[len] != '.')
        fail("an event's id does not name its session");
    return strtoull(id + len + 1, NULL, 10);
}

static void
take_binary(struct session *session, struct eventstream *stream)
{
    struct frame frame = {.type = FRAME_BINARY, .data = stream->data};
    ssize_t len = base64_in_place(stream->data, stream->data_len);

    if (len < 0)
        fail("an event is not base64");
    frame.seq = number_of(session, stream->id);
    frame.len = (size_t)len;
    session_take(session, &frame);
}

/* The lines that are sent have nothing that JSON escapes. */
static void
take_text(struct session *session, const struct eventstream *stream)
{
    struct frame frame = {.type = FRAME_TEXT, .data = stream->data + 1};

    if (stream->data_len < 2 || stream->data[0] != '"' || stream->data[stream->data_len - 1] != '"')
        fail("an event is no JSON string");
    frame.seq = number_of(session, stream->id);
    frame.len = stream->data_len - 2;
    session_take(session, &frame);
}

static void
take_open(struct session *session, struct eventstream *stream)
{
    stream->data[stream->data_len] = '\0'; /* where the newline was */
    session_opened(session, (const char *)stream->data);
    uplink_start(&session->up, session, true, NULL);
    session_is_ready(session);
}

static void
on_event(struct eventstream *stream)
{
    struct session *session = container_of(stream, struct session, events);
    struct frame ack = {.type = FRAME_ACK};

    if (strcmp(stream->name, "binary") == 0) {
        take_binary(session, stream);
    } else if (strcmp(stream->name, "text") == 0) {
        take_text(session, stream);
    } else if (strcmp(stream->name, "ack") == 0) {
        stream->data[stream->data_len] = '\0';
        ack.seq = strtoull((const char *)stream->data, NULL, 10);
        session_take(session, &ack);
    } else if (strcmp(stream->name, "open") == 0) {
        take_open(session, stream);
    } else if (strcmp(stream->name, "ping") != 0 && !session->leaving) {
        fail("an event that ends a session");
    }
}

/* ---- connections ---- */

static void
on_open(struct http *http)
{
    struct session *session = container_of(http, struct session, http);

    http_request(http, "GET", session->crowd->wire.path, "Accept: text/event-stream\r\n", NULL, 0);
}

static void
on_head(struct http *http)
{
    if (http->answer.status != 200)
        fail("an event stream was refused");
}

static void
on_body(struct http *http, uint8_t *data, size_t len)
{
    struct session *session = container_of(http, struct session, http);

    eventstream_take(&session->events, data, len);
}

static void
on_done(struct http *http)
{
    struct session *session = container_of(http, struct session, http);

    if (!session->leaving)
        fail("an event stream ended");
}

static void
on_ended(struct http *http)
{
    on_done(http);
}

static void
start(struct session *session)
{
    static const struct http_events events = {
        .open = on_open, .head = on_head, .body = on_body, .done = on_done, .ended = on_ended};

    eventstream_init(&session->events, on_event);
    http_init(&session->http, session->crowd, &events);
    http_open(&session->http);
}

static void
send(struct session *session, uint64_t count)
{
    uplink_send(&session->up, count);
}

static void
tell(struct session *session)
{
    uplink_tell(&session->up);
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

const struct transport over_sse = {start, send, tell, drop, rest, leave, traffic};
