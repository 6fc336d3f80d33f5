/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/topic_filter.h"
#include "topic/cover.h"

enum {
    MOST = 16, /* filters in a list */
};

/* A list from words. */
static char **
cut(const char *words)
{
    char **list = calloc(MOST + 1, sizeof *list);
    char *copy = strdup(words), *rest = copy, *word;

    assert_non_null(list);
    assert_non_null(copy);
    for (int n = 0; (word = strsep(&rest, " ")) != NULL;) {
        if (*word == '\0')
            continue;
        assert_true(n < MOST);
        list[n++] = strdup(word);
    }
    free(copy);
    return list;
}

static void
check(const char *words, bool join, const char *expected)
{
    char **list = cut(words);
    char **reduced = cover_reduce((const char *const *)list, join);
    char text[512] = "";

    assert_non_null(reduced);
    for (size_t i = 0; reduced[i] != NULL; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, reduced[i]);
    }
    assert_string_equal(text, expected);
    cover_free(reduced);
    cover_free(list);
}

static void
test_what_another_filter_covers_is_left_out(void **state)
{
    (void)state;
    check("", false, "");
    check("a", false, "a");
    check("a a", false, "a");
    check("a/#  a/b a/+ a", false, "a/#");
    check("a a/b a/+ a/#", false, "a/#");
    check("a/b c a/+ d", false, "c a/+ d");
    check("# a/b $SYS/x", false, "# $SYS/x");
    check("a/+ +/b", false, "a/+ +/b");
}

static void
test_filters_that_overlap_are_joined_to_the_narrowest_that_covers_both(void **state)
{
    (void)state;
    check("a/+ +/b", true, "+/+");
    check("a/# +/b/c", true, "+/#");
    check("a/+ a/b/#", true, "a/+/#");
    check("a/b/# a/+", true, "a/+/#");
    check("a/+/c/# a/b/+", true, "a/+/+/#");
    check("$SYS/+/x $SYS/a/+", true, "$SYS/+/+");
    check("x/y z/#", true, "x/y z/#");
    check("/+ +/", true, "+/+");
}

static void
test_what_was_joined_joins_others_in_turn(void **state)
{
    (void)state;
    /* c/d overlaps neither of the first two, but what they become covers it. */
    check("c/d a/+ +/b", true, "+/+");
    check("+/c/d a/+ +/b", true, "+/c/d +/+");
    check("q/+/+ a/# +/b/c $S/#", true, "+/# $S/#");
}

static void
test_overlaps_are_seen(void **state)
{
    static const struct {
        const char *words;
        bool overlap;
    } cases[] = {
        {"a b", false}, {"a/+ +/b", true}, {"# $SYS/#", false}, {"a/# b/# +/x", true}, {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char **list = cut(cases[i].words);

        assert_int_equal(cover_overlaps((const char *const *)list), cases[i].overlap);
        cover_free(list);
    }
}

static void
test_lists_are_searched(void **state)
{
    static const char *const list[] = {"a/+", "b", NULL}, *const none[] = {NULL};

    (void)state;
    assert_true(cover_has(list, "b"));
    assert_false(cover_has(list, "a/b"));
    assert_false(cover_has(none, "b"));
    assert_true(cover_matches(list, "a/b", 3));
    assert_false(cover_matches(list, "a/b", 1));
    assert_false(cover_matches(none, "b", 1));
}

/* Of all lists of three filters over a small alphabet: all is covered that was asked for, nothing
 * covers another, and joined ones do not overlap. */
static void
test_covers_of_all_small_lists_hold(void **state)
{
    static char all[][8] = {"a",     "b",    "+",    "#",     "a/a",   "a/b",   "a/+",
                            "a/#",   "+/a",  "+/b",  "+/+",   "+/#",   "/",     "/a",
                            "$a",    "$a/+", "$a/#", "+/+/b", "a/+/b", "a/b/#", "+/b/a",
                            "a/b/+", "/+/b", "a//b", "$a/b/+"};
    size_t n = sizeof all / sizeof *all;

    (void)state;
    for (size_t i = 0; i < n * n * n * 2; i++) {
        const char *list[] = {all[i / 2 % n], all[i / 2 / n % n], all[i / 2 / n / n % n], NULL};
        char **reduced = cover_reduce(list, i % 2);

        assert_non_null(reduced);
        for (size_t f = 0; list[f] != NULL; f++) {
            bool covered = false;

            for (size_t r = 0; reduced[r] != NULL; r++)
                covered |=
                    topic_filter_covers(reduced[r], strlen(reduced[r]), list[f], strlen(list[f]));
            assert_true(covered);
        }
        for (size_t r = 0; reduced[r] != NULL; r++) {
            assert_true(topic_filter_is_valid(reduced[r], strlen(reduced[r])));
            for (size_t s = 0; reduced[s] != NULL; s++)
                assert_false(s != r && topic_filter_covers(reduced[r], strlen(reduced[r]),
                                                           reduced[s], strlen(reduced[s])));
        }
        assert_false(i % 2 == 1 && cover_overlaps((const char *const *)reduced));
        cover_free(reduced);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_another_filter_covers_is_left_out),
        cmocka_unit_test(test_filters_that_overlap_are_joined_to_the_narrowest_that_covers_both),
        cmocka_unit_test(test_what_was_joined_joins_others_in_turn),
        cmocka_unit_test(test_overlaps_are_seen),
        cmocka_unit_test(test_lists_are_searched),
        cmocka_unit_test(test_covers_of_all_small_lists_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
