/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/utf8.h"

/* The shortest encoding of a code point; its length. Written from RFC 3629 section 3, by
 * arithmetic. */
static size_t
encode(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xc0 + point / 64);
        out[1] = (uint8_t)(0x80 + point % 64);
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xe0 + point / 4096);
        out[1] = (uint8_t)(0x80 + point / 64 % 64);
        out[2] = (uint8_t)(0x80 + point % 64);
        return 3;
    }
    out[0] = (uint8_t)(0xf0 + point / 262144);
    out[1] = (uint8_t)(0x80 + point / 4096 % 64);
    out[2] = (uint8_t)(0x80 + point / 64 % 64);
    out[3] = (uint8_t)(0x80 + point % 64);
    return 4;
}

/* Which sequences of n bytes are one code point, and which begin one: one bit each. */
static uint8_t *valid_by_len[5];
static uint8_t *prefix_by_len[4];

/* The bit of a sequence. All of four bytes begin with 11110xxx, so five bits less will do for them.
 */
static uint32_t
index_of(const uint8_t *bytes, size_t n)
{
    uint32_t index = 0;

    for (size_t i = 0; i < n; i++)
        index = index << 8 | bytes[i];
    return n == 4 ? index & 0x07ffffff : index;
}

static void
set_bit(uint8_t *bits, const uint8_t *bytes, size_t n)
{
    uint32_t index = index_of(bytes, n);

    bits[index / 8] |= (uint8_t)(1 << index % 8);
}

static bool
get_bit(const uint8_t *bits, const uint8_t *bytes, size_t n)
{
    uint32_t index = index_of(bytes, n);

    if (n == 4 && bytes[0] >> 3 != 0x1e)
        return false;
    return bits[index / 8] >> index % 8 & 1;
}

static int
make_tables(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 4; n++)
        valid_by_len[n] = calloc(1, ((size_t)1 << (n == 4 ? 27 : 8 * n)) / 8);
    for (size_t n = 1; n <= 3; n++)
        prefix_by_len[n] = calloc(1, ((size_t)1 << 8 * n) / 8);
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        uint8_t bytes[4];
        size_t len;

        if (point >= 0xd800 && point <= 0xdfff)
            continue;
        len = encode(point, bytes);
        set_bit(valid_by_len[len], bytes, len);
        for (size_t n = 1; n < len; n++)
            set_bit(prefix_by_len[n], bytes, n);
    }
    return 0;
}

static int
free_tables(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 4; n++)
        free(valid_by_len[n]);
    for (size_t n = 1; n <= 3; n++)
        free(prefix_by_len[n]);
    return 0;
}

/* Reference: how many bytes of data are taken, and how many of these are an unfinished code point.
 */
static size_t
reference(const uint8_t *data, size_t len, size_t *unfinished)
{
    size_t at = 0;

    *unfinished = 0;
    while (at < len) {
        size_t n, best = 0;

        for (n = 1; n <= 4 && at + n <= len; n++)
            if (get_bit(valid_by_len[n], data + at, n))
                best = n;
        if (best == 0) {
            for (n = 1; n <= 3 && at + n <= len && get_bit(prefix_by_len[n], data + at, n); n++)
                best = n;
            *unfinished = best;
            return at + best;
        }
        at += best;
    }
    return at;
}

static void
check(const uint8_t *data, size_t len)
{
    size_t unfinished, taken = reference(data, len, &unfinished);
    struct utf8 utf8 = {0};

    assert_int_equal(utf8_take(&utf8, data, len), taken);
    assert_int_equal(utf8_valid(data, len), taken == len && unfinished == 0);
    if (taken == len) {
        assert_int_equal(utf8_complete(&utf8), unfinished == 0);
        assert_int_equal(utf8_cut(data, len), unfinished);
    } else {
        assert_false(utf8_complete(&utf8));
        assert_int_equal(utf8_take(&utf8, (const uint8_t *)"a", 1), 0);
    }
}

static void
test_all_sequences_of_one_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1 << 24; i++) {
        uint8_t bytes[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

        if (i < 1 << 8)
            check(bytes + 2, 1);
        if (i < 1 << 16)
            check(bytes + 1, 2);
        /* Behind a lead byte of ASCII every other one would be a repetition. */
        if (bytes[0] >= 0x7f)
            check(bytes, 3);
    }
}

static void
test_all_sequences_of_four_bytes_at_the_boundaries(void **state)
{
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff};

    (void)state;
    for (unsigned lead = 0xec; lead <= 0xff; lead++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t a = 0; a < sizeof edges; a++)
                for (size_t b = 0; b < sizeof edges; b++) {
                    uint8_t bytes[4] = {(uint8_t)lead, (uint8_t)second, edges[a], edges[b]};

                    check(bytes, 4);
                }
}

static void
test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x110000; point++) {
        uint8_t bytes[4];
        size_t len = encode(point, bytes);
        bool surrogate = point >= 0xd800 && point <= 0xdfff;

        assert_int_equal(utf8_valid(bytes, len), point <= 0x10ffff && !surrogate);
    }
}

static const char sample[] =
    "plain ASCII that is longer than thirty-two bytes, "
    "\xc3\xbc\xc2\x80\xdf\xbf \xe2\x82\xac\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80 "
    "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf and again words, words, words to the end";

static void
test_every_split_against_a_guard_page(void **state)
{
    size_t len = sizeof sample - 1;
    struct guard guard = guard_open(len);

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        struct utf8 utf8 = {0};
        size_t unfinished;

        assert_true(utf8_feed(&utf8, guard_end(&guard, sample, cut), cut));
        reference((const uint8_t *)sample, cut, &unfinished);
        assert_int_equal(utf8_complete(&utf8), unfinished == 0);
        assert_true(utf8_feed(&utf8, guard_end(&guard, sample + cut, len - cut), len - cut));
        assert_true(utf8_complete(&utf8));
        assert_int_equal(utf8_cut(guard_start(&guard, sample, cut), cut), unfinished);
    }
    guard_close(&guard);
}

static void
test_one_byte_at_a_time(void **state)
{
    struct utf8 utf8 = {0};

    (void)state;
    for (size_t i = 0; i < sizeof sample - 1; i++)
        assert_int_equal(utf8_take(&utf8, (const uint8_t *)sample + i, 1), 1);
    assert_true(utf8_complete(&utf8));
}

/* An invalid byte at every place of a long text is found exactly there, however the text is cut. */
static void
test_where_the_first_bad_byte_is(void **state)
{
    uint8_t text[200];

    (void)state;
    for (size_t bad = 0; bad < sizeof text; bad++) {
        memset(text, 'a', sizeof text);
        text[bad] = 0xff;
        for (size_t cut = 0; cut <= sizeof text; cut += 7) {
            struct utf8 utf8 = {0};
            size_t taken = utf8_take(&utf8, text, cut);

            if (taken == cut)
                taken += utf8_take(&utf8, text + cut, sizeof text - cut);
            assert_int_equal(taken, bad);
        }
    }
}

static void
test_empty(void **state)
{
    struct utf8 utf8 = {0};

    (void)state;
    assert_true(utf8_feed(&utf8, (const uint8_t *)"", 0));
    assert_true(utf8_complete(&utf8));
    assert_true(utf8_valid((const uint8_t *)"", 0));
    assert_int_equal(utf8_cut((const uint8_t *)"", 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_sequences_of_one_to_three_bytes),
        cmocka_unit_test(test_all_sequences_of_four_bytes_at_the_boundaries),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_every_split_against_a_guard_page),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_where_the_first_bad_byte_is),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, make_tables, free_tables);
}
