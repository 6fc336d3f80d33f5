/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text: cut in two as whole, and as a reader that computes code points sees it. Input: where to
 * cut, the text.
 */
#include "fuzz.h"
#include "proto/utf8.h"

/* One code point by arithmetic: its length, 0 if malformed, or -n if n bytes of it are there and
 * more are wanted. */
static int
code_point(const uint8_t *at, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned size = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t low, high;

    if (size < 2)
        return (int)size;
    if (at[0] > 0xf7)
        return 0;
    /* The code points that may still come out: all rest bits zero, all of them one. */
    low = high = at[0] & (0x7fu >> size);
    for (unsigned i = 1; i < size; i++) {
        if (i < len && (at[i] & 0xc0) != 0x80)
            return 0;
        low = low << 6 | (i < len ? at[i] & 0x3fu : 0);
        high = high << 6 | (i < len ? at[i] & 0x3fu : 0x3fu);
    }
    if (high < least[size] || low > 0x10ffff || (low >= 0xd800 && high <= 0xdfff))
        return 0;
    return len < size ? -(int)len : (int)size;
}

/* How many bytes can be taken, and how many of them, at the end, are unfinished. */
static size_t
expected_taken(struct fuzz in, size_t *unfinished)
{
    size_t at = 0;

    *unfinished = 0;
    while (at < in.len) {
        int n = code_point(in.at + at, in.len - at);

        if (n < 0)
            *unfinished = (size_t)-n;
        if (n < 0)
            return in.len;
        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        /* The longest beginning that could have become something. */
        for (size_t k = 1; k < 4 && at + k <= in.len && code_point(in.at + at, k) < 0; k++)
            *unfinished = k;
        return at + *unfinished;
    }
    return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    size_t cut = fuzz_u16(&in), unfinished, expected;
    struct utf8 whole = {0}, parts = {0};
    uint8_t *first, *second, *copy = fuzz_copy(in.at, in.len);
    size_t taken;

    cut = in.len ? cut % in.len : 0;
    expected = expected_taken(in, &unfinished);
    CHECK(utf8_take(&whole, copy, in.len) == expected);
    CHECK(utf8_valid(copy, in.len) == (expected == in.len && unfinished == 0));
    CHECK(utf8_cut(copy, in.len) <= 3);
    if (expected == in.len) {
        CHECK(utf8_complete(&whole) == (unfinished == 0));
        CHECK(utf8_cut(copy, in.len) == unfinished);
    }
    first = fuzz_copy(in.at, cut);
    second = fuzz_copy(in.at + cut, in.len - cut);
    taken = utf8_take(&parts, first, cut);
    taken += utf8_take(&parts, second, in.len - cut);
    CHECK(taken == expected);
    CHECK(parts.state == whole.state);
    free(first);
    free(second);
    free(copy);
    return 0;
}
