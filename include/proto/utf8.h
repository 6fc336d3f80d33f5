/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8 -- streaming validation (RFC 3629): no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 *
 * Thread:    any; no state outside the struct.
 */
#ifndef CULVERT_PROTO_UTF8_H
#define CULVERT_PROTO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero is "between two code points"; a text may end there. */
struct utf8 {
    uint8_t state;
};

/*
 * Takes the next bytes. Returns how many come before the first byte that no continuation can make
 * valid: len if there is none, else the state is spent and takes nothing any more.
 */
size_t utf8_take(struct utf8 *utf8, const uint8_t *data, size_t len);

/* The same, asked as a question: false if there was such a byte. */
static inline bool
utf8_feed(struct utf8 *utf8, const uint8_t *data, size_t len)
{
    return utf8_take(utf8, data, len) == len;
}

static inline bool
utf8_complete(const struct utf8 *utf8)
{
    return utf8->state == 0;
}

/* Whole texts. */
bool utf8_valid(const uint8_t *data, size_t len);

/*
 * How many bytes at the end of data belong to a code point that is not complete yet: 0 to 3. Bytes
 * that no continuation can complete are not counted.
 */
size_t utf8_cut(const uint8_t *data, size_t len);

#endif
