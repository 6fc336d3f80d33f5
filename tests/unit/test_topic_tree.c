/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/topic_filter.h"
#include "guard.h"
#include "topic/tree.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MANY = 20000,
};

/* What a walk came to, as "name name ". */
struct walk {
    char seen[4096];
    unsigned n, enough; /* 0: never */
};

struct subscriber {
    struct topic_subscription subscription;
    const char *name;
    unsigned n; /* matches */
};

static void
on_match(struct topic_subscription *subscription, void *arg)
{
    struct subscriber *subscriber = container_of(subscription, struct subscriber, subscription);
    struct walk *walk = arg;

    subscriber->n++;
    walk->n++;
    if (subscriber->name != NULL)
        strcat(strcat(walk->seen, subscriber->name), " ");
}

static bool
on_retained(void *value, void *arg)
{
    struct walk *walk = arg;

    strcat(strcat(walk->seen, value), " ");
    return ++walk->n != walk->enough;
}

static void
subscribe(struct topic_tree *tree, const char *filter, struct subscriber *subscriber)
{
    assert_int_equal(topic_tree_subscribe(tree, filter, strlen(filter), &subscriber->subscription),
                     0);
}

static void *
retain(struct topic_tree *tree, const char *topic, const char *value)
{
    void *old = tree;
    char *copy = value != NULL ? strdup(value) : NULL;

    assert_int_equal(topic_tree_retain(tree, topic, strlen(topic), copy, &old), 0);
    return old;
}

static unsigned
match(struct topic_tree *tree, const char *topic, struct walk *walk)
{
    memset(walk, 0, sizeof *walk);
    topic_tree_match(tree, topic, strlen(topic), on_match, walk);
    return walk->n;
}

static void
each(struct topic_tree *tree, const char *filter, struct walk *walk)
{
    memset(walk, 0, sizeof *walk);
    topic_tree_retained_each(tree, filter, strlen(filter), on_retained, walk);
}

static void
close_tree(struct topic_tree *tree)
{
    struct topic_tree_counts counts;
    void *value;

    while ((value = topic_tree_retained_take(tree)) != NULL)
        free(value);
    counts = topic_tree_counts(tree);
    assert_int_equal(counts.subscriptions, 0);
    assert_int_equal(counts.retained, 0);
    assert_int_equal(counts.nodes, 0);
    topic_tree_free(tree);
}

/* ---- levels ---- */

static void
test_levels(void **state)
{
    struct guard guard = guard_open(TOPIC_LEVELS);
    char slashes[TOPIC_LEVELS];

    (void)state;
    memset(slashes, '/', sizeof slashes);
    assert_true(topic_levels_ok(guard_end(&guard, "a", 1), 1));
    assert_true(topic_levels_ok(guard_end(&guard, slashes, TOPIC_LEVELS - 1), TOPIC_LEVELS - 1));
    assert_false(topic_levels_ok(guard_end(&guard, slashes, TOPIC_LEVELS), TOPIC_LEVELS));
    guard_close(&guard);
}

/* The most that there may be, all of them plus signs and all of them words too. */
static void
test_deepest(void **state)
{
    char filter[2 * TOPIC_LEVELS], topic[2 * TOPIC_LEVELS];
    struct topic_tree *tree = topic_tree_new();
    struct subscriber s[TOPIC_LEVELS] = {0};
    struct walk walk;
    size_t len = 2 * TOPIC_LEVELS - 1;

    (void)state;
    for (size_t i = 0; i < len; i++)
        topic[i] = i % 2 == 0 ? 'a' : '/';
    topic[len] = '\0';
    for (size_t i = 0; i < TOPIC_LEVELS; i++) {
        memcpy(filter, topic, sizeof filter);
        filter[2 * i] = '+';
        filter[len - 1] = i % 2 == 0 ? '#' : 'a';
        subscribe(tree, filter, &s[i]);
    }
    assert_true(topic_levels_ok(topic, len));
    assert_int_equal(match(tree, topic, &walk), TOPIC_LEVELS);
    assert_ptr_equal(retain(tree, topic, "deep"), NULL);
    each(tree, topic, &walk);
    assert_string_equal(walk.seen, "deep ");
    each(tree, "#", &walk);
    assert_string_equal(walk.seen, "deep ");
    for (size_t i = 0; i < TOPIC_LEVELS; i++)
        topic_tree_unsubscribe(tree, &s[i].subscription);
    close_tree(tree);
}

