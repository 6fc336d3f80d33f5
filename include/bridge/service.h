/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service -- what one worker serves: it accepts on its listening sockets, answers requests by its
 * snapshot and holds its connections.
 *
 *      SERVING ──drain──→ DRAINING ──stop──→ STOPPING → stopped()
 *      503 for who asks    └ clients are told goodbye,    └ accepts no more; what is left ends
 *      from here on          one by one; drained()           within close_timeout
 *
 * Thread:    made and freed by main while the worker's loop does not run; all else is on the worker.
 */
#ifndef CULVERT_BRIDGE_SERVICE_H
#define CULVERT_BRIDGE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct service;
struct service_owner;
struct snapshot;

/* Embedded in who wants to know (on the worker's thread). */
struct service_owner {
    /* service_configure() is done: what was in use before is not any more, but by connections that
     * began with it. */
    void (*configured)(struct service_owner *owner);
    /* After service_drain(): no client is left. Once. */
    void (*drained)(struct service_owner *owner);
    /* After service_stop(): every connection has ended and the loop is about to return. */
    void (*stopped)(struct service_owner *owner);
};

struct service_port {
    int fd; /* borrowed; tells one port from another */
    bool tls;
};

struct service_config {
    struct snapshot *snapshot; /* a reference is taken */
    const struct service_port *ports;
    size_t n_ports;
    size_t sockets_max; /* for clients and targets: over it no more clients are accepted */
};

struct service_options {
    struct loop *loop;
    struct loop *main_loop; /* main's, for what would hold a worker up */
    struct service_config config;
    struct service_owner *owner;
};

/* Returns NULL, logged. */
struct service *service_new(const struct service_options *options);

/* Closes at once what is still open. */
void service_free(struct service *service);

/* ---- on the worker's thread: main sends orders (service_order.h) ---- */

/*
 * Serves by another configuration: ports that are in both go on, those that are not any more are
 * closed when what waits in their queues has been accepted; resolv.conf is read again. Then
 * configured().
 */
void service_configure(struct service *service, const struct service_config *config);

/* Answers 503 to who asks from now on, and tells the clients goodbye (close code 1001) spread over so
 * many seconds; drained() when they have gone. */
void service_drain(struct service *service, double seconds);

/* Accepts no more, says goodbye to who is still there and stops the loop when they have gone or the
 * longest close_timeout has passed, or at once; then stopped(). */
void service_stop(struct service *service, bool at_once);

struct service_counts {
    size_t connections; /* HTTP, bridged, and those that are being closed */
    size_t blocks;      /* buffer blocks in use */
};

void service_count(const struct service *service, struct service_counts *counts);
struct loop *service_loop(const struct service *service);

#endif
