/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swarm -- all clients of a load, whatever they speak: WebSockets and bytes (client.h), sessions
 * (session.h), or those that are only sent things (feed.h).
 *
 * Thread:    one.
 * Lifetime:  swarm_init() to the end of the process.
 * Ownership: borrows the crowd.
 * Errors:    what should not be ends the process, with a sentence.
 */
#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "handler.h"
#include "traffic.h"

struct speech;

struct swarm {
    struct crowd *crowd;
    const struct speech *speech;
    unsigned count;
    void *clients; /* an array of what the speech has */
    struct handler tick;
    int tick_fd;
};

/* NULL if there is none of that name. */
const struct speech *swarm_speech(const char *name);

/* What it does for these clients; others are refused on the command line. */
bool swarm_can(const struct speech *speech, const struct crowd *crowd);

/* Sets what the crowd's wire has to speak, too. */
void swarm_init(struct swarm *swarm, struct crowd *crowd, const struct speech *speech,
                unsigned count);

/* One of them connects. */
void swarm_start(struct swarm *swarm, unsigned i);

/* All are connected: the first messages go. */
void swarm_begin(struct swarm *swarm);

/* Sessions begin to end; crowd->n_left counts up to all of them when the server knows. */
void swarm_leave(struct swarm *swarm);

/* up: of connections that lead up alone. */
void swarm_traffic(const struct swarm *swarm, struct traffic *all, struct traffic *up);

#endif
