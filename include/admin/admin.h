/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin -- the listener of `admin =`: health, readiness, metrics, status, and a page with live
 * figures.
 *
 *      GET /healthz   200 "ok" while the process is alive, also while it drains
 *      GET /readyz    200 "ready"; 503 with the reason while it drains or no worker accepts
 *      GET /metrics   Prometheus text format 0.0.4
 *      GET /status    the same figures in brief, as JSON
 *      GET /          a page that shows /status
 *
 * A page of another site must not read it through its visitor's browser: a Host is refused that is
 * no IP address, neither "localhost" nor this machine's name (DNS rebinding); no answer has CORS
 * headers. At most ADMIN_CONNECTIONS_MAX clients are there at a time; for one more, one that waits
 * without a request is closed, the longest waiting first.
 *
 * Thread:    main's. Figures are read from the workers' counters while they count: no worker is
 *            asked, woken or kept waiting by a scrape.
 * Lifetime:  admin_open() to admin_close(); the workers' counters outlive it.
 * Errors:    as told below, logged.
 */
#ifndef CULVERT_ADMIN_ADMIN_H
#define CULVERT_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

struct admin;
struct conf;
struct loop;
struct metrics_routes;
struct metrics_worker;
struct snapshot;

enum {
    ADMIN_CONNECTIONS_MAX = 32,
};

struct admin_options {
    struct loop *loop;                           /* main's */
    struct snapshot *snapshot;                   /* a reference is taken */
    const struct metrics_routes *routes;         /* borrowed */
    const struct metrics_worker *const *workers; /* the array is copied, its members borrowed */
    size_t n_workers;
};

/*
 * Opens what the configuration says. *admin is NULL after `admin = off`, and if the default address
 * cannot be had (a warning); one that was configured and cannot be had is an error: -1. All
 * functions below take NULL.
 */
int admin_open(const struct admin_options *options, struct admin **admin)
    __attribute__((warn_unused_result));
void admin_close(struct admin *admin);

/* Descriptors to keep free for it. */
size_t admin_descriptors(const struct conf *conf);

/* From now on /readyz says so, and /metrics. */
void admin_set_draining(struct admin *admin, bool draining);

/* After a reload: the snapshot that is served from now on (a reference is taken), and whether it
 * was good; after a bad one the old snapshot stays and admin_note_reload() alone is called. */
void admin_set_snapshot(struct admin *admin, struct snapshot *snapshot);
void admin_note_reload(struct admin *admin, bool ok);

#endif
