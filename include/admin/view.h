/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view -- all that the admin listener shows, in one place, and how it is written: as Prometheus
 * text (/metrics) and as JSON (/status).
 *
 * Thread:    main's. Workers' counters are read while they count; nobody is asked or kept waiting.
 * Ownership: everything is borrowed.
 */
#ifndef CULVERT_ADMIN_VIEW_H
#define CULVERT_ADMIN_VIEW_H

#include <stdbool.h>
#include <stddef.h>

struct metrics_route;
struct metrics_routes;
struct metrics_worker;
struct snapshot;
struct text;

struct view {
    const struct snapshot *snapshot; /* the current one */
    const struct metrics_routes *routes;
    const struct metrics_worker *const *workers;
    size_t n_workers;
    bool draining;
    bool reload_ok;   /* the last one, or the start */
    double reload_at; /* of the last that was good; these two are wall-clock seconds */
    double started;
};

/* NULL, or why no new clients should be sent here. */
const char *view_unready(const struct view *view);

void view_write_metrics(const struct view *view, struct text *out);
void view_write_status(const struct view *view, struct text *out);

/* ---- for the two writers ---- */

/* All workers together; sum is overwritten. */
void view_sum_workers(const struct view *view, struct metrics_worker *sum);

/* Conversations that are open now, over all transports. */
size_t view_bridged(const struct metrics_route *route);

#endif