/* ---- filters ---- */

static const char *const filters[] = {"a/b", "a/+", "a/#", "#",    "+",    "+/b",  "/",
                                      "/+",  "+/#", "$x",  "$x/#", "a//b", "a/+/b"};

static const struct {
    const char *topic, *seen; /* of each level `#` first, then itself, then `+` */
} matches[] = {
    {"a", "# a/# +/# + "},      {"a/b", "# a/# a/b a/+ +/# +/b "},
    {"a/", "# a/# a/+ +/# "},   {"/", "# / /+ +/# "},
    {"/b", "# /+ +/# +/b "},    {"$x", "$x/# $x "},
    {"$x/b", "$x/# "},          {"a//b", "# a/# a//b a/+/b +/# "},
    {"a/$x", "# a/# a/+ +/# "}, {"b", "# +/# + "},
    {"c/c/c", "# +/# "},
};

static void
test_match(void **state)
{
    struct subscriber s[COUNT(filters)] = {0};
    struct topic_tree *tree = topic_tree_new();
    struct walk walk;

    (void)state;
    for (size_t i = 0; i < COUNT(filters); i++) {
        s[i].name = filters[i];
        subscribe(tree, filters[i], &s[i]);
    }
    for (size_t i = 0; i < COUNT(matches); i++) {
        match(tree, matches[i].topic, &walk);
        assert_string_equal(walk.seen, matches[i].seen);
    }
    for (size_t i = 0; i < COUNT(filters); i++)
        topic_tree_unsubscribe(tree, &s[i].subscription);
    assert_int_equal(match(tree, "a/b", &walk), 0);
    close_tree(tree);
}

/* Who shares a filter costs no node, and leaves the others what they have. */
static void
test_shared(void **state)
{
    struct subscriber s[] = {{.name = "1"}, {.name = "2"}, {.name = "3"}};
    struct topic_tree *tree = topic_tree_new();
    struct topic_tree_counts before = topic_tree_counts(tree), one;
    struct walk walk;

    (void)state;
    subscribe(tree, "a/b/+", &s[0]);
    one = topic_tree_counts(tree);
    assert_int_equal(one.nodes, 3);
    subscribe(tree, "a/b/+", &s[1]);
    subscribe(tree, "a/b/+", &s[2]);
    assert_int_equal(topic_tree_counts(tree).nodes, 3);
    assert_int_equal(topic_tree_counts(tree).bytes, one.bytes);
    match(tree, "a/b/c", &walk);
    assert_string_equal(walk.seen, "1 2 3 ");
    topic_tree_unsubscribe(tree, &s[1].subscription);
    topic_tree_unsubscribe(tree, &s[1].subscription);
    assert_null(s[1].subscription.node);
    match(tree, "a/b/c", &walk);
    assert_string_equal(walk.seen, "1 3 ");
    subscribe(tree, "a", &s[1]);
    topic_tree_unsubscribe(tree, &s[0].subscription);
    topic_tree_unsubscribe(tree, &s[2].subscription);
    assert_int_equal(topic_tree_counts(tree).nodes, 1);
    topic_tree_unsubscribe(tree, &s[1].subscription);
    assert_int_equal(topic_tree_counts(tree).bytes, before.bytes);
    close_tree(tree);
}

static void
test_filter(void **state)
{
    struct guard guard = guard_open(16);
    struct topic_tree *tree = topic_tree_new();

    (void)state;
    for (size_t i = 0; i < COUNT(filters); i++) {
        struct subscriber s = {0};
        size_t len = strlen(filters[i]);
        char *out = guard_end(&guard, "????????????????", len);

        assert_int_equal(topic_subscription_filter(&s.subscription, out, len), 0);
        assert_false(topic_subscription_is(&s.subscription, filters[i], len));
        subscribe(tree, filters[i], &s);
        assert_int_equal(topic_subscription_filter(&s.subscription, out, len - 1), len);
        assert_int_equal(topic_subscription_filter(&s.subscription, out, len), len);
        assert_memory_equal(out, filters[i], len);
        for (size_t j = 0; j < COUNT(filters); j++) {
            const char *other = guard_end(&guard, filters[j], strlen(filters[j]));

            assert_int_equal(topic_subscription_is(&s.subscription, other, strlen(filters[j])),
                             i == j);
        }
        assert_false(topic_subscription_is(&s.subscription, "", 0));
        topic_tree_unsubscribe(tree, &s.subscription);
    }
    close_tree(tree);
    guard_close(&guard);
}

