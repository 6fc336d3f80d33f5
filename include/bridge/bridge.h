/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge -- joins a client's endpoint and a target's, and moves bytes both ways until both are
 * gone.
 *
 * It knows endpoints, never protocols. It holds no bytes: each endpoint keeps what its own socket
 * would not take, and the bridge stops the other one while that is `buffer` bytes, until it has
 * fallen to half.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  bridge_start() until both endpoints are gone; then it logs the access line and is
 *            freed at the end of the turn.
 */
#ifndef CULVERT_BRIDGE_BRIDGE_H
#define CULVERT_BRIDGE_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/metrics.h"

struct addr;
struct conf_route;
struct endpoint;
struct limits_pass;
struct loop;
struct snapshot;

/* The bridges of one worker. */
struct bridge_set {
    struct list members;
    struct list leaving; /* those whose clients have been told goodbye by us */
    size_t n_members;    /* of both lists */
    size_t n_leaving;
};

struct bridge_options {
    struct loop *loop;
    struct bridge_set *set;
    struct snapshot *snapshot;      /* a reference is taken */
    const struct conf_route *route; /* of that snapshot */
    struct endpoint *client;
    struct endpoint *target;
    struct limits_pass *pass; /* taken, if the bridge starts; given back at its end */
    uint64_t number;          /* of the connection: loop_connection_name() */
    const struct addr *peer;  /* the client's address; copied */
    enum metrics_transport transport;
    /* Where to, for the access line; copied, but for the text of the route's own target. */
    const char *target_name;
};

void bridge_set_init(struct bridge_set *set);

/* Takes both endpoints. Returns 0, or -1 without memory, logged; then the endpoints are still the
 * caller's. */
int bridge_start(const struct bridge_options *options);

/* Tells the client that has been there longest goodbye, behind what waits for it, with a close code;
 * the bridge ends as the client answers. Returns how many have not been told yet, this one
 * included: 0 if there was none. */
size_t bridge_drain_next(struct bridge_set *set, unsigned code, const char *reason);

/* The same for all. */
void bridge_drain_all(struct bridge_set *set, unsigned code, const char *reason);

/* Ends all bridges now. */
void bridge_close_all(struct bridge_set *set);

#endif
