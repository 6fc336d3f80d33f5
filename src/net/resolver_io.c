/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/resolver_io.h"

#include <assert.h>
#include <ev.h>
#include <stdlib.h>

#include "base/log.h"
#include "event/loop.h"

enum {
    TRIES = 2, /* of each server; the second waits twice as long */
    TRY_MILLISECONDS = 2000,
};

struct watch {
    ev_io ev;
    struct list link;
    struct resolver_io *io;
};

static void
rearm(struct resolver_io *io)
{
    struct timeval left;

    if (ares_timeout(io->channel, NULL, &left) == NULL) {
        timer_set(&io->timeout, 0);
        return;
    }
    /* A millisecond late rather than early, which would be in vain. */
    timer_set(&io->timeout,
              loop_now(io->loop) + (double)left.tv_sec + (double)left.tv_usec / 1e6 + 0.001);
}

static void
timed_out(struct timer *timer)
{
    struct resolver_io *io = container_of(timer, struct resolver_io, timeout);

    ares_process_fd(io->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(io);
}

static void
socket_ready(struct ev_loop *loop, ev_io *ev, int events)
{
    struct resolver_io *io = container_of(ev, struct watch, ev)->io;
    int fd = ev->fd;

    (void)loop;
    /* c-ares may close the socket, and socket_changed() free the watch, before this returns. */
    ares_process_fd(io->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    rearm(io);
}

static struct watch *
find_watch(struct resolver_io *io, int fd)
{
    for (struct list *at = io->watches.next; at != &io->watches; at = at->next) {
        struct watch *watch = container_of(at, struct watch, link);

        if (watch->ev.fd == fd)
            return watch;
    }
    return NULL;
}

static void
drop_watch(struct watch *watch)
{
    ev_io_stop(loop_ev(watch->io->loop), &watch->ev);
    list_remove(&watch->link);
    free(watch);
}

static struct watch *
new_watch(struct resolver_io *io, int fd)
{
    struct watch *watch = malloc(sizeof *watch);

    if (watch == NULL) {
        /* The query runs into its timeout. */
        log_error(loop_log(io->loop), "resolver", "out of memory");
        return NULL;
    }
    watch->io = io;
    ev_io_init(&watch->ev, socket_ready, fd, 0);
    list_add(&io->watches, &watch->link);
    return watch;
}

/* c-ares tells what it wants to know of a socket; nothing at all when it is about to close it. */
static void
socket_changed(void *cookie, ares_socket_t fd, int readable, int writable)
{
    struct resolver_io *io = cookie;
    struct watch *watch = find_watch(io, fd);
    struct ev_loop *loop = loop_ev(io->loop);

    if (!readable && !writable) {
        if (watch != NULL)
            drop_watch(watch);
        return;
    }
    if (watch == NULL && (watch = new_watch(io, fd)) == NULL)
        return;
    ev_io_stop(loop, &watch->ev);
    ev_io_set(&watch->ev, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(loop, &watch->ev);
}

int
resolver_io_open(struct resolver_io *io, struct loop *loop, const char *servers)
{
    char lookups[] = "fb"; /* /etc/hosts first, whatever nsswitch.conf says */
    struct ares_options options = {.timeout = TRY_MILLISECONDS,
                                   .tries = TRIES,
                                   .lookups = lookups,
                                   .sock_state_cb = socket_changed,
                                   .sock_state_cb_data = io};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    int status;

    io->loop = loop;
    list_init(&io->watches);
    timer_init(&io->timeout, loop, timed_out);
    status = ares_init_options(&io->channel, &options, mask);
    if (status != ARES_SUCCESS || servers == NULL)
        return status;
    status = ares_set_servers_ports_csv(io->channel, servers);
    if (status != ARES_SUCCESS)
        ares_destroy(io->channel);
    return status;
}

void
resolver_io_close(struct resolver_io *io)
{
    ares_destroy(io->channel);
    assert(list_empty(&io->watches));
    timer_deinit(&io->timeout);
}

void
resolver_io_asked(struct resolver_io *io)
{
    rearm(io);
}
