/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log -- lines to standard error: time, level, whose line it is, text, fields.
 *
 *     2026-11-23T02:05:41.123Z info  1-42 closed route=/vnc client=127.0.0.1:41024 code=1000 …
 *
 * "1-42" is connection 42 of worker 1; lines about no connection name a module there.
 *
 * Thread:    any; a line is one write(2), so lines do not mix.
 * Lifetime:  log_open() to log_close(), which is after all threads have ended.
 * Errors:    nobody waits for the log: a line that a pipe or a disk does not take is lost, and the
 *            next one that is taken is preceded by one that says how many.
 */
#ifndef CULVERT_BASE_LOG_H
#define CULVERT_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

struct log;

/* fd is borrowed. Returns NULL without memory. */
struct log *log_open(int fd, enum log_level level);
void log_close(struct log *log);

/* From any thread, at any time. */
void log_set_level(struct log *log, enum log_level level);

static inline const char *
log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    return names[level];
}

/* Whether a line of that level would be written: to save the work of making its text. */
bool log_on(const struct log *log, enum log_level level);

/* who: the connection ("1-42") or the module. Control characters in the text are written as \xNN;
 * long lines are cut. */
void log_line(struct log *log, enum log_level level, const char *who, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(log, who, ...) log_line((log), LOG_LEVEL_ERROR, (who), __VA_ARGS__)
#define log_warn(log, who, ...)  log_line((log), LOG_LEVEL_WARN, (who), __VA_ARGS__)
#define log_info(log, who, ...)  log_line((log), LOG_LEVEL_INFO, (who), __VA_ARGS__)
/* Arguments are not evaluated when the level is off. */
#define log_debug(log, who, ...)                                                                   \
    do {                                                                                           \
        if (log_on((log), LOG_LEVEL_DEBUG))                                                        \
            log_line((log), LOG_LEVEL_DEBUG, (who), __VA_ARGS__);                                  \
    } while (0)

/* ---- lines with fields ---- */

enum log_field_type {
    LOG_TEXT,     /* quoted if it holds blanks, quotes or control characters */
    LOG_NUMBER,   /* an unsigned integer */
    LOG_DURATION, /* seconds, printed with milliseconds */
};

struct log_field {
    const char *name;
    enum log_field_type type;
    const char *text; /* NULL: the field is left out */
    uint64_t number;
    double seconds;
};

/* Always written, whatever the level: the caller has decided (`access = no`). */
void log_event(struct log *log, const char *kind, const char *who, const char *what,
               const struct log_field *fields, unsigned n_fields);

#endif
