/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "proto/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK = 64 };

/* What the next byte has to be. The second byte of some sequences has a narrower range than the
 * others. */
enum {
    LEAD = 0,
    LAST,     /* one continuation byte */
    TWO,      /* two of them */
    THREE,    /* three of them */
    AFTER_E0, /* A0..BF, then one: the rest would be overlong */
    AFTER_ED, /* 80..9F, then one: the rest would be surrogates */
    AFTER_F0, /* 90..BF, then two: the rest would be overlong */
    AFTER_F4, /* 80..8F, then two: the rest would lie above U+10FFFF */
    SPENT,
    STATES,
};

struct step {
    uint8_t from, to; /* the range that is taken */
    uint8_t next;
};

static const struct step steps[STATES] = {
    [LAST] = {0x80, 0xbf, LEAD},     [TWO] = {0x80, 0xbf, LAST},
    [THREE] = {0x80, 0xbf, TWO},     [AFTER_E0] = {0xa0, 0xbf, LAST},
    [AFTER_ED] = {0x80, 0x9f, LAST}, [AFTER_F0] = {0x90, 0xbf, TWO},
    [AFTER_F4] = {0x80, 0x8f, TWO},  [SPENT] = {0xff, 0x00, SPENT},
};

static uint8_t
after_lead(uint8_t byte)
{
    if (byte < 0x80)
        return LEAD;
    if (byte < 0xc2) /* a continuation, or C0 and C1, which only overlong forms begin with */
        return SPENT;
    if (byte < 0xe0)
        return LAST;
    if (byte < 0xf0)
        return byte == 0xe0 ? AFTER_E0 : byte == 0xed ? AFTER_ED : TWO;
    if (byte < 0xf5)
        return byte == 0xf0 ? AFTER_F0 : byte == 0xf4 ? AFTER_F4 : THREE;
    return SPENT;
}

static uint64_t
high_bits(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word & 0x8080808080808080u;
}

static bool
block_is_ascii(const uint8_t *at)
{
#ifdef __SSE2__
    const __m128i *block = (const __m128i *)(const void *)at;
    __m128i any =
        _mm_or_si128(_mm_or_si128(_mm_loadu_si128(block), _mm_loadu_si128(block + 1)),
                     _mm_or_si128(_mm_loadu_si128(block + 2), _mm_loadu_si128(block + 3)));

    return _mm_movemask_epi8(any) == 0;
#else
    uint64_t any = 0;

    for (size_t i = 0; i < BLOCK; i += 8)
        any |= high_bits(at + i);
    return any == 0;
#endif
}

/* How many bytes of ASCII data begins with, in whole words; most texts are nothing else. */
static size_t
skip_ascii(const uint8_t *data, size_t len)
{
    size_t i = 0;

    while (len - i >= BLOCK && block_is_ascii(data + i))
        i += BLOCK;
    while (len - i >= 8 && !high_bits(data + i))
        i += 8;
    return i;
}

size_t
utf8_take(struct utf8 *utf8, const uint8_t *data, size_t len)
{
    uint8_t state = utf8->state;
    size_t i = 0;

    while (i < len) {
        uint8_t byte = data[i];

        if (state == LEAD && byte < 0x80) {
            i += skip_ascii(data + i, len - i);
            while (i < len && data[i] < 0x80)
                i++;
            continue;
        }
        if (state == LEAD)
            state = after_lead(byte);
        else if (byte >= steps[state].from && byte <= steps[state].to)
            state = steps[state].next;
        else
            state = SPENT;
        if (state == SPENT)
            break;
        i++;
    }
    utf8->state = state;
    return i;
}

bool
utf8_valid(const uint8_t *data, size_t len)
{
    struct utf8 utf8 = {0};

    return utf8_feed(&utf8, data, len) && utf8_complete(&utf8);
}

size_t
utf8_cut(const uint8_t *data, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++) {
        struct utf8 utf8 = {0};
        uint8_t byte = data[len - n];

        if (byte < 0x80)
            return 0;
        if (byte < 0xc0)
            continue;
        return utf8_feed(&utf8, data + len - n, n) && !utf8_complete(&utf8) ? n : 0;
    }
    return 0;
}
