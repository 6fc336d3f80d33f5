/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics_routes -- the counters of routes, found by the route's name: they outlive configuration
 * snapshots, so that a route goes on counting where it was after a reload.
 *
 *      registry → entry "/vnc" → struct metrics_route of main, of worker 1, of worker 2 …
 *               → entry "/mqtt" → …
 *
 * A snapshot holds a reference to the entry of each of its routes. One that nobody holds any more
 * (its route was removed, and its last connection has ended) is shown until the next
 * metrics_routes_prune(). Names over METRICS_ROUTES_MAX count together, as "other".
 *
 * Thread:    main's, but metrics_entry_put() and metrics_entry_worker(), which are for any.
 * Lifetime:  the registry outlives the snapshots and the workers.
 */
#ifndef CULVERT_BASE_METRICS_ROUTES_H
#define CULVERT_BASE_METRICS_ROUTES_H

#include <stddef.h>

#include "base/metrics.h"

struct metrics_entry;
struct metrics_routes;

enum {
    METRICS_ROUTES_MAX = 1000,
};

/* n_workers: of loops with an id from 1 on. Returns NULL without memory. */
struct metrics_routes *metrics_routes_new(unsigned n_workers);
/* NULL is fine. All references must have been put. */
void metrics_routes_free(struct metrics_routes *routes);

/* The entry of a name, with a reference for the caller. NULL without memory. */
struct metrics_entry *metrics_routes_get(struct metrics_routes *routes, const char *name)
    __attribute__((warn_unused_result));
void metrics_entry_put(struct metrics_entry *entry);

/* Forgets the entries that nobody holds. To be called before the gets of a new snapshot. */
void metrics_routes_prune(struct metrics_routes *routes);

/* The counters that the worker with that loop_id() writes. */
struct metrics_route *metrics_entry_worker(struct metrics_entry *entry, unsigned loop_id);

/* ---- reading ---- */

/* In the order in which they came; NULL begins, and ends. */
struct metrics_entry *metrics_routes_next(const struct metrics_routes *routes,
                                          const struct metrics_entry *entry);
const char *metrics_entry_name(const struct metrics_entry *entry);

/* All workers together; sum is overwritten. */
void metrics_entry_sum(const struct metrics_entry *entry, struct metrics_route *sum);

#endif
