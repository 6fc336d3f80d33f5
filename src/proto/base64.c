/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/base64.h"

static const char letters[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/',
};

/* A letter's six bits, plus one, so that what the table leaves out is 0: minus one, that sets all
 * bits above the six. */
static const uint8_t digits[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static uint32_t
digit(char c)
{
    return digits[(uint8_t)c] - 1u;
}

/* Reads a group before it writes one, as the two may overlap. */
void
base64_encode(char *dst, const uint8_t *src, size_t len)
{
    for (; len >= 3; len -= 3, src += 3, dst += 4) {
        uint32_t bits = (uint32_t)src[0] << 16 | (uint32_t)src[1] << 8 | src[2];

        dst[0] = letters[bits >> 18];
        dst[1] = letters[bits >> 12 & 63];
        dst[2] = letters[bits >> 6 & 63];
        dst[3] = letters[bits & 63];
    }
    if (len > 0) {
        uint32_t bits = (uint32_t)src[0] << 16 | (len > 1 ? (uint32_t)src[1] << 8 : 0);

        dst[0] = letters[bits >> 18];
        dst[1] = letters[bits >> 12 & 63];
        dst[2] = len > 1 ? letters[bits >> 6 & 63] : '=';
        dst[3] = '=';
    }
}

/* The last two or three letters, without padding. */
static bool
decode_tail(uint8_t *dst, const char *src, size_t len)
{
    uint32_t bits = digit(src[0]) << 18, bad = digit(src[0]) | digit(src[1]);
    uint32_t unused = len == 3 ? 0xff : 0xffff;

    bits |= digit(src[1]) << 12;
    if (len == 3) {
        bits |= digit(src[2]) << 6;
        bad |= digit(src[2]);
    }
    if (bad > 63 || (bits & unused) != 0)
        return false;
    dst[0] = (uint8_t)(bits >> 16);
    if (len == 3)
        dst[1] = (uint8_t)(bits >> 8);
    return true;
}

bool
base64_decode(uint8_t *dst, const char *src, size_t len, size_t *decoded)
{
    size_t n = 0;

    /* At most two, of a text of whole groups: any other '=' is an invalid letter. */
    if (len > 0 && len % 4 == 0 && src[len - 1] == '=') {
        len--;
        if (src[len - 1] == '=')
            len--;
    }
    for (; len >= 4; len -= 4, src += 4, n += 3) {
        uint32_t a = digit(src[0]), b = digit(src[1]), c = digit(src[2]), d = digit(src[3]);
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;

        if ((a | b | c | d) > 63)
            return false;
        dst[n] = (uint8_t)(bits >> 16);
        dst[n + 1] = (uint8_t)(bits >> 8);
        dst[n + 2] = (uint8_t)bits;
    }
    if (len == 1 || (len > 1 && !decode_tail(dst + n, src, len)))
        return false;
    *decoded = n + (len > 0 ? len - 1 : 0);
    return true;
}
