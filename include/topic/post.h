/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * post -- a publication by HTTP: the body is the payload (PROTOCOL.md section 4).
 *
 *      200 {"id":…}   the bus has taken it
 *      413            the payload is over message_max
 *      503            not known to be taken
 *
 * Thread:    on the loop's thread.
 * Lifetime:  post_start() until owner->gone(): the exchange was answered or its client has gone, and the bus
 *            has told what came of it.
 */
#ifndef CULVERT_TOPIC_POST_H
#define CULVERT_TOPIC_POST_H

#include <stdbool.h>

#include "proto/span.h"

struct conf_route;
struct exchange;
struct hub;
struct metrics_route;
struct post_owner;

/* Embedded in who lets it in. */
struct post_owner {
    /* It is over, for the bus too. */
    void (*gone)(struct post_owner *owner);
};

struct post_options {
    struct exchange *exchange;
    struct hub *hub;
    const struct conf_route *route; /* outlives it */
    struct metrics_route *metrics;
    const char *headers; /* complete lines for an answer in JSON, and for a refusal; static */
    const char *refusal;
    struct post_owner *owner;
    struct span topic; /* valid; borrowed until it returns */
    bool retain;
};

/* Answers, now or later, and gone() comes, in any case. Whether the route lets clients publish it is asked
 * when the payload is known. */
void post_start(const struct post_options *options);

#endif
