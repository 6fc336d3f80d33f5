/* SPDX-License-Identifier: BSD-2-Clause */
#include "event/signals.h"

#include <ev.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"

enum {
    SIGNALS_MAX = 8,
};

struct signals {
    struct loop *loop;
    struct signals_owner *owner;
    unsigned n;
    ev_signal watchers[SIGNALS_MAX];
};

static void
on_signal(struct ev_loop *ev, ev_signal *watcher, int revents)
{
    struct signals *signals = watcher->data;

    (void)ev;
    (void)revents;
    signals->owner->caught(signals->owner, watcher->signum);
}

struct signals *
signals_start(struct loop *loop, const int *numbers, struct signals_owner *owner)
{
    struct signals *signals = calloc(1, sizeof *signals);

    if (signals == NULL) {
        log_error(loop_log(loop), "signals", "out of memory");
        return NULL;
    }
    signals->loop = loop;
    signals->owner = owner;
    for (; *numbers != 0 && signals->n < SIGNALS_MAX; numbers++) {
        ev_signal *watcher = &signals->watchers[signals->n++];

        ev_signal_init(watcher, on_signal, *numbers);
        watcher->data = signals;
        ev_signal_start(loop_ev(loop), watcher);
    }
    return signals;
}

void
signals_stop(struct signals *signals)
{
    if (signals == NULL)
        return;
    while (signals->n > 0)
        ev_signal_stop(loop_ev(signals->loop), &signals->watchers[--signals->n]);
    free(signals);
}
