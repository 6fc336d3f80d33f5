/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of topics against a list that knows only whether a filter matches. Input: operations, each a
 * byte, whom it is about, and a text made of words.
 */
#include "base/topic_filter.h"
#include "fuzz.h"
#include "topic/tree.h"

enum {
    MEMBERS = 48, /* subscriptions, and as many values */
    TEXT_MAX = 512,
};

struct text {
    size_t len;
    char at[TEXT_MAX];
};

struct member {
    struct topic_subscription subscription;
    struct text filter; /* len 0: not subscribed */
    unsigned n_matches;
    struct text topic; /* len 0: no value */
    unsigned n_walks;
    unsigned place; /* in the last walk */
};

struct world {
    struct topic_tree *tree;
    struct member member[MEMBERS];
    unsigned n_walked;
};

/* Returns whether it is a valid one. */
static bool
take_text(struct fuzz *in, bool is_filter, struct text *text)
{
    static const char *const words[] = {"a", "b", "", "+", "$x", "a", "ab", "#"};
    unsigned kind = fuzz_byte(in);
    unsigned n = kind < 248 ? 1 + kind % 5 : TOPIC_LEVELS - 4 + kind % 8;

    text->len = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *word = words[fuzz_byte(in) % 8];

        if (i > 0)
            text->at[text->len++] = '/';
        memcpy(text->at + text->len, word, strlen(word));
        text->len += strlen(word);
        CHECK(text->len < TEXT_MAX - 4);
    }
    CHECK(topic_levels_ok(text->at, text->len) == (n <= TOPIC_LEVELS));
    return n <= TOPIC_LEVELS && (is_filter ? topic_filter_is_valid(text->at, text->len)
                                           : topic_name_is_valid(text->at, text->len));
}

static bool
is_same(const struct text *a, const struct text *b)
{
    return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

static bool
matches(const struct text *filter, const struct text *topic)
{
    return filter->len > 0 && topic->len > 0 &&
           topic_filter_matches(filter->at, filter->len, topic->at, topic->len);
}

/* The tree gets copies of exactly their size. */

static void
subscribe(struct world *world, struct member *member, const struct text *text)
{
    char *filter = fuzz_copy(text->at, text->len);

    topic_tree_unsubscribe(world->tree, &member->subscription);
    CHECK(topic_tree_subscribe(world->tree, filter, text->len, &member->subscription) == 0);
    member->filter = *text;
    free(filter);
}

static void
on_match(struct topic_subscription *subscription, void *arg)
{
    (void)arg;
    container_of(subscription, struct member, subscription)->n_matches++;
}

static void
match(struct world *world, const struct text *text)
{
    char *topic = fuzz_copy(text->at, text->len);

    topic_tree_match(world->tree, topic, text->len, on_match, NULL);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct member *member = &world->member[i];

        CHECK(member->n_matches == matches(&member->filter, text));
        member->n_matches = 0;
    }
    free(topic);
}

/* The value is the member itself, and moves from whoever had the topic. */
static void
retain(struct world *world, struct member *member, const struct text *text)
{
    char *topic = fuzz_copy(text->at, text->len);
    void *old, *expected = NULL, *value = member->topic.len == 0 ? member : NULL;

    for (unsigned i = 0; i < MEMBERS; i++)
        if (is_same(&world->member[i].topic, text))
            expected = &world->member[i];
    CHECK(topic_tree_retained(world->tree, topic, text->len) == expected);
    CHECK(topic_tree_retain(world->tree, topic, text->len, value, &old) == 0 && old == expected);
    if (old != NULL)
        ((struct member *)old)->topic.len = 0;
    if (value != NULL)
        member->topic = *text;
    CHECK(topic_tree_retained(world->tree, topic, text->len) == value);
    free(topic);
}

static bool
on_retained(void *value, void *arg)
{
    struct member *member = value;
    struct world *world = arg;

    member->n_walks++;
    member->place = ++world->n_walked;
    return true;
}

