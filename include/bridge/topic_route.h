/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_route -- requests for a topic route (PROTOCOL.md section 4): who asks for what, whether the route
 * lets him, and whether there is a place for him (guard/limits.h). What comes then is topic/'s.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_BRIDGE_TOPIC_ROUTE_H
#define CULVERT_BRIDGE_TOPIC_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct conf_route;
struct exchange;
struct route_context;

/* The clients of topic routes of one worker: subscribers and long polls. */
struct topic_clients {
    struct list members;
    struct list leaving; /* those that were told goodbye */
    size_t n_members;    /* of both lists */
    size_t n_leaving;
};

void topic_clients_init(struct topic_clients *clients);

/* As of bridges: bridge_drain_next() and its like. */
size_t topic_clients_drain_next(struct topic_clients *clients, uint16_t code, const char *reason);
void topic_clients_drain_all(struct topic_clients *clients, uint16_t code, const char *reason);
void topic_clients_close_all(struct topic_clients *clients);

/* Answers, now or later. The Origin was judged and the query can be read. */
void topic_route(const struct route_context *context, struct exchange *exchange,
                 const struct conf_route *route);

/* Which methods the route takes: a complete line for an answer. */
const char *topic_route_allow(const struct conf_route *route);

#endif
