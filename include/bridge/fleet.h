/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fleet -- all workers of the process, each with its loop, thread and service, and the sockets that
 * they listen on.
 *
 *      main: fleet_configure() ──→ sockets opened, orders made ──→ one order to each service
 *            configured() ←── the old sockets closed ←── all services have answered
 *
 * Thread:    main's; what services tell comes back through main's loop.
 * Lifetime:  fleet_start() to fleet_free(), which main calls when its loop has returned.
 * Errors:    -1 or NULL, logged; nothing has changed then.
 */
#ifndef CULVERT_BRIDGE_FLEET_H
#define CULVERT_BRIDGE_FLEET_H

#include <stdbool.h>
#include <stddef.h>

struct fleet;
struct fleet_owner;
struct limits;
struct listen_set;
struct loop;
struct service;
struct snapshot;

/* Embedded in who owns it. */
struct fleet_owner {
    /* All workers serve by the configuration that fleet_configure() was given. */
    void (*configured)(struct fleet_owner *owner);
    /* After fleet_drain(): no client is left. */
    void (*drained)(struct fleet_owner *owner);
    /* After fleet_stop(): no worker runs any more. */
    void (*stopped)(struct fleet_owner *owner);
};

struct fleet_options {
    struct loop *loop;         /* main's */
    struct snapshot *snapshot; /* a reference is taken */
    struct limits *limits;     /* borrowed */
    size_t spare_descriptors;  /* for what is not the workers' */
    struct fleet_owner *owner;
};

struct fleet *fleet_start(const struct fleet_options *options);

/* Ends at once what still runs. NULL is fine. */
void fleet_free(struct fleet *fleet);

/*
 * Goes over to another configuration: first all that may fail, then all workers. How many workers
 * there are does not change. Not while an earlier call is under way (fleet_is_changing()), nor after
 * fleet_drain().
 */
int fleet_configure(struct fleet *fleet, struct snapshot *snapshot)
    __attribute__((warn_unused_result));
bool fleet_is_changing(const struct fleet *fleet);

/* See service_drain() and service_stop(). */
int fleet_drain(struct fleet *fleet, double seconds) __attribute__((warn_unused_result));
int fleet_stop(struct fleet *fleet, bool at_once) __attribute__((warn_unused_result));

/* The current one. */
struct snapshot *fleet_snapshot(const struct fleet *fleet);
const struct listen_set *fleet_listens(const struct fleet *fleet);
/* The one before, while workers go over from it; else NULL. */
const struct listen_set *fleet_old_listens(const struct fleet *fleet);
unsigned fleet_size(const struct fleet *fleet);
struct service *fleet_service(const struct fleet *fleet, unsigned index);

#endif
