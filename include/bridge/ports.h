/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports -- the listening sockets of one worker, as the configuration in force has them.
 *
 * One that stays keeps its listener over a reload; one that goes first accepts what its queue holds.
 *
 * Thread:    on the loop's thread, or while the loop does not run.
 * Lifetime:  ports_init() to ports_close().
 * Ownership: descriptors are borrowed.
 */
#ifndef CULVERT_BRIDGE_PORTS_H
#define CULVERT_BRIDGE_PORTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct addr;
struct loop;
struct ports_owner;

/* The first three as in struct listener_owner (net/listener.h). */
struct ports_events {
    bool (*has_room)(struct ports_owner *owner);
    size_t (*n_spare)(struct ports_owner *owner);
    bool (*make_room)(struct ports_owner *owner);
    /* fd is the callee's. tls, proxy: what the port says of its connections now. */
    void (*accepted)(struct ports_owner *owner, int fd, const struct addr *peer, bool tls,
                     bool proxy);
};

/* Embedded in who accepts. */
struct ports_owner {
    const struct ports_events *events;
};

struct ports {
    struct list members;
    struct loop *loop;
    struct ports_owner *owner;
};

struct service_port {
    int fd; /* borrowed; tells one port from another */
    bool tls;
    bool proxy; /* connections begin with a PROXY header */
};

void ports_init(struct ports *ports, struct loop *loop, struct ports_owner *owner);

/* These and no others. Returns -1 if one of them could not be opened, logged; the others serve. */
int ports_set(struct ports *ports, const struct service_port *wanted, size_t n);

/* The worker is leaving: at sockets of the service manager, who comes waits for the next process. */
void ports_leave(struct ports *ports);

/* drain: what their queues hold is accepted first. */
void ports_close(struct ports *ports, bool drain);

#endif
