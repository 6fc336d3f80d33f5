/* SPDX-License-Identifier: BSD-2-Clause */
#include "swarm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/list.h"
#include "feed.h"
#include "lines.h"
#include "session.h"

enum who {
    PLAIN,
    SESSIONS,
    FEEDS,
};

struct speech {
    const char *name;
    enum who who;
    enum wire_protocol protocol;
    const struct transport *transport; /* SESSIONS */
    enum feed_kind feed;               /* FEEDS */
};

static const struct speech speeches[] = {
    {"raw", PLAIN, WIRE_RAW, NULL, 0},
    {"upgrade", PLAIN, WIRE_UPGRADE, NULL, 0},
    {"ws", PLAIN, WIRE_WS, NULL, 0},
    {"session", SESSIONS, WIRE_UPGRADE, &over_ws, 0},
    {"session-sse", SESSIONS, WIRE_RAW, &over_sse, 0},
    {"session-poll", SESSIONS, WIRE_RAW, &over_poll, 0},
    {"eventsource", FEEDS, WIRE_RAW, NULL, FEED_EVENTSOURCE},
    {"longpoll", FEEDS, WIRE_RAW, NULL, FEED_LONGPOLL},
    {"publish", FEEDS, WIRE_RAW, NULL, FEED_NONE},
};

const struct speech *
swarm_speech(const char *name)
{
    for (size_t i = 0; i < sizeof speeches / sizeof *speeches; i++) {
        if (strcmp(name, speeches[i].name) == 0)
            return &speeches[i];
    }
    return NULL;
}

bool
swarm_can(const struct speech *speech, const struct crowd *crowd)
{
    if (speech->who == FEEDS && speech->feed == FEED_NONE && crowd->publish == NULL)
        return false;
    switch (crowd->scenario) {
    case ECHO:
    case IDLE:
        return speech->who != FEEDS;
    case DOWNLOAD:
    case UPLOAD:
    case CHURN:
        return speech->who == PLAIN;
    case LINES:
        return speech->who != PLAIN;
    case PARK: /* the ACK is known to be read only where the same connection's end follows it */
        return speech->transport == &over_ws;
    }
    return false;
}

/* ---- time ---- */

static void
on_tick(struct handler *handler, uint32_t events)
{
    struct swarm *swarm = container_of(handler, struct swarm, tick);
    uint64_t expired, now = now_ns();

    (void)events;
    /* Ticks that were missed are not made up for: what is paced stays paced. */
    if (read(swarm->tick_fd, &expired, sizeof expired) < 0)
        return;
    for (unsigned i = 0; i < swarm->count; i++) {
        if (swarm->speech->who == FEEDS)
            feed_tick(&((struct feed *)swarm->clients)[i], now);
        else
            session_tick(&((struct session *)swarm->clients)[i], now);
    }
}

static void
begin_ticks(struct swarm *swarm)
{
    struct timespec every = {.tv_nsec = LINES_EVERY_MS * 1000000};
    struct itimerspec when = {.it_interval = every, .it_value = every};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &swarm->tick}};

    swarm->tick.event = on_tick;
    swarm->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (swarm->tick_fd < 0 || timerfd_settime(swarm->tick_fd, 0, &when, NULL) < 0 ||
        epoll_ctl(swarm->crowd->epoll, EPOLL_CTL_ADD, swarm->tick_fd, &event) < 0)
        fail("no timer");
}

/* ---- all of them ---- */

void
swarm_init(struct swarm *swarm, struct crowd *crowd, const struct speech *speech, unsigned count)
{
    static const size_t sizes[] = {
        [PLAIN] = sizeof(struct client),
        [SESSIONS] = sizeof(struct session),
        [FEEDS] = sizeof(struct feed),
    };

    swarm->crowd = crowd;
    swarm->speech = speech;
    swarm->count = count;
    crowd->wire.protocol = speech->protocol;
    swarm->clients = calloc(count, sizes[speech->who]);
    if (swarm->clients == NULL ||
        (speech->who == PLAIN ? crowd_init(crowd) : session_prepare(crowd)) < 0)
        fail("out of memory");
}

void
swarm_start(struct swarm *swarm, unsigned i)
{
    const struct speech *speech = swarm->speech;

    switch (speech->who) {
    case PLAIN:
        client_start(&((struct client *)swarm->clients)[i], swarm->crowd);
        break;
    case SESSIONS:
        session_start(&((struct session *)swarm->clients)[i], swarm->crowd, speech->transport, i);
        break;
    case FEEDS:
        feed_start(&((struct feed *)swarm->clients)[i], swarm->crowd, speech->feed, i);
        break;
    }
}

void
swarm_begin(struct swarm *swarm)
{
    swarm->crowd->started = true;
    if (swarm->speech->who != PLAIN)
        begin_ticks(swarm);
    for (unsigned i = 0; i < swarm->count; i++) {
        if (swarm->speech->who == PLAIN)
            client_begin(&((struct client *)swarm->clients)[i]);
        else if (swarm->speech->who == SESSIONS)
            session_begin(&((struct session *)swarm->clients)[i]);
    }
}

void
swarm_leave(struct swarm *swarm)
{
    for (unsigned i = 0; i < swarm->count; i++) {
        if (swarm->speech->who == PLAIN)
            swarm->crowd->n_left++;
        else if (swarm->speech->who == FEEDS)
            feed_leave(&((struct feed *)swarm->clients)[i]);
        else
            session_leave(&((struct session *)swarm->clients)[i]);
    }
}

void
swarm_traffic(const struct swarm *swarm, struct traffic *all, struct traffic *up)
{
    for (unsigned i = 0; i < swarm->count; i++) {
        if (swarm->speech->who == PLAIN)
            client_traffic(&((const struct client *)swarm->clients)[i], all);
        else if (swarm->speech->who == FEEDS)
            feed_traffic(&((const struct feed *)swarm->clients)[i], all, up);
        else
            session_traffic(&((const struct session *)swarm->clients)[i], all, up);
    }
}
