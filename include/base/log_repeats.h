/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_repeats -- keeps lines that repeat from filling the disk: a target that is down under a
 * thousand connections a second.
 *
 * Of the same text of the same place in the code, LOG_REPEATS_TEXT lines are written within a
 * window of LOG_REPEATS_WINDOW, and of one place, whatever the text, LOG_REPEATS_PLACE. What is
 * more is counted, and summed up in one line after the window. A window begins with its first line.
 *
 *      window  | 1 2 … 10 ···(counted)··· | "TEXT (repeated 1234 times within 10 s)", 1 2 …
 *
 * Who the line is about is no part of the text. Memory is fixed: when more kinds are about than
 * there is room for, those that find none are limited by place, or not at all.
 *
 * Thread:    any. The lock is held for a look-up, never for a write.
 */
#ifndef CULVERT_BASE_LOG_REPEATS_H
#define CULVERT_BASE_LOG_REPEATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum {
    LOG_REPEATS_WINDOW = 10000, /* milliseconds */
    LOG_REPEATS_TEXT = 10,
    LOG_REPEATS_PLACE = 100,
    LOG_REPEATS_KINDS = 64,     /* texts, and places, that are watched at a time */
    LOG_REPEATS_TEXT_MAX = 256, /* of a text that is kept for summing up */
};

/* What was suppressed of one kind. */
struct log_repeats_sum {
    enum log_level level;
    bool same; /* text; or else of the same place, text being the first of them */
    unsigned long long n;
    char text[LOG_REPEATS_TEXT_MAX];
};

/* Free when until has passed and the sum is 0. */
struct log_repeats_kind {
    uint64_t key;
    uint64_t until; /* end of the window */
    unsigned written;
    struct log_repeats_sum sum;
};

struct log_repeats {
    pthread_mutex_t lock;
    atomic_ullong due; /* when there is something to sum up; ULLONG_MAX: never */
    struct log_repeats_kind texts[LOG_REPEATS_KINDS];
    struct log_repeats_kind places[LOG_REPEATS_KINDS];
};

void log_repeats_init(struct log_repeats *repeats);
void log_repeats_deinit(struct log_repeats *repeats);

/* Whether to write the line, and counts it. place: the format, a literal. now: milliseconds of a
 * clock that does not jump. */
bool log_repeats_admit(struct log_repeats *repeats, uint64_t now, enum log_level level,
                       const char *place, const char *text);

/*
 * Takes out what was suppressed of one kind whose window is over; false if there is none. Cheap
 * then: without the lock. UINT64_MAX is after the end of all windows.
 */
bool log_repeats_take(struct log_repeats *repeats, uint64_t now, struct log_repeats_sum *sum);

#endif
