/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits -- how many conversations there may be at a time: in all, of a route, of a route from one
 * address.
 *
 *      enter ─→ all ─→ the route's counter ─→ the address's counter ─→ a pass ─→ leave
 *               CAS    └──── in a shard, by name; gone when it falls to 0 ────┘
 *
 * Counts belong to the process and know routes by their names: a configuration that is loaded anew
 * goes on with them. They are exact, on however many threads. An address that has nothing open
 * takes no memory.
 *
 * An address is: of IPv4 the whole one, IPv4-mapped ones included; of IPv6 its /64, which is what
 * one customer has at least; all peers on unix sockets together, who have none.
 *
 * Thread:    any.
 * Lifetime:  limits_new() to limits_free(), after the last pass was given back.
 * Errors:    a result; without memory nothing is entered.
 */
#ifndef CULVERT_GUARD_LIMITS_H
#define CULVERT_GUARD_LIMITS_H

#include <stddef.h>
#include <sys/socket.h>

struct limits;
struct limits_counter;

enum limits_result {
    LIMITS_OK,
    LIMITS_FULL,         /* max_connections */
    LIMITS_ROUTE_FULL,   /* connections_max */
    LIMITS_ADDRESS_FULL, /* connections_per_ip */
    LIMITS_NO_MEMORY,
};

/* 0 is no limit. Addresses are counted only where connections_per_ip is set: once a new
 * configuration sets it, those count who come from then on. */
struct limits_rule {
    const char *route;
    unsigned max_connections; /* of all routes */
    unsigned connections_max;
    unsigned connections_per_ip;
};

/* What one conversation has taken; all zero is nothing. May be moved by assignment. */
struct limits_pass {
    struct limits_counter *route;
    struct limits_counter *address;
};

/* Returns NULL without memory or random bytes. */
struct limits *limits_new(void) __attribute__((warn_unused_result));
void limits_free(struct limits *limits);

/* client is as long as its family says. *pass is set in any case, to nothing but for LIMITS_OK. */
enum limits_result limits_enter(struct limits *limits, const struct limits_rule *rule,
                                const struct sockaddr *client, struct limits_pass *pass)
    __attribute__((warn_unused_result));

/* Gives back what was taken, and empties the pass: again is nothing. */
void limits_leave(struct limits_pass *pass);

/* In a few words, for logs and answers. Static. */
const char *limits_reason(enum limits_result result);

/* Conversations now, of all routes. */
unsigned limits_in_use(const struct limits *limits);
/* Counters in memory: of routes and addresses that have something open. */
size_t limits_counters(struct limits *limits);

#endif
