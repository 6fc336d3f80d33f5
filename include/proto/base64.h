/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base64 -- whole texts in the alphabet with '+' and '/' (RFC 4648 section 4).
 *
 * Sent with padding. Taken with or without; anything else that is not the one encoding of some
 * bytes is refused: other characters (white space too), half of the padding, padding in the middle,
 * bits behind the last byte that are not zero.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_PROTO_BASE64_H
#define CULVERT_PROTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long the text of len bytes is, without a NUL; SIZE_MAX if that is more than a size_t tells.
 */
static inline size_t
base64_encoded_len(size_t len)
{
    size_t groups = len / 3 + (len % 3 > 0);

    return groups > SIZE_MAX / 4 ? SIZE_MAX : groups * 4;
}

/* The most bytes that a text of len characters can hold. */
static inline size_t
base64_decoded_max(size_t len)
{
    return len / 4 * 3 + len % 4 * 3 / 4;
}

/*
 * Writes base64_encoded_len(len) characters to dst, no NUL. src may lie at the end of dst's room:
 * they may overlap where src + len is at or above the end of the text.
 */
void base64_encode(char *dst, const uint8_t *src, size_t len);

/*
 * Decodes the whole text into dst, which has base64_decoded_max(len) bytes; dst may be src or lie
 * below it. Returns false if the text is malformed: what is in dst means nothing then.
 */
bool base64_decode(uint8_t *dst, const char *src, size_t len, size_t *decoded)
    __attribute__((warn_unused_result));

#endif
