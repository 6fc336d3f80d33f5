/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link -- a connection of which every byte that comes is handed on.
 *
 * Thread:    one.
 * Lifetime:  link_open() to link_close(), which may be called out of its own events; then it may be
 *            opened again, but not in an event, whose fellows may still be meant for the old one.
 * Ownership: borrows the crowd; embedded in who owns it.
 * Errors:    what should not be ends the process, with a sentence.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "wire.h"

struct crowd;
struct link;

struct link_events {
    void (*open)(struct link *link);
    void (*data)(struct link *link, uint8_t *data, size_t len);
    void (*ended)(struct link *link); /* by the other side; closed here already */
};

struct link {
    struct handler handler;
    const struct link_events *events;
    struct crowd *crowd;
    struct wire wire;
    bool is_open;
};

/* Before the first link_open(): it is closed. */
void link_init(struct link *link, struct crowd *crowd, const struct link_events *events);
void link_open(struct link *link);

/* All of it: what the socket does not take at once is more than a load sends. */
void link_send(struct link *link, const void *data, size_t len);
void link_close(struct link *link);

#endif
