/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log -- lines of text or JSON to a descriptor or a file: time, level, whose line it is, text,
 * fields.
 *
 *     2026-11-23T02:05:41.123Z info   1-42 closed route=/vnc client=127.0.0.1:41024 code=1000 …
 *     {"time":"2026-11-23T02:05:41.123Z","level":"info","who":"1-42","message":"closed"}
 *
 * "1-42" is connection 42 of worker 1; lines about no connection name a module there.
 *
 *      log_line ──→ log_repeats ──→ log_entry ──→ log_sink ──→ write(2)
 *      log_event ───────────────────────┘
 *
 * Warnings and errors that repeat are limited (base/log_repeats.h); other lines never are.
 *
 * Thread:    any; a line is one write(2), so lines do not mix. log_apply() and log_reopen() are for
 *            one thread at a time, while others go on writing.
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

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON, /* one object a line, always valid UTF-8 */
};

struct log;

struct log_options {
    int fd;           /* borrowed; where lines go without a file */
    const char *file; /* appended to, made with mode 0640; NULL: fd. Copied */
    enum log_format format;
    enum log_level level;
};

/* Returns NULL with errno set: the file cannot be opened, or there is no memory. */
struct log *log_open(const struct log_options *options) __attribute__((warn_unused_result));
void log_close(struct log *log);

/*
 * Goes on with another level, format and file; fd stays as it was opened. A file of the same path
 * is not opened again: that is what log_reopen() is for. No line is lost; one that another thread
 * is just writing may still be in the old format, or go to the old file. Returns -1, logged, if the
 * file cannot be opened: then nothing has changed.
 */
int log_apply(struct log *log, const struct log_options *options)
    __attribute__((warn_unused_result));

/*
 * Opens the file at its path again, which somebody has renamed; lines go to the old one until the
 * new one is open. Without a file nothing is done. Returns -1, logged, if it cannot be opened: the
 * old one is kept.
 */
int log_reopen(struct log *log);

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

/* who: the connection ("1-42") or the module. Control characters in the text are escaped; long
 * lines are cut. The format is a literal: lines of one format are of one kind. */
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

/* Each name is explained in contrib/man/culvert.1, and none is one of JSON's own: time, level, who,
 * message, event. */
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
