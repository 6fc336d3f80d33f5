/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain -- says goodbye to a worker's clients one by one, evenly over a time, so that they do not
 * all come back at the same moment.
 *
 * The first is told at once. Who leaves by himself meanwhile makes the pauses between the others
 * longer: the last one is told when the time is over, or nearly so.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  embedded in its owner: drain_init() to drain_deinit().
 */
#ifndef CULVERT_BRIDGE_DRAIN_H
#define CULVERT_BRIDGE_DRAIN_H

#include <stddef.h>

#include "event/timer.h"

struct loop;

struct drain {
    struct timer timer;
    /* Tells the next one goodbye. Returns how many had not been told, this one included; 0: there was none. */
    size_t (*next)(struct drain *drain);
    double due;   /* loop_now() at which the next one is told */
    double until; /* and all are */
};

void drain_init(struct drain *drain, struct loop *loop, size_t (*next)(struct drain *drain));
void drain_deinit(struct drain *drain);

/* Once. Clients that begin later are told in their turn. */
void drain_start(struct drain *drain, double seconds);

#endif
