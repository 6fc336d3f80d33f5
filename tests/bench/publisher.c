/* SPDX-License-Identifier: BSD-2-Clause */
#include "publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "audience.h"
#include "base/list.h"
#include "client.h"
#include "packets.h"

enum {
    SCRATCH = 16384,
    HEAD = 512, /* of a request, or an item of Pushpin's JSON without the message */
    BODY_MAX = 65536,
    MESSAGE_MAX = 1024,
};

struct publisher {
    struct handler handler;
    struct press *press;
    struct wire wire;
    bool ready;
    uint8_t *out; /* a burst */
    char answer[1024];
    size_t answer_len;
};

static bool
posts(const struct press *press)
{
    return press->publishing == PUBLISH_POST || press->publishing == PUBLISH_GRIP;
}

/* ---- what is sent ---- */

static size_t
put_post(const struct press *press, uint8_t *out, const char *type, const char *body, size_t len)
{
    int head = snprintf((char *)out, HEAD,
                        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        press->wire.path, type, len);

    memcpy(out + head, body, len);
    return (size_t)head + len;
}

/* An item for each message, with its formats for all that may be listening. */
static size_t
put_grip(struct press *press, uint8_t *out)
{
    static char body[BODY_MAX];
    char text[MESSAGE_MAX];
    int size = (int)press->size;
    int len = snprintf(body, sizeof body, "{\"items\":[");

    for (unsigned k = 0; k < press->burst && (size_t)len < sizeof body; k++) {
        audience_message(text, press->size, press->number++);
        len += snprintf(body + len, sizeof body - (size_t)len,
                        "%s{\"channel\":\"%s\",\"formats\":{"
                        "\"ws-message\":{\"content\":\"%.*s\"},"
                        "\"http-stream\":{\"content\":\"data: %.*s\\n\\n\"}}}",
                        k > 0 ? "," : "", press->topic, size, text, size, text);
    }
    if ((size_t)len + 2 >= sizeof body)
        fail("a burst is too long");
    memcpy(body + len, "]}", 2);
    return put_post(press, out, "application/json", body, (size_t)len + 2);
}

static size_t
put_message(struct press *press, uint8_t *out)
{
    char text[MESSAGE_MAX];
    size_t len = press->size;

    audience_message(text, len, press->number++);
    switch (press->publishing) {
    case PUBLISH_RAW:
        memcpy(out, text, len);
        return len;
    case PUBLISH_POST:
        return put_post(press, out, "text/plain", text, len);
    case PUBLISH_WS:
        return packet_text(out, text, len);
    case PUBLISH_GRIP:
    case PUBLISH_MQTT:
    case PUBLISH_MQTT_WS:
        break;
    }
    return packet_publish(out, press->publishing == PUBLISH_MQTT_WS, press->topic, text, len);
}

static void
send_all(struct publisher *publisher, size_t len)
{
    if (wire_send(&publisher->wire, publisher->out, len) != (ssize_t)len)
        fail("a publisher's connection does not take what is sent");
}

unsigned
press_round_size(const struct press *press)
{
    return press->count * press->burst;
}

void
press_publish(struct press *press)
{
    for (unsigned i = 0; i < press->count; i++) {
        struct publisher *publisher = &press->publishers[i];
        size_t len = 0;

        if (press->publishing == PUBLISH_GRIP)
            len = put_grip(press, publisher->out);
        else
            for (unsigned k = 0; k < press->burst; k++)
                len += put_message(press, publisher->out + len);
        send_all(publisher, len);
        press->pending += posts(press);
    }
}

/* ---- what comes back ---- */

static void
watch(struct publisher *publisher, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = &publisher->handler}};

    if (epoll_ctl(publisher->press->epoll, op, publisher->wire.fd, &event) < 0)
        fail("epoll_ctl failed");
}

static void
start(struct publisher *publisher)
{
    struct press *press = publisher->press;

    if (wire_connect(&publisher->wire, &press->wire, press->n_connects++) < 0)
        fail("a publisher cannot connect");
    watch(publisher, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void
take_answer(struct publisher *publisher, const char *data, size_t len)
{
    static struct poll_place nowhere;
    char *answer = publisher->answer;
    const char *body;
    ssize_t used;

    if (publisher->answer_len + len >= sizeof publisher->answer)
        fail("the answer to a POST is too long");
    memcpy(answer + publisher->answer_len, data, len);
    publisher->answer_len += len;
    answer[publisher->answer_len] = '\0';
    used = poll_answer_read(answer, publisher->answer_len, &body, &nowhere);
    if (used < 0)
        fail(answer);
    if (used == 0)
        return;
    publisher->answer_len = 0;
    publisher->press->pending--;
    if (publisher->press->publishing != PUBLISH_GRIP)
        return;
    wire_close(&publisher->wire);
    publisher->ready = false;
    publisher->press->n_ready--;
    start(publisher);
}

static void
be_open(struct publisher *publisher)
{
    struct press *press = publisher->press;
    bool framed = press->publishing == PUBLISH_MQTT_WS;

    if (framed || press->publishing == PUBLISH_MQTT) {
        send_all(publisher, packet_connect(publisher->out, framed));
        return; /* ready with the CONNACK */
    }
    publisher->ready = true;
    press->n_ready++;
}

static void
receive(struct publisher *publisher)
{
    static char scratch[SCRATCH];
    ssize_t n = wire_receive(&publisher->wire, scratch, sizeof scratch);

    if (n == WIRE_ENDED)
        fail("a publisher was thrown out");
    if (n <= 0)
        return;
    if (posts(publisher->press)) {
        take_answer(publisher, scratch, (size_t)n);
    } else if (!publisher->ready) {
        publisher->ready = true;
        publisher->press->n_ready++;
    }
}

static void
on_event(struct handler *handler, uint32_t events)
{
    struct publisher *publisher = container_of(handler, struct publisher, handler);

    (void)events;
    if (publisher->wire.state == WIRE_OPEN) {
        receive(publisher);
        return;
    }
    if (wire_advance(&publisher->wire) != 0)
        fail("a publisher was refused");
    if (publisher->wire.state == WIRE_UPGRADING || publisher->wire.state == WIRE_OPEN)
        watch(publisher, EPOLL_CTL_MOD, EPOLLIN);
    if (publisher->wire.state == WIRE_OPEN)
        be_open(publisher);
}

void
press_start(struct press *press)
{
    bool framed = press->publishing == PUBLISH_WS || press->publishing == PUBLISH_MQTT_WS;
    size_t room = HEAD + (HEAD + 2 * press->size + PACKET_OVERHEAD) * press->burst;

    press->wire.protocol = framed ? WIRE_UPGRADE : WIRE_RAW;
    press->wire.subprotocol = press->publishing == PUBLISH_MQTT_WS ? "mqtt" : NULL;
    press->publishers = calloc(press->count, sizeof *press->publishers);
    for (unsigned i = 0; press->publishers != NULL && i < press->count; i++) {
        struct publisher *publisher = &press->publishers[i];

        publisher->handler.event = on_event;
        publisher->press = press;
        publisher->out = malloc(room);
        if (publisher->out == NULL)
            fail("out of memory");
        start(publisher);
    }
    if (press->publishers == NULL)
        fail("out of memory");
}
