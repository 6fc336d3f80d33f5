/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/list.h"

enum {
    SCRATCH = 65536,
    BLOCK_MIN = 65536, /* what an upload offers at once */
};

void
fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}

uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int
crowd_init(struct crowd *crowd)
{
    size_t count = crowd->in_flight, i;
    uint8_t *one = malloc(crowd->size + WIRE_OVERHEAD);

    if (one == NULL)
        return -1;
    crowd->message_len = wire_message(crowd->wire.protocol, one, crowd->size);
    if (crowd->scenario == UPLOAD && count * crowd->message_len < BLOCK_MIN)
        count = BLOCK_MIN / crowd->message_len + 1;
    crowd->block_len = count * crowd->message_len;
    crowd->block = malloc(crowd->block_len + WIRE_OVERHEAD);
    if (crowd->block == NULL) {
        free(one);
        return -1;
    }
    for (i = 0; i < count; i++)
        wire_message(crowd->wire.protocol, crowd->block + i * crowd->message_len, crowd->size);
    if (crowd->scenario != ECHO) {
        free(one);
        return 0;
    }
    wire_message(WIRE_RAW, one, crowd->size);
    crowd->wire.expected = one;
    crowd->wire.expected_len = crowd->size;
    return 0;
}

/* ---- sending ---- */

static void
watch(struct client *client, int op)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &client->handler}};

    if (client->wants_out)
        event.events |= EPOLLOUT;
    if (epoll_ctl(client->crowd->epoll, op, client->wire.fd, &event) < 0)
        fail("epoll_ctl failed");
}

static void
want_out(struct client *client, bool on)
{
    if (client->wants_out == on)
        return;
    client->wants_out = on;
    watch(client, EPOLL_CTL_MOD);
}

static void
send_more(struct client *client)
{
    const struct crowd *crowd = client->crowd;

    while (client->to_send > 0) {
        size_t len = crowd->block_len - client->block_at;
        ssize_t n;

        if (len > client->to_send)
            len = (size_t)client->to_send;
        n = wire_send(&client->wire, crowd->block + client->block_at, len);
        if (n == WIRE_ENDED)
            fail("the server ended a connection");
        if (n > 0) {
            client->to_send -= (uint64_t)n;
            client->block_at = (client->block_at + (size_t)n) % crowd->block_len;
        }
        /* An upload gives the others their turn. */
        if (n == WIRE_AGAIN || crowd->scenario == UPLOAD)
            break;
    }
    want_out(client, client->to_send > 0);
}

static void
send_messages(struct client *client, uint64_t count)
{
    client->to_send += count * client->crowd->message_len;
    client->sent_at = now_ns();
    send_more(client);
}

void
client_begin(struct client *client)
{
    struct crowd *crowd = client->crowd;

    switch (crowd->scenario) {
    case ECHO:
        send_messages(client, crowd->in_flight);
        break;
    case UPLOAD:
        client->to_send = UINT64_MAX;
        send_more(client);
        break;
    case CHURN:
    case IDLE:
        send_messages(client, 1);
        break;
    case DOWNLOAD:
    case LINES:
    case PARK:
        break;
    }
}

/* ---- receiving ---- */

static void
note_latency(struct client *client)
{
    struct crowd *crowd = client->crowd;

    if (crowd->n_latencies < crowd->max_latencies)
        crowd->latencies[crowd->n_latencies++] = (uint32_t)(now_ns() - client->sent_at);
}

static void
start_again(struct client *client)
{
    struct crowd *crowd = client->crowd;

    wire_close(&client->wire);
    crowd->units++;
    crowd->n_open--;
    client_start(client, crowd);
}

static void
say_goodbye(struct client *client)
{
    uint8_t frame[WIRE_OVERHEAD];
    ssize_t len = (ssize_t)wire_goodbye(frame);

    if (wire_send(&client->wire, frame, (size_t)len) != len)
        fail("cannot send a Close");
    client->leaving = true;
}

static void
answer_pings(struct client *client)
{
    uint8_t frame[WIRE_OVERHEAD];
    ssize_t len = (ssize_t)wire_pong(frame);

    for (; client->wire.n_pings > 0; client->wire.n_pings--) {
        if (wire_send(&client->wire, frame, (size_t)len) != len)
            fail("cannot send a PONG");
        if (client->crowd->scenario == IDLE)
            client->crowd->units++;
    }
}

static void
messages_came(struct client *client, uint64_t count)
{
    struct crowd *crowd = client->crowd;

    if (crowd->scenario == CHURN) {
        if (crowd->wire.protocol == WIRE_WS)
            say_goodbye(client);
        else
            start_again(client);
        return;
    }
    if (crowd->scenario == IDLE) {
        crowd->n_settled++;
        return;
    }
    note_latency(client);
    crowd->units += count;
    send_messages(client, count);
}

static void
receive(struct client *client)
{
    static uint8_t scratch[SCRATCH];
    struct crowd *crowd = client->crowd;
    ssize_t n;

    do {
        n = wire_receive(&client->wire, scratch, sizeof scratch);
        if (n == WIRE_ENDED && client->leaving) {
            start_again(client);
            return;
        }
        if (n == WIRE_ENDED)
            fail("the server ended a connection");
        if (n > 0)
            client->got += (uint64_t)n;
    } while (n >= 0 && wire_has_more(&client->wire));
    answer_pings(client);
    if (crowd->scenario == DOWNLOAD) {
        crowd->units += client->got;
        client->got = 0;
    } else if (client->got >= crowd->size) {
        uint64_t count = client->got / crowd->size;

        client->got %= crowd->size;
        messages_came(client, count);
    }
}

/* ---- events ---- */

static void
on_event(struct handler *handler, uint32_t events)
{
    struct client *client = container_of(handler, struct client, handler);
    struct crowd *crowd = client->crowd;

    if (client->wire.state != WIRE_OPEN) {
        if (wire_advance(&client->wire) != 0)
            fail("a connection was refused");
        want_out(client, false);
        if (client->wire.state != WIRE_OPEN)
            return;
        crowd->n_open++;
        if (crowd->started)
            client_begin(client);
        return;
    }
    if ((events & EPOLLOUT) != 0)
        send_more(client);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && (crowd->started || crowd->scenario != DOWNLOAD))
        receive(client);
}

void
client_start(struct client *client, struct crowd *crowd)
{
    memset(client, 0, sizeof *client);
    client->handler.event = on_event;
    client->crowd = crowd;
    client->wants_out = true;
    if (wire_connect(&client->wire, &crowd->wire, crowd->n_connects++) < 0)
        fail("cannot connect");
    watch(client, EPOLL_CTL_ADD);
}

void
client_traffic(const struct client *client, struct traffic *traffic)
{
    traffic_add(traffic, client->wire.fd);
}
