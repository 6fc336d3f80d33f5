/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conversation -- what every client has that is joined to a target or to topics: a place among the limits
 * (guard/limits.h) before it begins, and when it has ended a line in the access log and its counts.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_BRIDGE_CONVERSATION_H
#define CULVERT_BRIDGE_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"
#include "bridge/endpoint.h"

struct conf;
struct conf_route;
struct exchange;
struct limits;
struct limits_pass;
struct loop;
struct snapshot;

/* Returns whether there is a place for the client; answered if not. */
bool conversation_enter(struct limits *limits, const struct conf *conf,
                        const struct conf_route *route, struct exchange *exchange,
                        struct limits_pass *pass);

struct conversation_end {
    struct loop *loop;
    const struct snapshot *snapshot;
    const struct conf_route *route; /* of that snapshot */
    const char *target;
    enum metrics_transport transport;
    uint64_t number;  /* of the connection: loop_connection_name() */
    const void *peer; /* the client's address, as many bytes of it as it has */
    size_t peer_len;
    struct ending ending;
    uint64_t in, out; /* bytes of messages */
    double began;     /* loop_now() */
};

void conversation_ended(const struct conversation_end *end);

#endif
