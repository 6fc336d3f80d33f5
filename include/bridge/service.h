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

#include "bridge/ports.h"

struct buses;
struct http_moved;
struct limits;
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

struct service_config {
    struct snapshot *snapshot; /* a reference is taken */
    struct buses *buses;       /* of all workers; borrowed */
    const struct service_port *ports;
    size_t n_ports;
    size_t sockets_max;   /* for clients and targets: over it a client is accepted for a half-open
                             one that is closed, and not if there is none */
    size_t half_open_max; /* a worker's share */
};

struct service_options {
    struct loop *loop;
    struct loop *main_loop; /* main's, for what would hold a worker up */
    struct limits *limits;  /* of all workers; borrowed */
    struct service_config config;
    struct service_owner *owner;
};

/* Returns NULL, logged. */
struct service *service_new(const struct service_options *options);

/* All of them, in the order of loop_id() from 1 on; borrowed. Before any of their loops runs. */
void service_set_peers(struct service *service, struct service *const *peers, unsigned n);

/* The service of another worker, for messages to its loop; NULL: there is none. */
struct service *service_peer(const struct service *service, unsigned loop_id);

/* Takes a connection that another worker has given away, and answers its request. */
void service_adopt(struct service *service, struct http_moved *moved);

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
