/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_entry -- one line of the log in the making, as text or as a JSON object (RFC 8259).
 *
 *      log_entry_begin, then _message or _event and _field…, then _end
 *
 * Whatever the bytes, a line is one line, and JSON is valid: in text, control characters are
 * written as \xNN; in JSON as \u00NN, and each byte that is no UTF-8 becomes U+FFFD. What is too
 * long is cut, in JSON between characters; a field that has no room at all is left out.
 *
 * Thread:    any; no state outside the struct.
 */
#ifndef CULVERT_BASE_LOG_ENTRY_H
#define CULVERT_BASE_LOG_ENTRY_H

#include <stddef.h>

#include "base/log.h"

enum {
    LOG_ENTRY_MAX = 4096,       /* bytes of a line: what a pipe takes whole (PIPE_BUF) */
    LOG_ENTRY_FIELD_MAX = 1024, /* bytes of a field as written, so that others have room */
};

struct log_entry {
    enum log_format format;
    size_t len; /* of the line with its newline, once it is ended */
    /* A newline before the line, for who has to end a torn one first. */
    char text[1 + LOG_ENTRY_MAX];
};

/* kind: a level's name, or another word. */
void log_entry_begin(struct log_entry *entry, enum log_format format, const char *kind,
                     const char *who);
void log_entry_message(struct log_entry *entry, const char *message);
void log_entry_event(struct log_entry *entry, const char *what);
void log_entry_field(struct log_entry *entry, const struct log_field *field);
void log_entry_end(struct log_entry *entry);

/* Of an ended one: LEN bytes. */
static inline const char *
log_entry_line(const struct log_entry *entry)
{
    return entry->text + 1;
}

#endif
