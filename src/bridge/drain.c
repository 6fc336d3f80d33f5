/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/drain.h"

#include <math.h>
#include <stddef.h>

#include "base/list.h"
#include "event/loop.h"

static void
tell_next(struct drain *drain)
{
    double now = loop_now(timer_loop(&drain->timer));
    size_t left;

    while ((left = drain->next(drain)) > 0) {
        /* From when it was due, not from now: being woken late must not slow the rest down. */
        drain->due += fmax(drain->until - drain->due, 0) / (double)left;
        if (drain->due > now)
            break;
    }
    /* Where nobody is left, somebody may still be on his way in. */
    timer_set(&drain->timer, left > 0 ? drain->due : now + 0.1);
}

static void
on_timer(struct timer *timer)
{
    tell_next(container_of(timer, struct drain, timer));
}

void
drain_init(struct drain *drain, struct loop *loop, size_t (*next)(struct drain *drain))
{
    drain->next = next;
    drain->due = drain->until = 0;
    timer_init(&drain->timer, loop, on_timer);
}

void
drain_deinit(struct drain *drain)
{
    timer_deinit(&drain->timer);
}

void
drain_start(struct drain *drain, double seconds)
{
    drain->due = loop_now(timer_loop(&drain->timer));
    drain->until = drain->due + seconds;
    tell_next(drain);
}
