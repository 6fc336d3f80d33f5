/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sse -- server-sent events (HTML standard, section "Server-sent events"), encoded.
 *
 *      event: binary                    event: text
 *      id: ID                           id: ID
 *      data: BASE64                     data: "a JSON string, so that\r\nline ends survive"
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_PROTO_SSE_H
#define CULVERT_PROTO_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes sse_message() writes. text: UTF-8. */
size_t sse_message_len(size_t id_len, const uint8_t *data, size_t len, bool text);

/* Writes a message as an event. Returns its length. */
size_t sse_message(char *out, const char *id, const uint8_t *data, size_t len, bool text);

/* Writes an event whose data is one line. id NULL: without one. Returns its length, or 0 if it does not
 * fit. */
size_t sse_event(char *out, size_t size, const char *name, const char *id, const char *data);

/* UTF-8 as a JSON string (RFC 8259 section 7) with its quotes: how long it is, and itself. */
size_t sse_json_len(const uint8_t *text, size_t len);
size_t sse_json(char *out, const uint8_t *text, size_t len);

#endif
