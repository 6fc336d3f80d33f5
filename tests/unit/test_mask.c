/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/mask.h"

enum { LEN_MAX = 300 };

static const uint8_t key[4] = {0xa5, 0x01, 0xfe, 0x37};

typedef void copy_fn(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t k[4],
                     unsigned phase);

static void
naive(uint8_t *out, const uint8_t *in, size_t len, unsigned phase)
{
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ key[(i + phase) % 4];
}

static void
fill(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 131 + 7);
}

static void
short_copy(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t k[4], unsigned phase)
{
    assert_true(len <= MASK_SHORT_MAX);
    mask_short(dst, src, len, mask_word(k, phase));
}

/* Input and output end at a guard page: nothing beyond is read or written. */
static void
check_apart(copy_fn *copy, size_t len_max)
{
    struct guard from = guard_open(LEN_MAX), to = guard_open(LEN_MAX);
    uint8_t plain[LEN_MAX], expected[LEN_MAX];

    fill(plain, sizeof plain);
    for (size_t len = 0; len <= len_max; len++)
        for (unsigned phase = 0; phase < 4; phase++) {
            naive(expected, plain, len, phase);
            uint8_t *dst = guard_end(&to, plain, len);
            copy(dst, guard_end(&from, plain, len), len, key, phase);
            assert_memory_equal(dst, expected, len);
            dst = guard_start(&to, plain, len);
            copy(dst, guard_start(&from, plain, len), len, key, phase);
            assert_memory_equal(dst, expected, len);
        }
    guard_close(&from);
    guard_close(&to);
}

/* dst lies shift bytes below src, and the bytes around it stay what they were. */
static void
check_overlap(copy_fn *copy, size_t len_max, size_t align)
{
    static const size_t shifts[] = {0, 1, 2, 3, 4, 6, 7, 8, 14, 15, 16, 17, 31, 33, 63, 100, 129};
    uint8_t area[LEN_MAX + 256], before[sizeof area], expected[LEN_MAX];

    for (size_t s = 0; s < sizeof shifts / sizeof shifts[0]; s++)
        for (size_t len = 0; len <= len_max; len++)
            for (unsigned phase = 0; phase < 4; phase++) {
                uint8_t *dst = area + align, *src = dst + shifts[s];

                fill(area, sizeof area);
                memcpy(before, area, sizeof area);
                naive(expected, src, len, phase);
                copy(dst, src, len, key, phase);
                assert_memory_equal(dst, expected, len);
                assert_memory_equal(area, before, align);
                assert_memory_equal(dst + len, before + align + len, sizeof area - align - len);
            }
}

static void
test_every_variant_against_guard_pages(void **state)
{
    (void)state;
    for (const struct mask_variant *v = mask_variants(); v->name; v++)
        check_apart(v->copy, LEN_MAX);
    check_apart(mask_copy, LEN_MAX);
    check_apart(short_copy, MASK_SHORT_MAX);
}

static void
test_every_variant_in_place_and_moving_down(void **state)
{
    (void)state;
    for (size_t align = 0; align < 8; align += 3) {
        for (const struct mask_variant *v = mask_variants(); v->name; v++)
            check_overlap(v->copy, LEN_MAX, align);
        check_overlap(mask_copy, LEN_MAX, align);
        check_overlap(short_copy, MASK_SHORT_MAX, align);
    }
}

/* In a frame the key lies in front of the payload, which may be moved down over it. */
static void
test_key_under_the_destination(void **state)
{
    uint8_t frame[LEN_MAX + 8], expected[LEN_MAX];

    (void)state;
    for (const struct mask_variant *v = mask_variants(); v->name; v++)
        for (size_t len = 0; len <= LEN_MAX; len++) {
            fill(frame, sizeof frame);
            memcpy(frame + 4, key, sizeof key);
            naive(expected, frame + 8, len, 0);
            v->copy(frame, frame + 8, len, frame + 4, 0);
            assert_memory_equal(frame, expected, len);
        }
}

/* RFC 6455 section 5.7: a masked "Hello". */
static void
test_example_of_the_standard(void **state)
{
    static const uint8_t rfc_key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t text[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};

    (void)state;
    mask_copy(text, text, sizeof text, rfc_key, 0);
    assert_memory_equal(text, "Hello", 5);
}

static void
test_a_payload_in_pieces_is_the_payload_at_once(void **state)
{
    uint8_t plain[LEN_MAX], whole[LEN_MAX], pieces[LEN_MAX];

    (void)state;
    fill(plain, sizeof plain);
    mask_copy(whole, plain, sizeof plain, key, 0);
    for (size_t cut = 0; cut <= sizeof plain; cut++) {
        mask_copy(pieces, plain, cut, key, 0);
        mask_copy(pieces + cut, plain + cut, sizeof plain - cut, key, cut % 4);
        assert_memory_equal(pieces, whole, sizeof whole);
    }
}

static void
test_variants_are_listed(void **state)
{
    const struct mask_variant *v = mask_variants();

    (void)state;
    assert_string_equal(v->name, "portable");
#ifdef __x86_64__
    assert_string_equal(v[1].name, "sse2");
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_variant_against_guard_pages),
        cmocka_unit_test(test_every_variant_in_place_and_moving_down),
        cmocka_unit_test(test_key_under_the_destination),
        cmocka_unit_test(test_example_of_the_standard),
        cmocka_unit_test(test_a_payload_in_pieces_is_the_payload_at_once),
        cmocka_unit_test(test_variants_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
