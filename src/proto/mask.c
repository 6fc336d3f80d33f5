/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every implementation has the same shape: the last vector is read before the first is written, and
 * written last. So there is no byte-wise remainder, and dst may overlap src from below: what a
 * store covers has always been read.
 */
#include "proto/mask.h"

#if defined(__x86_64__) || (defined(__i386__) && defined(__SSE2__))
#define MASK_X86 1
#include <immintrin.h>
#elif defined(__ARM_NEON)
#define MASK_NEON 1
#include <arm_neon.h>
#endif

static uint32_t
word_at(uint32_t word, size_t offset)
{
    uint8_t key[4];

    memcpy(key, &word, sizeof key);
    return mask_word(key, offset & 3);
}

static void
copy_portable(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase)
{
    uint32_t word = mask_word(key, phase);
    uint64_t twice = (uint64_t)word << 32 | word, end, part, tail;
    size_t i;

    if (len <= MASK_SHORT_MAX) {
        mask_short(dst, src, len, word);
        return;
    }
    end = word_at(word, len);
    memcpy(&tail, src + len - 8, 8);
    tail ^= end << 32 | end;
    for (i = 0; i + 8 < len; i += 8) {
        memcpy(&part, src + i, 8);
        part ^= twice;
        memcpy(dst + i, &part, 8);
    }
    memcpy(dst + len - 8, &tail, 8);
}

#ifdef MASK_X86
/* The two casts that the intrinsics for unaligned access want. */
static inline __m128i
load16(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline void
store16(uint8_t *at, __m128i value)
{
    _mm_storeu_si128((__m128i *)(void *)at, value);
}

static void
copy_sse2(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase)
{
    uint32_t word = mask_word(key, phase);
    __m128i mask, tail;
    size_t i = 0;

    if (len <= MASK_SHORT_MAX) {
        mask_short(dst, src, len, word);
        return;
    }
    mask = _mm_set1_epi32((int)word);
    tail = _mm_xor_si128(load16(src + len - 16), _mm_set1_epi32((int)word_at(word, len)));
    for (; i + 64 < len; i += 64) {
        __m128i a = _mm_xor_si128(load16(src + i), mask);
        __m128i b = _mm_xor_si128(load16(src + i + 16), mask);
        __m128i c = _mm_xor_si128(load16(src + i + 32), mask);
        __m128i d = _mm_xor_si128(load16(src + i + 48), mask);

        store16(dst + i, a);
        store16(dst + i + 16, b);
        store16(dst + i + 32, c);
        store16(dst + i + 48, d);
    }
    for (; i + 16 < len; i += 16)
        store16(dst + i, _mm_xor_si128(load16(src + i), mask));
    store16(dst + len - 16, tail);
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i
load32(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 static inline void
store32(uint8_t *at, __m256i value)
{
    _mm256_storeu_si256((__m256i *)(void *)at, value);
}

AVX2 static void
copy_avx2(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase)
{
    uint32_t word = mask_word(key, phase);
    __m256i mask, tail;
    size_t i = 0;

    if (len < 32) {
        copy_sse2(dst, src, len, key, phase);
        return;
    }
    mask = _mm256_set1_epi32((int)word);
    tail = _mm256_xor_si256(load32(src + len - 32), _mm256_set1_epi32((int)word_at(word, len)));
    for (; i + 128 < len; i += 128) {
        __m256i a = _mm256_xor_si256(load32(src + i), mask);
        __m256i b = _mm256_xor_si256(load32(src + i + 32), mask);
        __m256i c = _mm256_xor_si256(load32(src + i + 64), mask);
        __m256i d = _mm256_xor_si256(load32(src + i + 96), mask);

        store32(dst + i, a);
        store32(dst + i + 32, b);
        store32(dst + i + 64, c);
        store32(dst + i + 96, d);
    }
    for (; i + 32 < len; i += 32)
        store32(dst + i, _mm256_xor_si256(load32(src + i), mask));
    store32(dst + len - 32, tail);
}
#endif

#ifdef MASK_NEON
static void
copy_neon(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase)
{
    uint32_t word = mask_word(key, phase);
    uint8x16_t mask, tail;
    size_t i = 0;

    if (len <= MASK_SHORT_MAX) {
        mask_short(dst, src, len, word);
        return;
    }
    mask = vreinterpretq_u8_u32(vdupq_n_u32(word));
    tail =
        veorq_u8(vld1q_u8(src + len - 16), vreinterpretq_u8_u32(vdupq_n_u32(word_at(word, len))));
    for (; i + 32 < len; i += 32) {
        uint8x16_t a = veorq_u8(vld1q_u8(src + i), mask);
        uint8x16_t b = veorq_u8(vld1q_u8(src + i + 16), mask);

        vst1q_u8(dst + i, a);
        vst1q_u8(dst + i + 16, b);
    }
    for (; i + 16 < len; i += 16)
        vst1q_u8(dst + i, veorq_u8(vld1q_u8(src + i), mask));
    vst1q_u8(dst + len - 16, tail);
}
#endif

/*
 * The question is a load and a branch that always goes the same way, as the answer is collected
 * once before main(). That is no dearer than a call through a pointer, and there is no pointer to
 * protect.
 */
void
mask_copy(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t key[4], unsigned phase)
{
#if defined(MASK_X86)
    if (__builtin_cpu_supports("avx2"))
        copy_avx2(dst, src, len, key, phase);
    else
        copy_sse2(dst, src, len, key, phase);
#elif defined(MASK_NEON)
    copy_neon(dst, src, len, key, phase);
#else
    copy_portable(dst, src, len, key, phase);
#endif
}

const struct mask_variant *
mask_variants(void)
{
    static const struct mask_variant all[] = {
        {"portable", copy_portable},
#ifdef MASK_X86
        {"sse2", copy_sse2},
        {"avx2", copy_avx2},
#endif
#ifdef MASK_NEON
        {"neon", copy_neon},
#endif
        {NULL, NULL},
    };
#ifdef MASK_X86
    static const struct mask_variant without_avx2[] = {
        {"portable", copy_portable},
        {"sse2", copy_sse2},
        {NULL, NULL},
    };

    if (!__builtin_cpu_supports("avx2"))
        return without_avx2;
#endif
    return all;
}
