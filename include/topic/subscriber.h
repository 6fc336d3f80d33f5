/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subscriber -- a client of a topic route that stays connected: over a WebSocket or SSE.
 *
 *      hub ──message──→ queue ─┐  one writev per turn: references to shared forms
 *      backlog ────────────────┴──────────────────────────────────────────────────→ stream → client
 *                                            ▲ what of a message the socket cut, is copied and waits
 *
 * What waits is in the queue, bounded by the route, and not in the stream. Nothing is offered to a socket
 * that has not taken yet what it was given.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  subscriber_websocket_open() or subscriber_sse_open() until owner->gone().
 */
#ifndef CULVERT_TOPIC_SUBSCRIBER_H
#define CULVERT_TOPIC_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/endpoint.h"
#include "proto/span.h"

struct conf_route;
struct exchange;
struct hub;
struct linger_set;
struct metrics_route;
struct subscriber;
struct subscriber_owner;
struct ws_digest;
struct ws_handshake;

/* Embedded in who lets it in. */
struct subscriber_owner {
    /* It has ended; in and out: bytes of messages. The subscriber is not to be called any more. */
    void (*gone)(struct subscriber_owner *owner, const struct ending *ending, uint64_t in,
                 uint64_t out);
};

struct subscriber_options {
    struct exchange *exchange; /* its stream is taken */
    struct hub *hub;
    const struct conf_route *route; /* outlives it */
    struct linger_set *lingers;
    struct metrics_route *metrics;
    struct subscriber_owner *owner;
    const struct span *filters; /* borrowed; allowed */
    unsigned n_filters;
    const char *since; /* NULL: none */
    /* WebSocket */
    const struct ws_handshake *handshake;
    struct ws_digest *digest; /* borrowed until it returns */
    /* SSE */
    const char *headers; /* complete lines for the answer */
};

/* Answer the exchange and begin. Return NULL without memory, logged; then the exchange is still the
 * caller's. The subscriber may have ended, and told so, when they return. */
struct subscriber *subscriber_websocket_open(const struct subscriber_options *options)
    __attribute__((warn_unused_result));
struct subscriber *subscriber_sse_open(const struct subscriber_options *options)
    __attribute__((warn_unused_result));

/* Says goodbye behind what waits; then gone(). Once more does nothing. */
void subscriber_leave(struct subscriber *subscriber, uint16_t code, const char *reason);

/* Ends at once, without an event. */
void subscriber_close(struct subscriber *subscriber);

#endif
