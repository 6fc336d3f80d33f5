/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mask -- the XOR of RFC 6455 section 5.3, as fast as the processor allows.
 *
 * The implementation (portable, SSE2, AVX2, NEON) is chosen by what the processor has. No byte
 * outside [src, src+len) is read and none outside [dst, dst+len) is written.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_PROTO_MASK_H
#define CULVERT_PROTO_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Writes len bytes of src, masked with key, to dst. dst may equal src or lie below it, overlapping
 * (dst < src: the way that payloads of small frames are moved together); it must not lie above src
 * within its length. phase (0..3) is the position of src[0] in the key. The key is read before
 * anything is written: it may lie where dst will be, as it does in a frame.
 */
void mask_copy(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase);

enum { MASK_SHORT_MAX = 16 };

/* The key as it applies from phase on, in the byte order of memory. */
static inline uint32_t
mask_word(const uint8_t key[4], unsigned phase)
{
    uint32_t word;
    unsigned bits = 8 * (phase & 3);

    memcpy(&word, key, sizeof word);
    if (bits == 0)
        return word;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return word >> bits | word << (32 - bits);
#else
    return word << bits | word >> (32 - bits);
#endif
}

/*
 * mask_copy() for at most MASK_SHORT_MAX bytes, inline: for payloads that a call would cost more
 * than the work. Both ends are read before either is written, so that they may overlap in the
 * middle, and dst with src.
 */
static inline void
mask_short(uint8_t *dst, const uint8_t *src, size_t len, uint32_t word)
{
    const uint8_t *key = (const uint8_t *)&word;

    if (len >= 8) {
        uint64_t end = mask_word(key, len & 3), head, tail;

        memcpy(&head, src, 8);
        memcpy(&tail, src + len - 8, 8);
        head ^= (uint64_t)word << 32 | word;
        tail ^= end << 32 | end;
        memcpy(dst, &head, 8);
        memcpy(dst + len - 8, &tail, 8);
        return;
    }
    if (len >= 4) {
        uint32_t head, tail;

        memcpy(&head, src, 4);
        memcpy(&tail, src + len - 4, 4);
        head ^= word;
        tail ^= mask_word(key, len & 3);
        memcpy(dst, &head, 4);
        memcpy(dst + len - 4, &tail, 4);
        return;
    }
    for (size_t i = 0; i < len; i++)
        dst[i] = src[i] ^ key[i];
}

/* The implementations by themselves, for tests and the bench: NULL-terminated; only those that run
 * on this processor. */
struct mask_variant {
    const char *name;
    void (*copy)(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4],
                 unsigned phase);
};
const struct mask_variant *mask_variants(void);

#endif