/* Each value once, and in the order of the walk over all. */
static void
walk(struct world *world, const struct text *text)
{
    char *filter = fuzz_copy(text->at, text->len);
    unsigned before[MEMBERS];

    world->n_walked = 0;
    topic_tree_retained_each(world->tree, "#", 1, on_retained, world);
    for (unsigned i = 0; i < MEMBERS; i++) {
        before[i] = world->member[i].place;
        world->member[i].n_walks = world->member[i].place = 0;
    }
    world->n_walked = 0;
    topic_tree_retained_each(world->tree, filter, text->len, on_retained, world);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct member *a = &world->member[i];

        CHECK(a->n_walks == matches(text, &a->topic));
        for (unsigned j = 0; j < i && a->place > 0 && before[i] > 0; j++) {
            struct member *b = &world->member[j];

            CHECK(b->place == 0 || before[j] == 0 ||
                  (a->place < b->place) == (before[i] < before[j]));
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        world->member[i].n_walks = world->member[i].place = 0;
    free(filter);
}

static void
check_filter(const struct member *member, const struct text *text)
{
    char *other = fuzz_copy(text->at, text->len), out[TEXT_MAX];

    CHECK(topic_subscription_is(&member->subscription, other, text->len) ==
          is_same(&member->filter, text));
    CHECK(topic_subscription_filter(&member->subscription, out, sizeof out) == member->filter.len);
    CHECK(memcmp(out, member->filter.at, member->filter.len) == 0);
    free(other);
}

static void
step(struct world *world, struct fuzz *in)
{
    unsigned what = fuzz_byte(in) % 6;
    struct member *member = &world->member[fuzz_byte(in) % MEMBERS];
    struct text text;

    if (what == 0) {
        topic_tree_unsubscribe(world->tree, &member->subscription);
        member->filter.len = 0;
    } else if (what == 1 && take_text(in, true, &text)) {
        subscribe(world, member, &text);
    } else if (what == 2 && take_text(in, false, &text)) {
        match(world, &text);
    } else if (what == 3 && take_text(in, false, &text)) {
        retain(world, member, &text);
    } else if (what == 4 && take_text(in, true, &text)) {
        walk(world, &text);
    } else if (what == 5 && take_text(in, true, &text)) {
        check_filter(member, &text);
    }
}

static void
check_counts(const struct world *world)
{
    struct topic_tree_counts counts = topic_tree_counts(world->tree);

    for (unsigned i = 0; i < MEMBERS; i++) {
        counts.subscriptions -= world->member[i].filter.len > 0;
        counts.retained -= world->member[i].topic.len > 0;
    }
    CHECK(counts.subscriptions == 0 && counts.retained == 0);
}

/* Nothing is left, and the table is as small as at first. */
static void
finish(struct world *world)
{
    struct topic_tree *fresh = topic_tree_new();
    void *value;

    CHECK(fresh != NULL);
    for (unsigned i = 0; i < MEMBERS; i++)
        topic_tree_unsubscribe(world->tree, &world->member[i].subscription);
    while ((value = topic_tree_retained_take(world->tree)) != NULL) {
        CHECK(((struct member *)value)->topic.len > 0);
        ((struct member *)value)->topic.len = 0;
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK(world->member[i].topic.len == 0);
    CHECK(topic_tree_counts(world->tree).nodes == 0);
    CHECK(topic_tree_counts(world->tree).bytes == topic_tree_counts(fresh).bytes);
    topic_tree_free(fresh);
    topic_tree_free(world->tree);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world *world = calloc(1, sizeof *world);
    struct fuzz in = {data, len};

    CHECK(world != NULL);
    world->tree = topic_tree_new();
    CHECK(world->tree != NULL);
    while (in.len > 0) {
        step(world, &in);
        check_counts(world);
    }
    finish(world);
    free(world);
    return 0;
}
