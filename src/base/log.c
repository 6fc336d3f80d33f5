/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 2048, /* longer lines are cut */
};

struct log {
    int fd;
    bool may_block;     /* a pipe or a terminal, whose reader may have stopped */
    atomic_ullong lost; /* lines, since the last that was written */
    atomic_int level;
};

/* A line in the making; always leaves room for the newline. */
struct line {
    size_t len;
    char text[LINE_MAX_BYTES];
};

struct log *
log_open(int fd, enum log_level level)
{
    struct log *log = malloc(sizeof *log);
    struct stat status;

    if (log == NULL)
        return NULL;
    log->fd = fd;
    log->may_block = fstat(fd, &status) != 0 || !S_ISREG(status.st_mode);
    atomic_init(&log->lost, 0);
    atomic_init(&log->level, (int)level);
    return log;
}

void
log_close(struct log *log)
{
    free(log);
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

static void
put_byte(struct line *line, char byte)
{
    if (line->len < sizeof line->text - 1)
        line->text[line->len++] = byte;
}

static void
put_text(struct line *line, const char *text)
{
    while (*text != '\0')
        put_byte(line, *text++);
}

/* Control characters could forge lines or drive a terminal. */
static void
put_escaped(struct line *line, const char *text, bool quoted)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c;

    for (; (c = (unsigned char)*text) != '\0'; text++) {
        if (c < 0x20 || c == 0x7f) {
            put_text(line, "\\x");
            put_byte(line, hex[c >> 4]);
            put_byte(line, hex[c & 15]);
            continue;
        }
        if (quoted && (c == '"' || c == '\\'))
            put_byte(line, '\\');
        put_byte(line, (char)c);
    }
}

static void
put_head(struct line *line, const char *kind, const char *who)
{
    struct timespec now;
    struct tm tm;
    char text[48];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    line->len = strftime(line->text, sizeof line->text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, ".%03ldZ %-6s ", now.tv_nsec / 1000000, kind);
    put_text(line, text);
    put_text(line, who);
    put_byte(line, ' ');
}

/* Workers do not wait for whoever reads the log. */
static bool
takes_more(const struct log *log)
{
    struct pollfd poller = {.fd = log->fd, .events = POLLOUT};

    return !log->may_block || (poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0);
}

static bool
put_out(struct log *log, struct line *line)
{
    line->text[line->len++] = '\n';
    return takes_more(log) && write(log->fd, line->text, line->len) == (ssize_t)line->len;
}

static void
tell_lost(struct log *log, unsigned long long lost)
{
    struct line line;
    char text[64];

    put_head(&line, "warn", "log");
    snprintf(text, sizeof text, "%llu lines were lost", lost);
    put_text(&line, text);
    if (!put_out(log, &line))
        atomic_fetch_add(&log->lost, lost);
}

static void
put_line(struct log *log, struct line *line)
{
    unsigned long long lost = 0;

    if (atomic_load_explicit(&log->lost, memory_order_relaxed) > 0 && takes_more(log))
        lost = atomic_exchange(&log->lost, 0);
    if (lost > 0)
        tell_lost(log, lost);
    if (!put_out(log, line))
        atomic_fetch_add(&log->lost, 1);
}

void
log_line(struct log *log, enum log_level level, const char *who, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    struct line line;
    va_list args;

    if (!log_on(log, level))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_head(&line, log_level_name(level), who);
    put_escaped(&line, text, false);
    put_line(log, &line);
}

static bool
needs_quotes(const char *text)
{
    if (*text == '\0')
        return true;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || *text == '"' || *text == '\\' || *text == 0x7f)
            return true;
    return false;
}

static void
put_field(struct line *line, const struct log_field *field)
{
    char number[32];
    bool quoted;

    if (field->type == LOG_TEXT && field->text == NULL)
        return;
    put_byte(line, ' ');
    put_text(line, field->name);
    put_byte(line, '=');
    if (field->type != LOG_TEXT) {
        if (field->type == LOG_NUMBER)
            snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
        else
            snprintf(number, sizeof number, "%.3f", field->seconds);
        put_text(line, number);
        return;
    }
    quoted = needs_quotes(field->text);
    if (quoted)
        put_byte(line, '"');
    put_escaped(line, field->text, quoted);
    if (quoted)
        put_byte(line, '"');
}

void
log_event(struct log *log, const char *kind, const char *who, const char *what,
          const struct log_field *fields, unsigned n_fields)
{
    struct line line;
    unsigned i;

    put_head(&line, kind, who);
    put_escaped(&line, what, false);
    for (i = 0; i < n_fields; i++)
        put_field(&line, &fields[i]);
    put_line(log, &line);
}
