/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span -- bytes that somebody else owns: a pointer and a length, not terminated.
 */
#ifndef CULVERT_PROTO_SPAN_H
#define CULVERT_PROTO_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *at;
    size_t len;
};

static inline bool
span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

/* Compares without regard to the case of ASCII letters. */
static inline bool
span_is_nocase(struct span s, const char *text)
{
    return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

#endif
