/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* More of a value than this does not help to find it. */
#define SHOWN_MAX 80

int
conf_shown(const char *text)
{
    size_t len = strnlen(text, SHOWN_MAX + 1);

    if (len <= SHOWN_MAX)
        return (int)len;
    len = SHOWN_MAX;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return (int)len;
}

void
conf_mistake(struct conf_context *context, const struct conf_place *place, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    context->failed = true;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text == NULL)
        return;

    if (place->section == NULL)
        conf_report_add(context->report, place->line, "%s", text);
    else if (place->key == NULL)
        conf_report_add(context->report, place->line, "[%.*s]: %s", conf_shown(place->section),
                        place->section, text);
    else
        conf_report_add(context->report, place->line, "[%.*s] %s: %s", conf_shown(place->section),
                        place->section, place->key, text);
    free(text);
}

void
conf_mistake_got(struct conf_context *context, const struct conf_place *place, const char *expected,
                 const char *value)
{
    int shown = conf_shown(value);

    conf_mistake(context, place, "expected %s, got \"%.*s%s\"", expected, shown, value,
                 value[shown] == '\0' ? "" : "...");
}
