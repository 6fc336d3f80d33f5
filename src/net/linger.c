/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/linger.h"

#include <stdlib.h>

#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"

struct linger {
    struct stream_owner owner;
    struct list link;
    struct linger_set *set;
    struct stream *stream;
    struct timer timer;
    double write_timeout;
    double seconds;
    double end_by; /* all was sent: when to stop waiting for the peer; 0: not yet */
    size_t dropped;
    struct loop_deferred free_later;
};

static void
free_linger(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct linger, free_later));
}

static void
end(struct linger *linger)
{
    struct linger_set *set = linger->set;

    list_remove(&linger->link);
    set->n_members--;
    timer_deinit(&linger->timer);
    stream_close(linger->stream);
    loop_defer(set->loop, &linger->free_later, free_linger);
}

/* After anything that may have moved the state. */
static void
go_on(struct linger *linger)
{
    struct stream *stream = linger->stream;

    if (stream_pending(stream) > 0) {
        timer_set(&linger->timer, stream_write_due(stream, linger->write_timeout));
        return;
    }
    if ((stream_read_over(stream) && stream_flushed(stream)) ||
        linger->dropped > LINGER_BYTES_MAX) {
        end(linger);
        return;
    }
    if (linger->end_by == 0)
        linger->end_by = loop_now(linger->set->loop) + linger->seconds;
    timer_set(&linger->timer, linger->end_by);
}

static void
on_readable(struct stream_owner *owner)
{
    struct linger *linger = container_of(owner, struct linger, owner);
    ssize_t n = stream_read(linger->stream, loop_scratch(linger->set->loop), LOOP_SCRATCH);

    if (n == STREAM_AGAIN)
        return;
    if (n > 0)
        linger->dropped += (size_t)n;
    if (linger->dropped > LINGER_BYTES_MAX)
        stream_want_read(linger->stream, false);
    go_on(linger);
}

static void
on_progress(struct stream_owner *owner)
{
    go_on(container_of(owner, struct linger, owner));
}

static void
on_timeout(struct timer *timer)
{
    struct linger *linger = container_of(timer, struct linger, timer);

    if (stream_pending(linger->stream) == 0 ||
        stream_takes_nothing(linger->stream, linger->write_timeout))
        end(linger);
    else
        go_on(linger);
}

void
linger_init(struct linger_set *set, struct loop *loop)
{
    set->loop = loop;
    list_init(&set->members);
    set->n_members = 0;
}

void
linger_start(struct linger_set *set, struct stream *stream, double write_timeout, double seconds)
{
    static const struct stream_events events = {on_readable, on_progress};
    struct linger *linger;

    stream_shutdown(stream);
    if (stream_read_over(stream) && stream_flushed(stream)) {
        stream_close(stream);
        return;
    }
    linger = calloc(1, sizeof *linger);
    if (linger == NULL) {
        stream_close(stream);
        return;
    }
    linger->owner.events = &events;
    linger->set = set;
    linger->stream = stream;
    list_add(&set->members, &linger->link);
    set->n_members++;
    timer_init(&linger->timer, set->loop, on_timeout);
    linger->write_timeout = write_timeout;
    linger->seconds = seconds;
    stream_set_owner(stream, &linger->owner);
    stream_want_read(stream, true);
    go_on(linger);
}

bool
linger_close_idle(struct linger_set *set)
{
    struct list *at;

    for (at = set->members.next; at != &set->members; at = at->next) {
        struct linger *linger = container_of(at, struct linger, link);

        if (!stream_flushed(linger->stream))
            continue;
        end(linger);
        return true;
    }
    return false;
}

void
linger_close_all(struct linger_set *set)
{
    while (!list_empty(&set->members))
        end(container_of(set->members.next, struct linger, link));
}
