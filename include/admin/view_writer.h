/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view_writer -- how a family of metrics is written, and what all workers have counted; shared by the files
 * that write them (view_metrics.c, view_conversations.c).
 *
 * Thread:    main's.
 */
#ifndef CULVERT_ADMIN_VIEW_WRITER_H
#define CULVERT_ADMIN_VIEW_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"

struct text;
struct view;

/* A route's name and what all workers have counted of it. */
struct sum {
    const char *name;
    struct metrics_route of;
};

struct writer {
    struct text *out;
    const struct view *view;
    struct sum *sums;
    size_t n_sums;
    struct metrics_worker all; /* workers together */
};

/* HELP and TYPE. */
void writer_family(const struct writer *writer, const char *name, const char *type,
                   const char *help);

/* A sample: name{label="value"} n. */
void writer_one_label(const struct writer *writer, const char *name, const char *label,
                      const char *value, uint64_t n);

/* ---- families ---- */

void writer_sessions(const struct writer *writer);
void writer_topics(const struct writer *writer);

#endif
