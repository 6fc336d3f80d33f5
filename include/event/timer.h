/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer -- a deadline that is cheap to move.
 *
 * Moving a deadline later, which traffic does all the time, stores a number; the loop's heap is
 * touched only when the old deadline comes and finds that it has moved.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  embedded in its owner: timer_init() to timer_deinit().
 */
#ifndef CULVERT_EVENT_TIMER_H
#define CULVERT_EVENT_TIMER_H

#include <ev.h>

struct loop;
struct timer;

typedef void timer_cb(struct timer *timer);

struct timer {
    ev_timer ev; /* its data is the loop */
    double due;  /* loop_now() at which to call; 0: not wanted */
    timer_cb *call;
};

static inline struct loop *
timer_loop(const struct timer *timer)
{
    return timer->ev.data;
}

void timer_init(struct timer *timer, struct loop *loop, timer_cb *call);
void timer_deinit(struct timer *timer);

/* Calls once, at the time `due` on the clock of loop_now() or soon after; replaces an earlier
 * deadline. 0: never. */
void timer_set(struct timer *timer, double due);

/* Of two deadlines of which 0 is none. */
static inline double
timer_sooner(double a, double b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

#endif