/* The table grows and shrinks under them; all is found at any time. */
static void
test_many(void **state)
{
    struct subscriber *s = calloc(MANY, sizeof *s);
    struct topic_tree *tree = topic_tree_new();
    struct topic_tree_counts before = topic_tree_counts(tree);
    struct walk walk;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d/%u/t%u", i % 100, i);
        subscribe(tree, name, &s[i]);
    }
    assert_int_equal(topic_tree_counts(tree).nodes, 1 + 100 + MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d/%u/t%u", i % 100, i);
        assert_int_equal(match(tree, name, &walk), 1);
        assert_int_equal(s[i].n, 1);
        if (i % 10 == 0)
            continue;
        topic_tree_unsubscribe(tree, &s[i].subscription);
        assert_int_equal(match(tree, name, &walk), 0);
    }
    for (unsigned i = 0; i < MANY; i += 10)
        topic_tree_unsubscribe(tree, &s[i].subscription);
    assert_int_equal(topic_tree_counts(tree).bytes, before.bytes);
    close_tree(tree);
    free(s);
}

/* ---- retained values ---- */

static const char *const topics[] = {"a/b", "a/c", "b/b", "a", "$x/b", "/", "a/b/c", "a/$x", "$x"};

static const struct {
    const char *filter, *seen;
} walks[] = {
    {"#", "a a/b a/b/c a/c a/$x b/b / "},
    {"+", "a "},
    {"+/b", "a/b b/b "},
    {"+/+", "a/b a/c a/$x b/b / "},
    {"a/#", "a a/b a/b/c a/c a/$x "},
    {"a/+", "a/b a/c a/$x "},
    {"a/b/#", "a/b a/b/c "},
    {"a/b", "a/b "},
    {"$x/#", "$x $x/b "},
    {"/+", "/ "},
    {"+/+/c", "a/b/c "},
    {"z/#", ""},
    {"a/+/+/+", ""},
};

static void
test_retained_each(void **state)
{
    struct topic_tree *tree = topic_tree_new();
    struct subscriber s = {0};
    struct walk walk;

    (void)state;
    subscribe(tree, "a/+/z", &s); /* of no concern to values */
    each(tree, "#", &walk);
    assert_string_equal(walk.seen, "");
    for (size_t i = 0; i < COUNT(topics); i++)
        assert_null(retain(tree, topics[i], topics[i]));
    assert_int_equal(topic_tree_counts(tree).retained, COUNT(topics));
    for (size_t i = 0; i < COUNT(walks); i++) {
        each(tree, walks[i].filter, &walk);
        assert_string_equal(walk.seen, walks[i].seen);
    }
    memset(&walk, 0, sizeof walk);
    walk.enough = 2;
    topic_tree_retained_each(tree, "#", 1, on_retained, &walk);
    assert_string_equal(walk.seen, "a a/b ");
    topic_tree_unsubscribe(tree, &s.subscription);
    close_tree(tree);
}

static void
test_retain(void **state)
{
    struct topic_tree *tree = topic_tree_new();
    struct topic_tree_counts before = topic_tree_counts(tree);
    void *old;

    (void)state;
    assert_null(topic_tree_retained(tree, "a/b", 3));
    assert_null(retain(tree, "a/b", NULL));
    assert_null(retain(tree, "a/b", "1"));
    assert_string_equal(topic_tree_retained(tree, "a/b", 3), "1");
    assert_null(topic_tree_retained(tree, "a", 1));
    assert_null(topic_tree_retained(tree, "a/b/c", 5));
    assert_null(retain(tree, "a", NULL));
    old = retain(tree, "a/b", "2");
    assert_string_equal(old, "1");
    free(old);
    assert_string_equal(topic_tree_retained(tree, "a/b", 3), "2");
    assert_int_equal(topic_tree_counts(tree).retained, 1);
    old = retain(tree, "a/b", NULL);
    assert_string_equal(old, "2");
    free(old);
    assert_int_equal(topic_tree_counts(tree).retained, 0);
    assert_int_equal(topic_tree_counts(tree).bytes, before.bytes);
    close_tree(tree);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_deepest),
        cmocka_unit_test(test_match),         cmocka_unit_test(test_shared),
        cmocka_unit_test(test_filter),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_retained_each), cmocka_unit_test(test_retain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
