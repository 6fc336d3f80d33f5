/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service -- what one worker serves: it accepts on its listening sockets, answers requests by its
 * snapshot and holds its connections.
 *
 * Thread:    made and freed by main while the worker's loop does not run; service_stop() and
 *            service_count() are messages that main posts; all else is on the worker.
 */
#ifndef CULVERT_BRIDGE_SERVICE_H
#define CULVERT_BRIDGE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

struct limits;
struct loop;
struct service;
struct service_owner;
struct snapshot;

/* Embedded in who wants to know (on the worker's thread). */
struct service_owner {
    /* After service_stop(): every connection has ended and the loop is about to return. */
    void (*stopped)(struct service_owner *owner);
};

struct service_port {
    int fd; /* borrowed */
    bool tls;
};

struct service_options {
    struct loop *loop;
    struct snapshot *snapshot; /* a reference is taken */
    const struct service_port *ports;
    size_t n_ports;
    size_t sockets_max;    /* for clients and targets: over it a client is accepted for a half-open
                           one that is closed, and not if there is none */
    struct limits *limits; /* of all workers; borrowed */
    struct service_owner *owner;
};

/* Returns NULL, logged. */
struct service *service_new(const struct service_options *options);

/* Closes at once what is still open. */
void service_free(struct service *service);

/*
 * From main: accept no more, say goodbye (close code 1001) to all and stop the loop when they have
 * gone or the longest close_timeout has passed. Once more: end at once. Returns -1 without memory.
 */
int service_stop(struct service *service, bool at_once) __attribute__((warn_unused_result));

struct service_counts {
    size_t connections; /* HTTP, bridged, and those that are being closed */
    size_t blocks;      /* buffer blocks in use */
};

/* On the worker's thread. */
void service_count(const struct service *service, struct service_counts *counts);
struct loop *service_loop(const struct service *service);

#endif
