/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * varint -- whole numbers of variable length (RFC 9000 section 16): the first two bits tell whether
 * it is 1, 2, 4 or 8 bytes, the rest is the number, big-endian.
 *
 * Thread:    any.
 */
#ifndef CULVERT_PROTO_VARINT_H
#define CULVERT_PROTO_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_VALUE_MAX ((uint64_t)1 << 62) /* below it */

enum {
    VARINT_MAX = 8, /* bytes */
};

/* The length that the first byte tells. */
static inline size_t
varint_len_of(uint8_t first)
{
    return (size_t)1 << (first >> 6);
}

/* The shortest that holds the value. */
static inline size_t
varint_len(uint64_t value)
{
    return value < 1 << 6 ? 1 : value < 1 << 14 ? 2 : value < 1 << 30 ? 4 : 8;
}

/* Writes the shortest form. Returns its length. */
size_t varint_encode(uint8_t *out, uint64_t value);

/* Returns how many bytes were read, or 0 if there are not enough. Longer forms than needed are
 * taken. */
size_t varint_decode(const uint8_t *in, size_t len, uint64_t *value);

#endif
