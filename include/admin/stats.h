/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats -- one log line of exact figures on SIGUSR2, where the environment has CULVERT_STATS=1: for
 * tests and for the hunt for leaks. Asking allocates nothing, so that it does not change what it
 * measures.
 *
 *      main ──ask──→ every worker counts ──→ main adds up, and logs when the last has answered:
 *      stats live_bytes=… connections=… blocks=… fds=…
 *
 * Thread:    main's; the counting itself is on the workers.
 */
#ifndef CULVERT_ADMIN_STATS_H
#define CULVERT_ADMIN_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct service;
struct stats_question;

struct stats {
    struct loop *loop; /* main's; NULL: not wanted */
    struct stats_question *questions;
    unsigned n_questions;
    unsigned n_waiting; /* answers still to come */
    size_t connections;
    size_t blocks;
};

/* Returns 0, or -1 without memory, logged. */
int stats_init(struct stats *stats, struct loop *loop, unsigned n_services);
void stats_deinit(struct stats *stats);

/* Returns whether to ask now: not wanted, or a round is under way, otherwise. */
bool stats_begin(struct stats *stats);
void stats_ask(struct stats *stats, unsigned index, struct service *service);

#endif
