/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subscriber over server-sent events. The answer ends with its connection, and is not chunked: so the
 * bytes of an event are the same for everybody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "topic/subscriber_state.h"

enum {
    EVENT_STACK = 1024,       /* bytes of an event that needs no memory of its own */
    AROUND = 16 + 64 + 8 + 4, /* and of what stands around its JSON: id, data, line ends */
};

static void
op_free(struct subscriber *subscriber)
{
    free(subscriber);
}

/* ---- to the client ---- */

static void
op_event(struct subscriber *subscriber, const char *json, size_t len, const char *id)
{
    char stack[EVENT_STACK + AROUND], *room = stack;
    size_t at = 0;

    if (len > EVENT_STACK)
        room = malloc(len + AROUND);
    if (room == NULL) {
        subscriber->fault = 1011;
        return;
    }
    if (id != NULL)
        at = (size_t)sprintf(room, "id: %s\n", id);
    at += (size_t)sprintf(room + at, "data: ");
    memcpy(room + at, json, len);
    memcpy(room + at + len, "\n\n", 2);
    stream_write(subscriber->stream, room, at + len + 2);
    if (room != stack)
        free(room);
}

/* No event: there is nothing for a page to look at. */
static void
op_cursor(struct subscriber *subscriber, const char *id)
{
    char text[AROUND];

    stream_write(subscriber->stream, text, (size_t)sprintf(text, "id: %s\n\n", id));
}

static void
op_goodbye(struct subscriber *subscriber, uint16_t code, const char *reason)
{
    subscriber_end(subscriber, true, ENDER_CULVERT, code, reason);
}

/* ---- time ---- */

static double
cursor_due(const struct subscriber *subscriber)
{
    double heartbeat = subscriber->route->heartbeat;

    return heartbeat == 0 ? 0 : subscriber->told + heartbeat;
}

static double
op_look(struct subscriber *subscriber)
{
    double timeout = subscriber->route->write_timeout, cursor = cursor_due(subscriber);
    double now = loop_now(subscriber->loop);
    double due = stream_write_due(subscriber->stream, timeout);

    if (due != 0 && now + 0.001 >= due && stream_takes_nothing(subscriber->stream, timeout)) {
        subscriber_end(subscriber, false, ENDER_CULVERT, 1013, "client takes no data");
        return 0;
    }
    if (cursor != 0 && now + 0.001 >= cursor)
        subscriber_send_cursor(subscriber);
    return timer_sooner(stream_write_due(subscriber->stream, timeout), cursor_due(subscriber));
}

static void
op_progress(struct subscriber *subscriber)
{
    (void)subscriber;
}

/* ---- from the client ---- */

/* Nothing is expected; it is read to learn that the client has gone. */
static void
on_readable(struct stream_owner *owner)
{
    struct subscriber *subscriber = container_of(owner, struct subscriber, stream_owner);
    ssize_t n = stream_read(subscriber->stream, loop_scratch(subscriber->loop), LOOP_SCRATCH);

    if (n <= 0 && n != STREAM_AGAIN)
        subscriber_end(subscriber, false, ENDER_CLIENT, 1006,
                       n == STREAM_END ? "" : stream_why(subscriber->stream));
}

static void
on_progress(struct stream_owner *owner)
{
    subscriber_progress(container_of(owner, struct subscriber, stream_owner));
}

/* ---- making one ---- */

static struct subscriber *
make(const struct subscriber_options *options)
{
    static const struct stream_events events = {on_readable, on_progress};
    static const struct subscriber_kind kind = {METRICS_SSE, op_event, op_cursor, op_goodbye,
                                                op_progress, op_look,  op_free};
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);
    bool raw = options->route->payload == CONF_PAYLOAD_RAW;

    if (subscriber == NULL)
        return NULL;
    subscriber->stream_owner.events = &events;
    subscriber->events = !raw;
    subscriber->form = raw ? TOPIC_FORM_EVENT_RAW : TOPIC_FORM_EVENT;
    subscriber->form_retained = raw ? TOPIC_FORM_EVENT_RAW_RETAINED : TOPIC_FORM_EVENT_RETAINED;
    subscriber_init(subscriber, &kind, options);
    return subscriber;
}

struct subscriber *
subscriber_sse_open(const struct subscriber_options *options)
{
    struct subscriber *subscriber = make(options);
    struct exchange_taken taken;
    char lines[512];

    if (subscriber == NULL || subscriber_subscribe(subscriber, options->filters, options->n_filters,
                                                   options->since) != NULL) {
        exchange_lacks_memory(options->exchange);
        if (subscriber != NULL)
            subscriber_discard(subscriber);
        return NULL;
    }
    snprintf(lines, sizeof lines, "Content-Type: text/event-stream\r\n%s", options->headers);
    exchange_frame_by_end(options->exchange);
    exchange_begin(options->exchange, 200, lines, -1);
    exchange_take(options->exchange, &subscriber->stream_owner, &taken);
    free(taken.early); /* whoever pipelines behind this waits for ever */
    subscriber->stream = taken.stream;
    stream_want_read(subscriber->stream, true);
    if (taken.ended)
        subscriber_end(subscriber, false, ENDER_CLIENT, 1006, "");
    else
        subscriber_begin(subscriber);
    return subscriber;
}
