/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log_repeats.h"

#define START 1000000u /* an arbitrary moment */

static const char place[] = "target %s";
static const char other_place[] = "target %s, again";

static int
set_up(void **state)
{
    static struct log_repeats repeats;

    log_repeats_init(&repeats);
    *state = &repeats;
    return 0;
}

static int
tear_down(void **state)
{
    log_repeats_deinit(*state);
    return 0;
}

/* How many of n lines are admitted. */
static unsigned
offer(struct log_repeats *repeats, uint64_t now, const char *at, const char *text, unsigned n)
{
    unsigned admitted = 0;

    while (n-- > 0)
        admitted += log_repeats_admit(repeats, now, LOG_LEVEL_WARN, at, text);
    return admitted;
}

static void
test_the_first_lines_of_a_window_are_admitted(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;

    assert_int_equal(offer(repeats, START, place, "a", 4), 4);
    assert_int_equal(offer(repeats, START + 5000, place, "a", 10), 6);
    assert_int_equal(offer(repeats, START + 9999, place, "a", 1), 0);
    assert_false(log_repeats_take(repeats, START + 9999, &sum));
    assert_true(log_repeats_take(repeats, START + 10000, &sum));
    assert_int_equal(sum.n, 5);
    assert_true(sum.same);
    assert_int_equal(sum.level, LOG_LEVEL_WARN);
    assert_string_equal(sum.text, "a");
    assert_false(log_repeats_take(repeats, START + 10000, &sum));
    assert_int_equal(offer(repeats, START + 10000, place, "a", 20), 10);
}

static void
test_nothing_is_summed_up_where_nothing_was_suppressed(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;

    assert_int_equal(offer(repeats, START, place, "a", 10), 10);
    assert_false(log_repeats_take(repeats, UINT64_MAX, &sum));
    assert_int_equal(offer(repeats, START + 10000, place, "a", 10), 10);
}

static void
test_other_texts_and_places_count_by_themselves(void **state)
{
    struct log_repeats *repeats = *state;

    assert_int_equal(offer(repeats, START, place, "a", 20), 10);
    assert_int_equal(offer(repeats, START, place, "b", 20), 10);
    assert_int_equal(offer(repeats, START, other_place, "a", 20), 10);
}

/* Text that somebody outside varies. */
static void
test_a_place_has_a_limit_whatever_the_text(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;
    char text[16];
    unsigned admitted = 0;

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "%u", i);
        admitted += offer(repeats, START, place, text, 1);
    }
    assert_int_equal(admitted, LOG_REPEATS_PLACE);
    assert_int_equal(offer(repeats, START, other_place, "a", 5), 5);
    assert_true(log_repeats_take(repeats, START + 10000, &sum));
    assert_false(sum.same);
    assert_int_equal(sum.n, 5000 - LOG_REPEATS_PLACE);
    assert_string_equal(sum.text, "100");
    assert_false(log_repeats_take(repeats, UINT64_MAX, &sum));
}

/* More kinds than are watched: nothing is suppressed wrongly, nothing grows. */
static void
test_more_places_than_are_watched_are_not_limited(void **state)
{
    struct log_repeats *repeats = *state;
    char places[2 * LOG_REPEATS_KINDS];

    for (size_t i = 0; i < sizeof places; i++)
        assert_int_equal(offer(repeats, START, places + i, "a", 1), 1);
    assert_int_equal(offer(repeats, START, &places[sizeof places - 1], "a", 1000), 1000);
    assert_int_equal(offer(repeats, START + 10000, &places[sizeof places - 1], "a", 1000), 10);
}

/* Lines that go on after the window, before anybody summed up, are not lost from the sum. */
static void
test_a_late_sum_counts_all(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;

    offer(repeats, START, place, "a", 20);
    assert_int_equal(offer(repeats, START + 15000, place, "a", 7), 0);
    assert_true(log_repeats_take(repeats, START + 15000, &sum));
    assert_int_equal(sum.n, 17);
}

static void
test_sums_are_taken_one_by_one_when_due(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;

    offer(repeats, START, place, "a", 11);
    offer(repeats, START + 3000, place, "b", 12);
    offer(repeats, START + 3000, place, "c", 13);
    assert_true(log_repeats_take(repeats, START + 10000, &sum));
    assert_string_equal(sum.text, "a");
    assert_false(log_repeats_take(repeats, START + 12999, &sum));
    assert_true(log_repeats_take(repeats, START + 13000, &sum));
    assert_int_equal(sum.n, 2);
    assert_true(log_repeats_take(repeats, START + 13000, &sum));
    assert_int_equal(sum.n, 3);
    assert_false(log_repeats_take(repeats, UINT64_MAX, &sum));
}

static void
test_long_texts_are_kept_in_part_and_told_apart_whole(void **state)
{
    struct log_repeats *repeats = *state;
    struct log_repeats_sum sum;
    char text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(offer(repeats, START, place, text, 20), 10);
    text[sizeof text - 2] = 'y';
    assert_int_equal(offer(repeats, START, place, text, 20), 10);
    assert_true(log_repeats_take(repeats, UINT64_MAX, &sum));
    assert_int_equal(strlen(sum.text), LOG_REPEATS_TEXT_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_lines_of_a_window_are_admitted),
        TEST(test_nothing_is_summed_up_where_nothing_was_suppressed),
        TEST(test_other_texts_and_places_count_by_themselves),
        TEST(test_a_place_has_a_limit_whatever_the_text),
        TEST(test_more_places_than_are_watched_are_not_limited),
        TEST(test_a_late_sum_counts_all),
        TEST(test_sums_are_taken_one_by_one_when_due),
        TEST(test_long_texts_are_kept_in_part_and_told_apart_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
