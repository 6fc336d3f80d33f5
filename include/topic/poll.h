/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll -- a long poll of a topic route: {"messages":[…],"since":"ID"}, at once or when there is something.
 *
 *      without since ────────────────→ retained values
 *      since, and history has more ──→ what is after it, a queue's length at most
 *      since, and history has not ───→ reset, retained values
 *      since, and there is nothing ──→ waits: for a message, the bus's state, poll_wait
 *
 * It has no queue: what it tells, it reads from history.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  poll_open() until owner->gone().
 */
#ifndef CULVERT_TOPIC_POLL_H
#define CULVERT_TOPIC_POLL_H

#include <stdint.h>

#include "proto/span.h"

struct conf_route;
struct exchange;
struct hub;
struct metrics_route;
struct poll;
struct poll_owner;

/* Embedded in who lets it in. */
struct poll_owner {
    /* It is answered, or its client has gone. */
    void (*gone)(struct poll_owner *owner);
};

struct poll_options {
    struct exchange *exchange;
    struct hub *hub;
    const struct conf_route *route; /* outlives it */
    struct metrics_route *metrics;
    const char *headers; /* complete lines for an answer in JSON, and for a refusal; static */
    const char *refusal;
    struct poll_owner *owner;
    const struct span *filters; /* borrowed until it returns; allowed */
    unsigned n_filters;
    const char *since; /* NULL: none */
};

/* Answers the exchange, now (then gone() comes first) or later. Returns NULL: it was answered, or there was
 * no memory, logged, and the exchange is answered so. */
struct poll *poll_open(const struct poll_options *options);

/* Answers it with nothing. */
void poll_leave(struct poll *poll);

/* Breaks it off, without an event. */
void poll_close(struct poll *poll);

#endif
