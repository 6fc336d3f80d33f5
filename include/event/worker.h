/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker -- one thread that runs one loop.
 *
 * Thread:    worker_start() and worker_join() on the main thread. Everything of the loop may be set
 *            up by main before the start and be taken down by it after the join; in between it is
 *            the worker's.
 * Signals:   all are blocked in the worker.
 */
#ifndef CULVERT_EVENT_WORKER_H
#define CULVERT_EVENT_WORKER_H

struct loop;
struct worker;

/* Borrows loop. Returns NULL, logged. */
struct worker *worker_start(struct loop *loop);

/* Waits for loop_run() to return, then frees the worker. NULL is fine. */
void worker_join(struct worker *worker);

#endif
