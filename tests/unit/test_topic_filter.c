/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/topic_filter.h"
#include "guard.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- as the standard has it ---- */

static const struct {
    const char *filter, *name;
    bool match;
} matches[] = {
    {"sport/tennis/player1/#", "sport/tennis/player1", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
    {"sport/tennis/player1/#", "sport/tennis/player12", false},
    {"sport/#", "sport", true},
    {"#", "sport", true},
    {"#", "/", true},
    {"sport/tennis/+", "sport/tennis/player1", true},
    {"sport/tennis/+", "sport/tennis/player1/ranking", false},
    {"sport/+", "sport", false},
    {"sport/+", "sport/", true},
    {"+", "sport", true},
    {"+", "/finance", false},
    {"+/+", "/finance", true},
    {"/+", "/finance", true},
    {"+/tennis/#", "sport/tennis", true},
    {"#", "$SYS/monitor/Clients", false},
    {"+/monitor/Clients", "$SYS/monitor/Clients", false},
    {"$SYS/#", "$SYS/monitor/Clients", true},
    {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
    {"$SYS/#", "$SYS", true},
    {"a/#", "a/$x", true},
    {"a/+", "a/$x", true},
    {"ACCOUNTS", "Accounts", false},
    {"a", "/a", false},
    {"a", "a/", false},
    {"a//b", "a/b", false},
    {"a/+/b", "a//b", true},
};

static void
test_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(matches); i++) {
        const char *filter = matches[i].filter, *name = matches[i].name;

        if (topic_filter_matches(filter, strlen(filter), name, strlen(name)) != matches[i].match)
            fail_msg("%s and %s", filter, name);
    }
}

static void
test_valid(void **state)
{
    static const char *const good[] = {"#",   "+",   "a/#", "+/+/#", "/",
                                       "a b", "//#", "$x",  "a/+/b", "/+"};
    static const char *const bad[] = {"",     "a#",   "#/a", "a/#/b", "a+",
                                      "+a/b", "a/b#", "##",  "++",    "a/+b"};
    static char longest[TOPIC_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(topic_filter_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(topic_filter_is_valid(bad[i], strlen(bad[i])));
        assert_false(topic_name_is_valid(bad[i], strlen(bad[i])));
    }
    assert_true(topic_name_is_valid("a/b", 3));
    assert_false(topic_name_is_valid("a/+", 3));
    assert_false(topic_name_is_valid("#", 1));
    assert_false(topic_name_is_valid("a\0b", 3));
    assert_false(topic_filter_is_valid("a\0b", 3));
    memset(longest, '/', sizeof longest);
    assert_true(topic_name_is_valid(longest, TOPIC_MAX));
    assert_true(topic_filter_is_valid(longest, TOPIC_MAX));
    assert_false(topic_name_is_valid(longest, TOPIC_MAX + 1));
    assert_false(topic_filter_is_valid(longest, TOPIC_MAX + 1));
}

/* ---- every short filter with every other ---- */

enum {
    FILTERS_MAX = 300,
    NAMES_MAX = 1000,
    TEXT_MAX = 12,
};

struct texts {
    char text[NAMES_MAX][TEXT_MAX];
    size_t n;
};

/* All of so many levels out of the words. last: one more that only the last level may be. */
static void
make(struct texts *texts, const char *const *words, size_t n_words, unsigned levels,
     const char *last)
{
    size_t n = 1, n_last = n_words + (last != NULL);

    for (unsigned i = 0; i + 1 < levels; i++)
        n *= n_words;
    for (size_t i = 0; i < n * n_last; i++) {
        size_t word = i % n_last, rest = i / n_last;
        char text[TEXT_MAX], longer[TEXT_MAX];

        snprintf(text, sizeof text, "%s", word < n_words ? words[word] : last);
        for (unsigned level = 1; level < levels; level++, rest /= n_words) {
            assert_true(snprintf(longer, sizeof longer, "%s/%s", words[rest % n_words], text) <
                        TEXT_MAX);
            memcpy(text, longer, sizeof text);
        }
        if (text[0] != '\0')
            memcpy(texts->text[texts->n++], text, sizeof text);
        assert_true(texts->n < NAMES_MAX);
    }
}

/* What section 4.7 says, level by level from the end of the text on; not how it is done in the module. */
static bool
oracle(const char *filter, const char *name, bool begins)
{
    size_t f = strcspn(filter, "/"), n = strcspn(name, "/");

    if (begins && name[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    if (strcmp(filter, "#") == 0)
        return true;
    if (!(f == 1 && filter[0] == '+') && (f != n || strncmp(filter, name, n) != 0))
        return false;
    if (name[n] == '\0')
        return filter[f] == '\0' || strcmp(filter + f, "/#") == 0;
    return filter[f] == '/' && oracle(filter + f + 1, name + n + 1, false);
}

static struct texts filters, names;
static bool matched[FILTERS_MAX][NAMES_MAX];

static int
make_all(void **state)
{
    static const char *const filter_words[] = {"", "a", "$", "+"};
    static const char *const name_words[] = {"", "a", "$", "z"};

    (void)state;
    for (unsigned levels = 1; levels <= 3; levels++)
        make(&filters, filter_words, COUNT(filter_words), levels, "#");
    for (unsigned levels = 1; levels <= 4; levels++)
        make(&names, name_words, COUNT(name_words), levels, NULL);
    assert_true(filters.n > 80 && filters.n <= FILTERS_MAX && names.n > 300);
    for (size_t f = 0; f < filters.n; f++)
        for (size_t n = 0; n < names.n; n++)
            matched[f][n] = oracle(filters.text[f], names.text[n], true);
    return 0;
}

static void
test_match_all(void **state)
{
    struct guard a = guard_open(TEXT_MAX), b = guard_open(TEXT_MAX);

    (void)state;
    for (size_t f = 0; f < filters.n; f++) {
        size_t f_len = strlen(filters.text[f]);
        const char *filter = guard_end(&a, filters.text[f], f_len);

        assert_true(topic_filter_is_valid(filter, f_len));
        for (size_t n = 0; n < names.n; n++) {
            size_t n_len = strlen(names.text[n]);
            const char *name = guard_end(&b, names.text[n], n_len);

            if (topic_filter_matches(filter, f_len, name, n_len) != matched[f][n])
                fail_msg("%s and %s", filters.text[f], names.text[n]);
        }
    }
    guard_close(&a);
    guard_close(&b);
}

/* Names are longer by a level than filters, and know a word that no filter does: they tell all filters
 * apart. */
static void
test_compare_all(void **state)
{
    (void)state;
    for (size_t f = 0; f < filters.n; f++) {
        for (size_t g = 0; g < filters.n; g++) {
            const char *a = filters.text[f], *b = filters.text[g];
            bool covers = true, overlaps = false;

            for (size_t n = 0; n < names.n; n++) {
                covers &= matched[f][n] || !matched[g][n];
                overlaps |= matched[f][n] && matched[g][n];
            }
            if (topic_filter_covers(a, strlen(a), b, strlen(b)) != covers)
                fail_msg("%s covers %s: %d", a, b, covers);
            if (topic_filter_overlaps(a, strlen(a), b, strlen(b)) != overlaps)
                fail_msg("%s overlaps %s: %d", a, b, overlaps);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_match_all),
        cmocka_unit_test(test_compare_all),
    };

    return cmocka_run_group_tests(tests, make_all, NULL);
}
