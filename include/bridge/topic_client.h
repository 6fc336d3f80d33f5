/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_client -- a client of a topic route, whatever it is connected by: its place among the limits, its
 * line in the access log, and its goodbye.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  topic_client_new() until what it owns has ended, or topic_client_discard().
 */
#ifndef CULVERT_BRIDGE_TOPIC_CLIENT_H
#define CULVERT_BRIDGE_TOPIC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "event/loop.h"
#include "guard/limits.h"
#include "topic/poll.h"
#include "topic/post.h"
#include "topic/subscriber.h"

struct conf_route;
struct exchange;
struct metrics_route;
struct route_context;
struct snapshot;
struct topic_clients;

enum topic_client_kind {
    TOPIC_CLIENT_WEBSOCKET,
    TOPIC_CLIENT_SSE,
    TOPIC_CLIENT_POLL,
    TOPIC_CLIENT_POST, /* counts for no limit, is no member of the set, and ends by itself or with the bus */
};

struct topic_client {
    struct list link;
    struct topic_clients *set;
    struct loop *loop;
    struct snapshot *snapshot;
    const struct conf_route *route;
    struct metrics_route *metrics;
    struct limits_pass pass;
    union {
        struct subscriber_owner subscriber_owner;
        struct poll_owner poll_owner;
        struct post_owner post_owner;
    };
    union {
        struct subscriber *subscriber;
        struct poll *poll; /* NULL: it is being opened */
    };
    uint64_t number;
    double began;
    uint8_t kind; /* enum topic_client_kind */
    bool leaving;
    struct loop_deferred free_later;
    uint8_t peer_len;
    char peer[]; /* the client's address, as many bytes of it as it has */
};

/* Returns NULL without memory. */
struct topic_client *topic_client_new(const struct route_context *context,
                                      struct exchange *exchange, const struct conf_route *route,
                                      enum topic_client_kind kind)
    __attribute__((warn_unused_result));

/* It has not begun. */
void topic_client_discard(struct topic_client *client);

#endif
