/* SPDX-License-Identifier: BSD-2-Clause */
#include "event/timer.h"

#include "base/list.h"
#include "event/loop.h"

static void
arm(struct timer *timer)
{
    struct ev_loop *ev = loop_ev(timer_loop(timer));
    double after = timer->due - loop_now(timer_loop(timer));

    ev_timer_stop(ev, &timer->ev);
    ev_timer_set(&timer->ev, after > 0 ? after : 0, 0);
    ev_timer_start(ev, &timer->ev);
}

static void
fired(struct ev_loop *ev, ev_timer *watcher, int revents)
{
    struct timer *timer = container_of(watcher, struct timer, ev);

    (void)ev;
    (void)revents;
    if (timer->due == 0)
        return;
    /* It was moved since it was armed; half a millisecond is no reason to come again. */
    if (timer->due > loop_now(timer_loop(timer)) + 0.0005) {
        arm(timer);
        return;
    }
    timer->due = 0;
    timer->call(timer);
}

void
timer_init(struct timer *timer, struct loop *loop, timer_cb *call)
{
    ev_init(&timer->ev, fired);
    timer->ev.data = loop;
    timer->due = 0;
    timer->call = call;
}

void
timer_deinit(struct timer *timer)
{
    timer->due = 0;
    ev_timer_stop(loop_ev(timer_loop(timer)), &timer->ev);
}

void
timer_set(struct timer *timer, double due)
{
    struct ev_loop *ev = loop_ev(timer_loop(timer));

    timer->due = due;
    if (due == 0)
        return; /* if it is armed, it will find out when it fires */
    if (ev_is_active(&timer->ev) &&
        loop_now(timer_loop(timer)) + ev_timer_remaining(ev, &timer->ev) <= due)
        return;
    arm(timer);
}
