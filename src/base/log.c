/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 2048, /* longer lines are cut */
};

struct log {
    int fd;
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

    if (log == NULL)
        return NULL;
    log->fd = fd;
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

static void
put_out(const struct log *log, struct line *line)
{
    line->text[line->len++] = '\n';
    if (write(log->fd, line->text, line->len) < 0)
        return; /* there is nowhere to report it; the line is lost */
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
    put_out(log, &line);
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
    put_out(log, &line);
}
