/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/listener.h"

#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/inherited.h"

#define LISTENER_PAUSE 0.1 /* seconds: the time in which descriptors may become free */

struct listener {
    ev_io io;
    struct loop *loop;
    struct listener_owner *owner;
    struct timer pause;
    unsigned batch; /* how many connections to accept in a turn */
    unsigned turn;  /* the last one in which there were some: ev_iteration() */
    bool starved;   /* the warning has been written; no connection could be accepted since */
    bool stopped;
    struct loop_deferred free_later;
};

/* Errors of accept4() that belong to one connection: it went away before we came. */
static bool
is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
           error == EHOSTUNREACH || error == EOPNOTSUPP || error == ENETUNREACH;
}

static void
count_listening(struct listener *listener, int change)
{
    struct metrics_worker *metrics = loop_metrics(listener->loop);

    metrics_set(&metrics->listening, metrics->listening + (uint64_t)change);
}

static void
starve(struct listener *listener, const char *why)
{
    if (!listener->starved) {
        log_warn(loop_log(listener->loop), "listener",
                 "cannot accept: %s; connections wait until some have ended", why);
        metrics_add(&loop_metrics(listener->loop)->pauses, 1);
        count_listening(listener, -1);
    }
    listener->starved = true;
    ev_io_stop(loop_ev(listener->loop), &listener->io);
    timer_set(&listener->pause, loop_now(listener->loop) + LISTENER_PAUSE);
}

static void
recover(struct listener *listener)
{
    if (!listener->starved)
        return;
    log_info(loop_log(listener->loop), "listener", "accepting again");
    listener->starved = false;
    count_listening(listener, 1);
}

static void
hand_over(struct listener *listener, int fd, const struct addr *peer)
{
    recover(listener);
    metrics_add(&loop_metrics(listener->loop)->accepted, 1);
    listener->owner->accepted(listener->owner, fd, peer);
}

static bool
somebody_waits(const struct listener *listener)
{
    struct pollfd look = {.fd = listener->io.fd, .events = POLLIN};

    return poll(&look, 1, 0) != 0;
}

/*
 * Nobody is closed before somebody waits for the place: the last one to come, who had no time yet to
 * send anything, would have to go for nobody. Returns whether to accept.
 */
static bool
find_room(struct listener *listener, const char *why)
{
    struct listener_owner *owner = listener->owner;
    size_t looks = owner->n_spare(owner);

    if (looks > 0 && !somebody_waits(listener)) {
        recover(listener);
        return false;
    }
    while (looks-- > 0 && owner->make_room(owner))
        if (owner->has_room(owner))
            return true;
    starve(listener, why);
    return false;
}

/* Returns whether to try again. */
static bool
failed(struct listener *listener, int error)
{
    if (is_passing(error))
        return true;
    if (error == EMFILE || error == ENFILE)
        return find_room(listener, strerror(error));
    starve(listener, strerror(error));
    return false;
}

/* Returns how many were accepted. */
static unsigned
accept_batch(struct listener *listener, unsigned max)
{
    struct addr peer;
    unsigned n = 0, left = max;
    int fd;

    while (left-- > 0 && !listener->stopped) {
        if (!listener->owner->has_room(listener->owner) &&
            !find_room(listener, "too few file descriptors are left"))
            break;
        peer.len = sizeof peer.storage;
        fd = accept4(listener->io.fd, (struct sockaddr *)&peer.storage, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            hand_over(listener, fd, &peer);
            n++;
        } else if (errno == EINVAL) { /* drained, by us or by another worker that shares it */
            ev_io_stop(loop_ev(listener->loop), &listener->io);
            break;
        } else if (errno == EAGAIN) {
            recover(listener); /* the kernel has a descriptor before it looks for a connection */
            break;
        } else if (!failed(listener, errno)) {
            break;
        }
    }
    return n;
}

/* Also without a connection that waits: nobody may come before we say that we accept again. */
static void
on_pause_over(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, pause);

    ev_io_start(loop_ev(listener->loop), &listener->io);
    (void)accept_batch(listener, LISTENER_BATCH);
}

/*
 * Where connections come one by one, to look for another each time would cost a system call for each.
 * So one is accepted, and twice as many each turn while all that are accepted were not all that wait.
 */
static void
on_readable(struct ev_loop *ev, ev_io *io, int revents)
{
    struct listener *listener = container_of(io, struct listener, io);
    unsigned turn = ev_iteration(ev), n;

    (void)revents;
    if (turn != listener->turn + 1)
        listener->batch = 1;
    listener->turn = turn;
    n = accept_batch(listener, listener->batch);
    if (n < listener->batch)
        listener->batch = n > 0 ? n : 1;
    else if (listener->batch < LISTENER_BATCH)
        listener->batch *= 2;
}

bool
listener_leave(struct listener *listener)
{
    if (!inherited_is(listener->io.fd))
        return false;
    ev_io_stop(loop_ev(listener->loop), &listener->io);
    timer_deinit(&listener->pause);
    return true;
}

void
listener_drain(struct listener *listener)
{
    /* To shut it down would end it for the service manager and for the process after us too. */
    if (listener_leave(listener))
        return;
    (void)accept_batch(listener, LISTENER_BACKLOG);
    shutdown(listener->io.fd, SHUT_RDWR);
}

struct listener *
listener_start(struct loop *loop, int fd, struct listener_owner *owner)
{
    struct listener *listener = calloc(1, sizeof *listener);

    if (listener == NULL) {
        log_error(loop_log(loop), "listener", "out of memory");
        return NULL;
    }
    listener->loop = loop;
    listener->owner = owner;
    listener->batch = 1;
    timer_init(&listener->pause, loop, on_pause_over);
    ev_io_init(&listener->io, on_readable, fd, EV_READ);
    ev_io_start(loop_ev(loop), &listener->io);
    count_listening(listener, 1);
    return listener;
}

static void
free_listener(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct listener, free_later));
}

void
listener_stop(struct listener *listener)
{
    if (listener == NULL || listener->stopped)
        return;
    listener->stopped = true;
    if (!listener->starved)
        count_listening(listener, -1);
    ev_io_stop(loop_ev(listener->loop), &listener->io);
    timer_deinit(&listener->pause);
    loop_defer(listener->loop, &listener->free_later, free_listener);
}
