/* SPDX-License-Identifier: BSD-2-Clause */
#include "event/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "event/loop.h"

struct worker {
    pthread_t thread;
    struct loop *loop;
};

static void *
body(void *argument)
{
    struct worker *worker = argument;
    char name[16];

    snprintf(name, sizeof name, "worker-%u", loop_id(worker->loop) % 1000);
    pthread_setname_np(pthread_self(), name);
    loop_run(worker->loop);
    return NULL;
}

struct worker *
worker_start(struct loop *loop)
{
    struct worker *worker = malloc(sizeof *worker);
    sigset_t all, old;
    int error = 0;

    if (worker == NULL)
        goto fail;
    worker->loop = loop;
    /* A thread inherits the mask; main alone takes signals. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&worker->thread, NULL, body, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0)
        goto fail;
    return worker;

fail:
    log_error(loop_log(loop), "worker", "cannot start a thread: %s",
              error != 0 ? strerror(error) : "out of memory");
    free(worker);
    return NULL;
}

void
worker_join(struct worker *worker)
{
    if (worker == NULL)
        return;
    pthread_join(worker->thread, NULL);
    free(worker);
}
