/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

void
conf_report_init(struct conf_report *report, const char *file)
{
    report->file = strdup(file);
    report->mistakes = NULL;
    report->n_mistakes = 0;
}

void
conf_report_deinit(struct conf_report *report)
{
    for (size_t i = 0; i < report->n_mistakes; i++)
        free(report->mistakes[i].text);
    free(report->mistakes);
    free(report->file);
    report->file = NULL;
    report->mistakes = NULL;
    report->n_mistakes = 0;
}

bool
conf_report_full(const struct conf_report *report)
{
    return report->n_mistakes >= CONF_MISTAKES_MAX;
}

/* Control characters would let a configuration, or a variable in it, write to the terminal of
 * whoever checks it, or begin a line that looks like another mistake. */
static char *
printable(const char *text)
{
    char *out = malloc(strlen(text) * 4 + 1);
    char *end = out;

    if (out == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            end += sprintf(end, "\\x%02x", c);
        else
            *end++ = (char)c;
    }
    *end = '\0';
    return out;
}

/* The array has room for the next power of two. */
static int
make_room(struct conf_report *report)
{
    size_t n = report->n_mistakes;
    struct conf_mistake *grown;

    if (n != 0 && (n & (n - 1)) != 0)
        return 0;
    grown = realloc(report->mistakes, (n == 0 ? 1 : 2 * n) * sizeof(*grown));
    if (grown == NULL)
        return -1;
    report->mistakes = grown;
    return 0;
}

static void
insert(struct conf_report *report, unsigned line, char *text)
{
    size_t at = report->n_mistakes;

    while (at > 0 && report->mistakes[at - 1].line > line)
        at--;
    memmove(&report->mistakes[at + 1], &report->mistakes[at],
            (report->n_mistakes - at) * sizeof(report->mistakes[0]));
    report->mistakes[at].line = line;
    report->mistakes[at].text = text;
    report->n_mistakes++;
}

void
conf_report_add(struct conf_report *report, unsigned line, const char *format, ...)
{
    va_list args;
    char *raw = NULL;
    char *text;

    if (conf_report_full(report))
        return;
    va_start(args, format);
    if (vasprintf(&raw, format, args) < 0)
        raw = NULL;
    va_end(args);

    text = raw == NULL ? NULL : printable(raw);
    free(raw);
    /* Without memory the mistake is not shown, but the loader still refuses: it does not look here
     * to know whether there were any. */
    if (text == NULL || make_room(report) != 0) {
        free(text);
        return;
    }
    insert(report, line, text);
}

void
conf_report_print(const struct conf_report *report, FILE *out)
{
    const char *file = report->file == NULL ? "configuration" : report->file;

    for (size_t i = 0; i < report->n_mistakes; i++) {
        const struct conf_mistake *mistake = &report->mistakes[i];
        if (mistake->line == 0)
            fprintf(out, "%s: %s\n", file, mistake->text);
        else
            fprintf(out, "%s:%u: %s\n", file, mistake->line, mistake->text);
    }
    if (conf_report_full(report))
        fprintf(out, "%s: there may be more: only the first %u mistakes are shown\n", file,
                CONF_MISTAKES_MAX);
}
