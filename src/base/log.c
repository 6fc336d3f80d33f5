/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log_entry.h"
#include "base/log_repeats.h"
#include "base/log_sink.h"

struct log {
    struct log_sink sink;
    struct log_repeats repeats;
    atomic_int level;
    atomic_int format;
};

static uint64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum log_format
format_of(struct log *log)
{
    return (enum log_format)atomic_load_explicit(&log->format, memory_order_relaxed);
}

/* ---- writing ---- */

static void
write_message(struct log *log, enum log_level level, const char *who, const char *text)
{
    struct log_entry entry;

    log_entry_begin(&entry, format_of(log), log_level_name(level), who);
    log_entry_message(&entry, text);
    log_entry_end(&entry);
    log_sink_write(&log->sink, &entry);
}

/* Sums up what was suppressed in windows that are over. */
static void
tell_repeats(struct log *log, uint64_t now)
{
    struct log_repeats_sum sum;
    char text[LOG_REPEATS_TEXT_MAX + 80];

    while (log_repeats_take(&log->repeats, now, &sum)) {
        snprintf(text, sizeof text,
                 sum.same ? "%s (repeated %llu times within %d s)"
                          : "%s (and %llu more like it within %d s)",
                 sum.text, sum.same ? sum.n : sum.n - 1, LOG_REPEATS_WINDOW / 1000);
        write_message(log, sum.level, "log", text);
    }
}

void
log_line(struct log *log, enum log_level level, const char *who, const char *format, ...)
{
    char text[LOG_ENTRY_MAX];
    va_list args;
    uint64_t now;

    if (!log_on(log, level))
        return;
    now = now_ms();
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell_repeats(log, now);
    if (level <= LOG_LEVEL_WARN && !log_repeats_admit(&log->repeats, now, level, format, text))
        return;
    write_message(log, level, who, text);
}

void
log_event(struct log *log, const char *kind, const char *who, const char *what,
          const struct log_field *fields, unsigned n_fields)
{
    struct log_entry entry;

    tell_repeats(log, now_ms());
    log_entry_begin(&entry, format_of(log), kind, who);
    log_entry_event(&entry, what);
    for (unsigned i = 0; i < n_fields; i++)
        log_entry_field(&entry, &fields[i]);
    log_entry_end(&entry);
    log_sink_write(&log->sink, &entry);
}

/* ---- level, format and file ---- */

static void
adopt(struct log *log, const struct log_options *options)
{
    atomic_store_explicit(&log->format, (int)options->format, memory_order_relaxed);
    log_set_level(log, options->level);
}

struct log *
log_open(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log_sink_init(&log->sink, options->fd);
    log_repeats_init(&log->repeats);
    adopt(log, options);
    if (options->file != NULL && log_sink_open(&log->sink, options->file) != 0) {
        int error = errno;

        log_close(log);
        errno = error;
        return NULL;
    }
    return log;
}

void
log_close(struct log *log)
{
    if (log == NULL)
        return;
    tell_repeats(log, UINT64_MAX);
    log_sink_settle(&log->sink, format_of(log));
    log_sink_deinit(&log->sink);
    log_repeats_deinit(&log->repeats);
    free(log);
}

static int
open_or_say(struct log *log, const char *file)
{
    if (log_sink_open(&log->sink, file) == 0)
        return 0;
    log_error(log, "log", "cannot open %s: %s; the log stays where it was", file, strerror(errno));
    return -1;
}

static bool
is_other(const char *file, const char *than)
{
    if (file == NULL || than == NULL)
        return file != than;
    return strcmp(file, than) != 0;
}

int
log_apply(struct log *log, const struct log_options *options)
{
    if (is_other(options->file, log->sink.path) && open_or_say(log, options->file) != 0)
        return -1;
    adopt(log, options);
    return 0;
}

int
log_reopen(struct log *log)
{
    if (log->sink.path == NULL)
        return 0;
    return open_or_say(log, log->sink.path);
}

void
log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

bool
log_on(const struct log *log, enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}
