/* SPDX-License-Identifier: BSD-2-Clause */
#include "audience.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "client.h"
#include "packets.h"

enum {
    SCRATCH = 65536,
    REQUEST = 512,
};

enum subscribing {
    SUBSCRIBE_CONNECTING,
    SUBSCRIBE_ASKED,
    SUBSCRIBE_READY,
};

struct subscriber {
    struct handler handler;
    struct audience *audience;
    struct wire wire;
    enum subscribing state;
    uint8_t before; /* the last byte of what was read */
    uint8_t next;   /* the letter that is to come */
    unsigned got;   /* of this round */
    /* LISTEN_POLL */
    struct poll_place *place;
    char *kept; /* of an answer that is not complete */
    size_t kept_len;
};

void
audience_message(char *out, size_t len, uint64_t number)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + i % LETTERS);
    out[len - 2] = (char)('a' + number % LETTERS);
    out[len - 1] = MARK;
}

/* ---- messages ---- */

static void
note_latency(struct audience *audience, uint64_t now)
{
    uint64_t took = now - audience->began;

    if (audience->n_latencies < audience->max_latencies)
        audience->latencies[audience->n_latencies++] =
            took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
}

static void
take_message(struct subscriber *subscriber, uint8_t letter, uint64_t now)
{
    struct audience *audience = subscriber->audience;

    if (letter < 'a' || letter > 'z')
        return; /* a byte of a length */
    audience->delivered++;
    note_latency(audience, now);
    if (audience->ordered && letter != subscriber->next)
        audience->odd++;
    subscriber->next = letter == 'z' ? 'a' : (uint8_t)(letter + 1);
    if (++subscriber->got != audience->due)
        return;
    audience->last = now;
    audience->n_done++;
}

static void
take_text(struct subscriber *subscriber, const uint8_t *data, size_t len)
{
    const uint8_t *mark = data, *end = data + len;
    uint64_t now = now_ns();

    for (; mark < end && (mark = memchr(mark, MARK, (size_t)(end - mark))) != NULL; mark++)
        take_message(subscriber, mark > data ? mark[-1] : subscriber->before, now);
    if (len > 0)
        subscriber->before = end[-1];
}

/* ---- subscribing ---- */

static void
send_all(struct subscriber *subscriber, const void *data, size_t len)
{
    if (wire_send(&subscriber->wire, data, len) != (ssize_t)len)
        fail("a subscriber's connection does not take what is sent");
}

static void
be_ready(struct subscriber *subscriber)
{
    subscriber->state = SUBSCRIBE_READY;
    subscriber->audience->n_ready++;
}

static void
ask_http(struct subscriber *subscriber, const char *accept)
{
    const struct audience *audience = subscriber->audience;
    char request[REQUEST];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n",
                       audience->wire.path, accept, audience->headers);

    send_all(subscriber, request, (size_t)len);
}

static void
ask_broker(struct subscriber *subscriber)
{
    bool framed = subscriber->audience->listening == LISTEN_MQTT_WS;
    uint8_t packets[REQUEST];
    size_t len = packet_connect(packets, framed);

    len += packet_subscribe(packets + len, framed, subscriber->audience->topic);
    send_all(subscriber, packets, len);
}

static void
ask(struct subscriber *subscriber)
{
    subscriber->state = SUBSCRIBE_ASKED;
    switch (subscriber->audience->listening) {
    case LISTEN_ASK:
        ask_http(subscriber, "");
        be_ready(subscriber);
        break;
    case LISTEN_RAW:
    case LISTEN_WS:
        be_ready(subscriber);
        break;
    case LISTEN_SSE:
        ask_http(subscriber, "Accept: text/event-stream\r\n");
        break;
    case LISTEN_POLL:
        /* Some hold this one already until there is a message. */
        ask_http(subscriber, "");
        be_ready(subscriber);
        break;
    case LISTEN_MQTT:
    case LISTEN_MQTT_WS:
        ask_broker(subscriber);
        break;
    }
}

/* The beginning of an answer, before any message. */
static void
take_answer(struct subscriber *subscriber, const uint8_t *data, size_t len)
{
    static const char good[] = "HTTP/1.1 200";

    if (subscriber->audience->listening == LISTEN_SSE) {
        if (len < sizeof good || memcmp(data, good, sizeof good - 1) != 0)
            fail("a stream of events was refused");
        be_ready(subscriber);
        return;
    }
    for (size_t i = 0; i < len && subscriber->state == SUBSCRIBE_ASKED; i++) {
        if (data[i] == 3 && (i > 0 ? data[i - 1] : subscriber->before) == PACKET_SUBACK)
            be_ready(subscriber);
    }
    if (len > 0)
        subscriber->before = data[len - 1];
}

