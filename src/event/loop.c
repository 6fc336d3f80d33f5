/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   ev_run:  prepare ──→ epoll_wait ──→ check ──→ io, timers, async (mailbox) ──┐
 *               ▲        clock is read here, once; what follows is one turn     │
 *               └── what was deferred runs before the loop waits again ─────────┘
 */
#include "event/loop.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pipes.h"
#include "event/mailbox.h"

enum {
    POOL_CEILING = 64, /* free blocks kept: 1 MiB a worker */
};

struct loop {
    struct ev_loop *ev;
    struct log *log;
    struct metrics_worker *metrics;
    double now;
    struct loop_deferred *deferred; /* in order */
    struct loop_deferred **deferred_end;
    struct buf_pool pool;
    struct pipe_pool pipes;
    struct mailbox mailbox;
    ev_prepare prepare;
    ev_check check;
    ev_async async;
    unsigned id;
    bool in_turn; /* between check and prepare */
    size_t n_sockets;
    uint8_t *scratch; /* LOOP_HEADROOM before it belongs to it too */
};

double
loop_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
run_deferred(struct loop *loop)
{
    struct loop_deferred *deferred;

    while ((deferred = loop->deferred) != NULL) {
        loop->deferred = deferred->next;
        if (loop->deferred == NULL)
            loop->deferred_end = &loop->deferred;
        deferred->run(deferred);
    }
}

/* While a turn lasts, whoever else has an event waits. */
static void
count_turn(struct loop *loop)
{
    struct metrics_worker *metrics = loop->metrics;
    double length = loop_clock() - loop->now;

    metrics_observe(&metrics->turns, length);
    if (length * 1e9 > (double)metrics->turn_max)
        metrics_set(&metrics->turn_max, (uint64_t)(length * 1e9));
    metrics_set(&metrics->sockets, loop->n_sockets);
    metrics_set(&metrics->buffer_blocks, loop->pool.n_borrowed);
    metrics_set(&metrics->buffer_bytes, loop->pool.n_bytes + loop->pipes.n_bytes);
    metrics_set(&metrics->pipes, pipe_pool_borrowed(&loop->pipes));
}

static void
on_prepare(struct ev_loop *ev, ev_prepare *watcher, int revents)
{
    struct loop *loop = container_of(watcher, struct loop, prepare);

    (void)ev;
    (void)revents;
    run_deferred(loop);
    if (loop->in_turn)
        count_turn(loop);
    loop->in_turn = false;
}

static void
on_check(struct ev_loop *ev, ev_check *watcher, int revents)
{
    struct loop *loop = container_of(watcher, struct loop, check);

    (void)ev;
    (void)revents;
    /* ev_now() is wall-clock time, which may jump. */
    loop->now = loop_clock();
    loop->in_turn = true;
}

void
loop_deliver(struct loop *loop)
{
    struct loop_message *message = mailbox_take(&loop->mailbox);
    struct loop_message *next;

    for (; message != NULL; message = next) {
        next = message->next;
        message->deliver(message);
    }
}

static void
on_async(struct ev_loop *ev, ev_async *watcher, int revents)
{
    (void)ev;
    (void)revents;
    loop_deliver(container_of(watcher, struct loop, async));
}

static void
start_watchers(struct loop *loop)
{
    ev_prepare_init(&loop->prepare, on_prepare);
    ev_prepare_start(loop->ev, &loop->prepare);
    ev_check_init(&loop->check, on_check);
    ev_set_priority(&loop->check, EV_MAXPRI);
    ev_check_start(loop->ev, &loop->check);
    ev_async_init(&loop->async, on_async);
    ev_async_start(loop->ev, &loop->async);
}

struct loop *
loop_new(struct log *log, unsigned id)
{
    struct loop *loop = calloc(1, sizeof *loop);
    uint8_t *memory = NULL;

    if (loop == NULL)
        goto fail;
    memory = malloc(LOOP_HEADROOM + LOOP_SCRATCH);
    loop->metrics = aligned_alloc(METRICS_LINE, sizeof *loop->metrics);
    if (memory == NULL || loop->metrics == NULL)
        goto fail;
    memset(loop->metrics, 0, sizeof *loop->metrics);
    loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (loop->ev == NULL)
        goto fail;
    loop->scratch = memory + LOOP_HEADROOM;
    loop->log = log;
    loop->id = id;
    loop->deferred_end = &loop->deferred;
    loop->now = loop_clock();
    buf_pool_init(&loop->pool, POOL_CEILING);
    start_watchers(loop);
    return loop;

fail:
    log_error(log, "loop", "cannot make an event loop: out of memory or descriptors");
    free(memory);
    if (loop != NULL)
        free(loop->metrics);
    free(loop);
    return NULL;
}

void
loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_deliver(loop);
    run_deferred(loop);
    buf_pool_deinit(&loop->pool);
    pipe_pool_close(&loop->pipes);
    ev_loop_destroy(loop->ev);
    free(loop->scratch - LOOP_HEADROOM);
    free(loop->metrics);
    free(loop);
}

void
loop_run(struct loop *loop)
{
    ev_run(loop->ev, 0);
    run_deferred(loop);
}

void
loop_stop(struct loop *loop)
{
    ev_break(loop->ev, EVBREAK_ALL);
}

double
loop_now(const struct loop *loop)
{
    return loop->now;
}

struct log *
loop_log(const struct loop *loop)
{
    return loop->log;
}

unsigned
loop_id(const struct loop *loop)
{
    return loop->id;
}

const char *
loop_connection_name(const struct loop *loop, uint64_t number, char *out)
{
    snprintf(out, LOOP_NAME, "%u-%" PRIu64, loop->id, number);
    return out;
}

struct buf_pool *
loop_pool(struct loop *loop)
{
    return &loop->pool;
}

struct metrics_worker *
loop_metrics(const struct loop *loop)
{
    return loop->metrics;
}

void
loop_count_socket(struct loop *loop, int change)
{
    loop->n_sockets += (size_t)change;
}

size_t
loop_sockets(const struct loop *loop)
{
    return loop->n_sockets + pipe_pool_descriptors(&loop->pipes);
}

void
loop_open_pipes(struct loop *loop)
{
    pipe_pool_open(&loop->pipes);
}

struct pipe *
loop_pipe_get(struct loop *loop)
{
    return pipe_get(&loop->pipes);
}

void
loop_pipe_put(struct loop *loop, struct pipe *pipe)
{
    pipe_put(&loop->pipes, pipe);
}

uint8_t *
loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

struct ev_loop *
loop_ev(struct loop *loop)
{
    return loop->ev;
}

void
loop_defer(struct loop *loop, struct loop_deferred *deferred,
           void (*run)(struct loop_deferred *deferred))
{
    deferred->run = run;
    deferred->next = NULL;
    *loop->deferred_end = deferred;
    loop->deferred_end = &deferred->next;
    /* An event that what was deferred has fed: the loop must not wait before this has run too. */
    if (!loop->in_turn)
        ev_feed_event(loop->ev, &loop->prepare, 0);
}

void
loop_post(struct loop *loop, struct loop_message *message)
{
    if (mailbox_push(&loop->mailbox, message))
        ev_async_send(loop->ev, &loop->async);
}

unsigned
loop_libev_version(void)
{
    return (unsigned)ev_version_major() << 8 | (unsigned)ev_version_minor();
}
