/* SPDX-License-Identifier: BSD-2-Clause */
#include "feed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "lines.h"

#define RETRY 200000000ull /* ns, as the servers here ask for */

/* Channels are this process's own: what an earlier one left in them is none of its lines. */
static const char *
path_of(const struct feed *feed, const char *path)
{
    static char numbered[256];

    if (feed->crowd->publish == NULL)
        return path;
    snprintf(numbered, sizeof numbered, "%s%d-%u", path, (int)getpid(), feed->number);
    return numbered;
}

/* ---- lines that come ---- */

static void
is_open(struct feed *feed)
{
    if (!feed->was_open)
        feed->crowd->n_open++;
    feed->was_open = true;
}

static void
take_line(struct feed *feed, const char *text, size_t len)
{
    if (len > 2 && text[0] == '"') { /* a JSON string, of what JSON does not escape */
        text++;
        len -= 2;
    }
    if (!lines_is(text, len, ++feed->received))
        fail("a line is not the next one");
    feed->crowd->units++;
}

static void
on_event(struct eventstream *stream)
{
    struct feed *feed = container_of(stream, struct feed, events);

    if (stream->name[0] == '\0' || strcmp(stream->name, "text") == 0)
        take_line(feed, (const char *)stream->data, stream->data_len);
    else if (strcmp(stream->name, "open") != 0 && strcmp(stream->name, "ping") != 0 &&
             strcmp(stream->name, "ack") != 0)
        fail("an event that nobody expects");
}

/* ---- the connection that leads down ---- */

static void
ask(struct feed *feed)
{
    const char *path = path_of(feed, feed->crowd->wire.path);
    char headers[512] = "";

    if (feed->kind == FEED_EVENTSOURCE) {
        int n = snprintf(headers, sizeof headers, "Accept: text/event-stream\r\n");

        if (feed->events.id[0] != '\0')
            snprintf(headers + n, sizeof headers - (size_t)n, "Last-Event-ID: %s\r\n",
                     feed->events.id);
    } else if (feed->modified[0] != '\0') {
        snprintf(headers, sizeof headers, "If-Modified-Since: %s\r\nIf-None-Match: %s\r\n",
                 feed->modified, feed->etag);
    }
    http_request(&feed->http, "GET", path, headers, NULL, 0);
}

static void
on_open(struct http *http)
{
    struct feed *feed = container_of(http, struct feed, http);

    ask(feed);
    if (feed->kind == FEED_LONGPOLL)
        is_open(feed);
}

static void
on_head(struct http *http)
{
    struct feed *feed = container_of(http, struct feed, http);

    if (http->answer.status != 200)
        fail("a stream or a poll was refused");
    is_open(feed);
}

static void
on_body(struct http *http, uint8_t *data, size_t len)
{
    struct feed *feed = container_of(http, struct feed, http);

    if (feed->kind == FEED_EVENTSOURCE) {
        eventstream_take(&feed->events, data, len);
        return;
    }
    if (feed->body_len + len > sizeof feed->body)
        fail("a poll's answer is too long");
    memcpy(feed->body + feed->body_len, data, len);
    feed->body_len += len;
}

static void
on_done(struct http *http)
{
    struct feed *feed = container_of(http, struct feed, http);

    if (feed->kind == FEED_EVENTSOURCE) {
        feed->back_at = now_ns() + RETRY;
        return;
    }
    take_line(feed, feed->body, feed->body_len);
    feed->body_len = 0;
    memcpy(feed->etag, http->answer.etag, sizeof feed->etag);
    memcpy(feed->modified, http->answer.modified, sizeof feed->modified);
    ask(feed);
}

/* ---- the publisher ---- */

/* An event's id is SESSION.N. */
static void
delete_session(struct feed *feed)
{
    char header[256];

    snprintf(header, sizeof header, "Culvert-Session: %.*s\r\n", (int)strcspn(feed->events.id, "."),
             feed->events.id);
    http_request(&feed->publisher, "DELETE", feed->crowd->wire.path, header, NULL, 0);
}

static void
on_publisher_open(struct http *http)
{
    struct feed *feed = container_of(http, struct feed, publisher);

    if (feed->leaving)
        delete_session(feed);
    else if (feed->kind == FEED_NONE)
        is_open(feed);
    /* Else the next tick publishes. */
}

static void
on_publisher_body(struct http *http, uint8_t *data, size_t len)
{
    (void)http;
    (void)data;
    (void)len;
}

static void
on_published(struct http *http)
{
    struct feed *feed = container_of(http, struct feed, publisher);

    if (http->answer.status / 100 != 2)
        fail("a line was not taken");
    if (feed->leaving)
        feed->crowd->n_left++;
    else if (feed->kind == FEED_NONE)
        feed->crowd->units++;
}

static void
publish(struct feed *feed)
{
    char line[LINE_LEN];

    if (http_is_busy(&feed->publisher))
        return;
    lines_make(line, ++feed->published);
    http_request(&feed->publisher, "POST", path_of(feed, feed->crowd->publish),
                 "Content-Type: text/plain\r\n", line, LINE_LEN - 1);
}

/* ---- beginning ---- */

void
feed_start(struct feed *feed, struct crowd *crowd, enum feed_kind kind, unsigned number)
{
    static const struct http_events events = {
        .open = on_open, .head = on_head, .body = on_body, .done = on_done};
    static const struct http_events publisher = {
        .open = on_publisher_open, .body = on_publisher_body, .done = on_published};

    memset(feed, 0, sizeof *feed);
    feed->crowd = crowd;
    feed->kind = kind;
    feed->number = number;
    eventstream_init(&feed->events, on_event);
    http_init(&feed->http, crowd, &events);
    if (kind != FEED_NONE)
        http_open(&feed->http);
    http_init(&feed->publisher, crowd, &publisher);
    if (crowd->publish != NULL)
        http_open(&feed->publisher);
}

void
feed_tick(struct feed *feed, uint64_t now)
{
    if (feed->leaving)
        return;
    if (feed->publisher.link.is_open && feed->crowd->started)
        publish(feed);
    if (feed->back_at != 0 && now >= feed->back_at) {
        feed->back_at = 0;
        ask(feed);
    }
}

void
feed_leave(struct feed *feed)
{
    bool has_session = feed->crowd->publish == NULL && strchr(feed->events.id, '.') != NULL;

    feed->leaving = true;
    http_close(&feed->http);
    if (has_session)
        http_open(&feed->publisher);
    else
        feed->crowd->n_left++;
}

void
feed_traffic(const struct feed *feed, struct traffic *down, struct traffic *up)
{
    traffic_add(down, feed->http.link.wire.fd);
    traffic_add(up, feed->publisher.link.wire.fd);
}
