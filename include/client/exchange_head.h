/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange_head -- the head of an answer: status line, Date, the caller's lines, where the body ends, and whether
 * the connection does. For exchange.c alone.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_CLIENT_EXCHANGE_HEAD_H
#define CULVERT_CLIENT_EXCHANGE_HEAD_H

#include <stdbool.h>
#include <stddef.h>

struct exchange;

/* Whether an answer of that status has a body (RFC 9110 section 6.4.1). */
bool exchange_head_has_body(int status);

/* How many bytes the head has at most. type, headers: complete lines, perhaps "". */
size_t exchange_head_room(const struct exchange *exchange, const char *type, const char *headers);

/* Writes the head to out, which has so many; status and length are set. Decides how the body is framed and
 * whether the connection ends with it. Returns the head's length. */
size_t exchange_head_write(struct exchange *exchange, char *out, const char *type,
                           const char *headers);

#endif
