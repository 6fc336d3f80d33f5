/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http1_class -- the kinds of bytes that HTTP/1.1 tells apart (RFC 9110 section 5.6.2, RFC 9112),
 * as a table.
 *
 * Thread:    any; constants only.
 */
#ifndef CULVERT_PROTO_HTTP1_CLASS_H
#define CULVERT_PROTO_HTTP1_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/span.h"

/* Ordered so that field content, visible bytes and token characters are ranges that end at
 * HTTP1_CLASSES. */
enum http1_class {
    HTTP1_CTL, /* NUL and the other control characters that have no class of their own */
    HTTP1_LF,
    HTTP1_CR,
    HTTP1_OBS, /* 0x80 to 0xff: field content begins here */
    HTTP1_TAB,
    HTTP1_SP,
    HTTP1_COLON, /* visible bytes begin here */
    HTTP1_SLASH,
    HTTP1_DELIMITER, /* the other visible ones that no token may hold */
    HTTP1_HASH,      /* token characters begin here */
    HTTP1_DOT,
    HTTP1_DIGIT,
    HTTP1_H,
    HTTP1_T,
    HTTP1_P,
    HTTP1_LETTER, /* and what else a token may hold */
    HTTP1_CLASSES,
};

extern const uint8_t http1_classes[256];

static inline enum http1_class
http1_class(char byte)
{
    return (enum http1_class)http1_classes[(uint8_t)byte];
}

static inline bool
http1_is_token_char(char byte)
{
    return http1_class(byte) >= HTTP1_HASH;
}

static inline bool
http1_is_field_char(char byte)
{
    return http1_class(byte) >= HTTP1_OBS;
}

static inline bool
http1_is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

static inline bool
http1_is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http1_is_token_char(s.at[i]))
            return false;
    return s.len > 0;
}

#endif
