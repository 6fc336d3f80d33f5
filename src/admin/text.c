/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

enum {
    FIRST = 4096,
    LINE = 512, /* bytes that one text_format() makes at most */
};

void
text_init(struct text *text, size_t max)
{
    memset(text, 0, sizeof *text);
    text->max = max;
}

void
text_deinit(struct text *text)
{
    free(text->data);
    memset(text, 0, sizeof *text);
}

bool
text_failed(const struct text *text)
{
    return text->failed;
}

static bool
reserve(struct text *text, size_t len)
{
    size_t size = text->size > 0 ? text->size : FIRST;
    char *data;

    if (text->failed || len > text->max - text->len) {
        text->failed = true;
        return false;
    }
    if (text->len + len <= text->size)
        return true;
    while (size < text->len + len)
        size *= 2;
    data = realloc(text->data, size);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->size = size;
    return true;
}

void
text_add(struct text *text, const char *data, size_t len)
{
    if (!reserve(text, len))
        return;
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

void
text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void
text_format(struct text *text, const char *format, ...)
{
    char line[LINE];
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof line)
        text->failed = true;
    else
        text_add(text, line, (size_t)n);
}

/* ---- escaping ---- */

/* What stands for a byte of value outside of ASCII. */
static char
beyond_ascii(char c, bool is_utf8)
{
    return is_utf8 ? c : '?';
}

static bool
is_utf8(const char *value)
{
    return utf8_valid((const uint8_t *)value, strlen(value));
}

void
text_label(struct text *text, const char *value)
{
    bool utf8 = is_utf8(value);

    for (; *value != '\0'; value++) {
        char c = (unsigned char)*value < 0x80 ? *value : beyond_ascii(*value, utf8);

        if (c == '\n') {
            text_put(text, "\\n");
            continue;
        }
        if (c == '"' || c == '\\')
            text_put(text, "\\");
        text_add(text, &c, 1);
    }
}

void
text_json(struct text *text, const char *value)
{
    bool utf8 = is_utf8(value);

    text_put(text, "\"");
    for (; *value != '\0'; value++) {
        char c = (unsigned char)*value < 0x80 ? *value : beyond_ascii(*value, utf8);

        if ((unsigned char)c < 0x20 || c == '<' || c == 0x7f) {
            text_format(text, "\\u%04x", (unsigned)c);
            continue;
        }
        if (c == '"' || c == '\\')
            text_put(text, "\\");
        text_add(text, &c, 1);
    }
    text_put(text, "\"");
}
