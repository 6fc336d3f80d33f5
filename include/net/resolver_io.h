/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver_io -- a c-ares channel whose sockets and timeouts are watched by a loop. Only for
 * resolver.c.
 */
#ifndef CULVERT_NET_RESOLVER_IO_H
#define CULVERT_NET_RESOLVER_IO_H

#include <ares.h>

#include "base/list.h"
#include "event/timer.h"

struct loop;

struct resolver_io {
    ares_channel channel;
    struct loop *loop;    /* private */
    struct timer timeout; /* private */
    struct list watches;  /* private */
    struct list link;     /* the resolver's */
    unsigned in_flight;   /* questions; the resolver's too */
};

/* servers as in resolver_new(). Returns ARES_SUCCESS, or why not, with nothing to close. The library
 * must have been initialized. */
int resolver_io_open(struct resolver_io *io, struct loop *loop, const char *servers);

/* Completes what is in flight, with ARES_EDESTRUCTION. */
void resolver_io_close(struct resolver_io *io);

/* To be called after each question asked of the channel. */
void resolver_io_asked(struct resolver_io *io);

#endif
