/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text -- a body that grows while it is written: Prometheus text, JSON or HTML.
 *
 * Lifetime:  text_init() to text_deinit(), or its data is taken by the caller, to free().
 * Errors:    remembered: without memory, or over its limit, it takes nothing more and text_failed()
 *            says so at the end.
 */
#ifndef CULVERT_ADMIN_TEXT_H
#define CULVERT_ADMIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* not terminated */
    size_t len;
    size_t size;
    size_t max;
    bool failed;
};

void text_init(struct text *text, size_t max);
void text_deinit(struct text *text);
bool text_failed(const struct text *text);

void text_add(struct text *text, const char *data, size_t len);
void text_put(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A label's value without its quotes (Prometheus text format 0.0.4): \, " and newlines escaped.
 * Bytes that are no UTF-8 become question marks, here and below. */
void text_label(struct text *text, const char *value);

/* A JSON string with its quotes (RFC 8259 section 7). Safe inside HTML too: '<' is escaped. */
void text_json(struct text *text, const char *value);

#endif
