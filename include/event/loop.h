/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop -- one thread's event loop, and what all that runs on it shares.
 *
 *      wait for events → callbacks → what was posted → what was deferred → wait …
 *                         (net)        (mailbox)        (frees)
 *
 * Thread:    all on the loop's own thread, but loop_post(), which may be called from any.
 * Lifetime:  loop_new() to loop_free(), after loop_run() has returned.
 * Memory:    the scratch buffer and the pool are lent for the length of a callback.
 */
#ifndef CULVERT_EVENT_LOOP_H
#define CULVERT_EVENT_LOOP_H

#include <stddef.h>
#include <stdint.h>

struct buf_pool;
struct ev_loop;
struct log;
struct loop;
struct metrics_worker;
struct pipe;

enum {
    LOOP_SCRATCH = 65536, /* bytes of the scratch buffer */
    LOOP_HEADROOM = 64,   /* writable bytes before them, where headers go */
    LOOP_NAME = 32,       /* bytes of a connection's name, NUL included */
};

/* id stands in the names of connections. Returns NULL, logged. */
struct loop *loop_new(struct log *log, unsigned id);
void loop_free(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * After loop_run() has returned: delivers what was posted since. To be called while those whom
 * messages may name still exist.
 */
void loop_deliver(struct loop *loop);

/* Monotonic seconds, as of the beginning of this turn. */
double loop_now(const struct loop *loop);
/* The same clock, as of now: for what is over within a turn. */
double loop_clock(void);

struct log *loop_log(const struct loop *loop);
unsigned loop_id(const struct loop *loop);

/* The name of a connection in logs, "WORKER-NUMBER". Returns out, of LOOP_NAME bytes. */
const char *loop_connection_name(const struct loop *loop, uint64_t number, char *out);

struct buf_pool *loop_pool(struct loop *loop);

/* What this loop's thread counts; any thread may read it. Turns, sockets and buffers are counted
 * here, at the end of each turn. */
struct metrics_worker *loop_metrics(const struct loop *loop);

/* Lends pipes from now on: for loops that move bytes. */
void loop_open_pipes(struct loop *loop);
/* An empty one, or NULL: then bytes have to be copied. */
struct pipe *loop_pipe_get(struct loop *loop);
void loop_pipe_put(struct loop *loop, struct pipe *pipe);

/*
 * Sockets in use on this loop, and the pipes that are there for a while. A descriptor that is missing for a target costs a client its
 * connection; counting lets the accepting side stop before it comes to that.
 */
void loop_count_socket(struct loop *loop, int change);
size_t loop_sockets(const struct loop *loop);

/* LOOP_SCRATCH bytes, with LOOP_HEADROOM writable bytes before them. One user at a time: nobody
 * keeps it over a return to the loop. */
uint8_t *loop_scratch(struct loop *loop);

/* Of the library that is linked: major << 8 | minor. */
unsigned loop_libev_version(void);

/* For event/ and net/ only. */
struct ev_loop *loop_ev(struct loop *loop);

/* ---- later in this turn ---- */

/* Embedded in what is to be freed (or done) when the callbacks of this turn have run. */
struct loop_deferred {
    struct loop_deferred *next;
    void (*run)(struct loop_deferred *deferred);
};

/* In the order in which they were deferred. May be called once until it has run. */
void loop_defer(struct loop *loop, struct loop_deferred *deferred,
                void (*run)(struct loop_deferred *deferred));

/* ---- from another thread ---- */

/* Embedded in what is sent to another thread. */
struct loop_message {
    struct loop_message *next;
    void (*deliver)(struct loop_message *message); /* on the receiving thread; owns the message */
};

/* Any thread. Messages of one sender arrive in order. One that is posted after the loop ended is
 * delivered by loop_free(). */
void loop_post(struct loop *loop, struct loop_message *message);

#endif