/* ---- long polls ---- */

static void
keep(struct subscriber *subscriber, const char *data, size_t len)
{
    free(subscriber->kept);
    subscriber->kept = NULL;
    subscriber->kept_len = len;
    if (len == 0)
        return;
    subscriber->kept = malloc(len);
    if (subscriber->kept == NULL)
        fail("out of memory");
    memcpy(subscriber->kept, data, len);
}

/* data has room for a byte more. */
static void
take_poll(struct subscriber *subscriber, char *data, size_t len)
{
    const struct audience *audience = subscriber->audience;
    char request[REQUEST];
    const char *body;
    ssize_t used;

    data[len] = '\0';
    used = poll_answer_read(data, len, &body, subscriber->place);
    if (used < 0 || (used > 0 && (size_t)used != len))
        fail("a poll was refused");
    keep(subscriber, data, used == 0 ? len : 0);
    if (used == 0)
        return;
    take_text(subscriber, (const uint8_t *)body, (size_t)(data + used - body));
    send_all(subscriber, request,
             poll_answer_next(request, sizeof request, audience->wire.path, audience->headers,
                              subscriber->place));
}

/* ---- events ---- */

static void
receive(struct subscriber *subscriber)
{
    static uint8_t scratch[SCRATCH + 1];
    size_t kept = subscriber->kept_len;
    ssize_t n;

    if (kept >= SCRATCH)
        fail("an answer to a poll is too long");
    if (kept > 0)
        memcpy(scratch, subscriber->kept, kept);
    n = wire_receive(&subscriber->wire, scratch + kept, SCRATCH - kept);
    if (n == WIRE_ENDED)
        fail("a subscriber was thrown out");
    if (n <= 0)
        return;
    if (subscriber->audience->listening == LISTEN_POLL)
        take_poll(subscriber, (char *)scratch, kept + (size_t)n);
    else if (subscriber->state == SUBSCRIBE_ASKED)
        take_answer(subscriber, scratch, (size_t)n);
    else
        take_text(subscriber, scratch, (size_t)n);
    if (subscriber->audience->listening == LISTEN_ASK)
        ask_http(subscriber, "");
}

static void
watch(struct subscriber *subscriber, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = &subscriber->handler}};

    if (epoll_ctl(subscriber->audience->epoll, op, subscriber->wire.fd, &event) < 0)
        fail("epoll_ctl failed");
}

static void
on_event(struct handler *handler, uint32_t events)
{
    struct subscriber *subscriber = container_of(handler, struct subscriber, handler);

    (void)events;
    if (subscriber->wire.state == WIRE_OPEN) {
        receive(subscriber);
        return;
    }
    if (wire_advance(&subscriber->wire) != 0)
        fail("a subscriber was refused");
    if (subscriber->wire.state == WIRE_UPGRADING || subscriber->wire.state == WIRE_OPEN)
        watch(subscriber, EPOLL_CTL_MOD, EPOLLIN);
    if (subscriber->wire.state == WIRE_OPEN)
        ask(subscriber);
}

int
audience_init(struct audience *audience, unsigned count)
{
    bool framed = audience->listening == LISTEN_WS || audience->listening == LISTEN_MQTT_WS;

    audience->count = count;
    audience->wire.protocol = framed ? WIRE_UPGRADE : WIRE_RAW;
    audience->wire.subprotocol = audience->listening == LISTEN_MQTT_WS ? "mqtt" : NULL;
    audience->subscribers = calloc(count, sizeof *audience->subscribers);
    return audience->subscribers != NULL ? 0 : -1;
}

void
audience_start(struct audience *audience, unsigned i)
{
    struct subscriber *subscriber = &audience->subscribers[i];

    subscriber->handler.event = on_event;
    subscriber->audience = audience;
    if (audience->listening == LISTEN_POLL &&
        (subscriber->place = calloc(1, sizeof *subscriber->place)) == NULL)
        fail("out of memory");
    if (wire_connect(&subscriber->wire, &audience->wire, i) < 0)
        fail("a subscriber cannot connect");
    watch(subscriber, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

/* ---- rounds ---- */

void
audience_round(struct audience *audience, unsigned due, uint64_t first)
{
    audience->due = due;
    audience->n_done = 0;
    audience->began = now_ns();
    for (unsigned i = 0; i < audience->count; i++) {
        audience->subscribers[i].got = 0;
        audience->subscribers[i].next = (uint8_t)('a' + first % LETTERS);
    }
}

uint64_t
audience_lacks(const struct audience *audience)
{
    uint64_t lacks = 0;

    for (unsigned i = 0; i < audience->count; i++) {
        if (audience->subscribers[i].got < audience->due)
            lacks += audience->due - audience->subscribers[i].got;
    }
    return lacks;
}
