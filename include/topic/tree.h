/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree -- one worker's topic filters with who subscribed to them, and the retained values of topics.
 *
 *      filters                              retained
 *       ├─ a ─┬─ b   [s1 ⇄ s2 ⇄ s3]          └─ a ─┬─ b   value
 *       │     ├─ +   [s4]                          └─ c   value
 *       │     └─ #   [s5]
 *       └─ #         [s6]
 *
 * A node is one level of a text; filters that begin alike share nodes, and who subscribes to the same
 * filter shares all of them: such a subscription costs its own struct. The two trees are apart, so that
 * a walk over values meets no filter, and a message no value. Children are found in one table for all
 * nodes, keyed with random bytes: who chooses the names cannot choose the chains.
 *
 * Nothing recurses. A match looks at every node at most once, and at no more than 2^levels: one lookup
 * for each level where nobody uses `+`.
 *
 * Texts are valid names and filters (base/topic_filter.h) of at most TOPIC_LEVELS levels: who takes them
 * from outside asks topic_levels_ok() first.
 *
 * Thread:    one worker's.
 * Lifetime:  topic_tree_new() to topic_tree_free(); empty by then.
 * Ownership: subscriptions are embedded in who subscribes; values are the caller's.
 * Errors:    -1 or NULL without memory, with nothing changed.
 */
#ifndef CULVERT_TOPIC_TREE_H
#define CULVERT_TOPIC_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "topic/levels.h"

struct topic_node;
struct topic_tree;

/* Zeroed before its first use. */
struct topic_subscription {
    struct list link;        /* private to tree.c */
    struct topic_node *node; /* NULL: not subscribed */
};

struct topic_tree_counts {
    size_t subscriptions;
    size_t retained;
    size_t nodes; /* of both trees */
    size_t bytes; /* that nodes and table take, as asked of the allocator */
};

/* Within a walk the tree must not change: neither callback subscribes, unsubscribes or retains. */
typedef void (*topic_subscription_cb)(struct topic_subscription *subscription, void *arg);
/* Returns whether to go on. */
typedef bool (*topic_retained_cb)(void *value, void *arg);

/* NULL without memory or random bytes. */
struct topic_tree *topic_tree_new(void) __attribute__((warn_unused_result));

/* No subscription and no value may be left. NULL is fine. */
void topic_tree_free(struct topic_tree *tree);

struct topic_tree_counts topic_tree_counts(const struct topic_tree *tree);

/* ---- filters ---- */

/* subscription must not be subscribed. Returns 0, or -1 without memory. */
int topic_tree_subscribe(struct topic_tree *tree, const char *filter, size_t len,
                         struct topic_subscription *subscription)
    __attribute__((warn_unused_result));

/* Does nothing if it is not subscribed. */
void topic_tree_unsubscribe(struct topic_tree *tree, struct topic_subscription *subscription);

/*
 * Calls fn for each subscription whose filter matches the topic, once; in the order of their subscribing
 * where they share a filter. Who has subscribed to several filters is called for each that matches. Returns
 * how many nodes were looked at.
 */
size_t topic_tree_match(struct topic_tree *tree, const char *topic, size_t len,
                        topic_subscription_cb fn, void *arg);

/* Whether it is subscribed, to that very filter. */
bool topic_subscription_is(const struct topic_subscription *subscription, const char *filter,
                           size_t len);

/* Writes the filter, no NUL; size TOPIC_MAX is enough. Returns its length, also where that is more than
 * size and nothing is written; 0: not subscribed. */
size_t topic_subscription_filter(const struct topic_subscription *subscription, char *out,
                                 size_t size);

/* ---- retained values ---- */

/* value NULL removes. *old is what was there, or NULL: the caller's again. Returns 0, or -1 without
 * memory, and *old NULL; removing cannot fail. */
int topic_tree_retain(struct topic_tree *tree, const char *topic, size_t len, void *value,
                      void **old) __attribute__((warn_unused_result));

/* NULL if there is none. */
void *topic_tree_retained(const struct topic_tree *tree, const char *topic, size_t len);

/*
 * Calls fn for each value whose topic the filter matches; filter NULL: for all. The order is the same for every walk and
 * filter: a topic before those below it; and levels under the same parent in the order in which they came
 * to be. Returns how many nodes were looked at.
 */
size_t topic_tree_retained_each(struct topic_tree *tree, const char *filter, size_t len,
                                topic_retained_cb fn, void *arg);

/* Takes out any one value, for who empties the tree; NULL: there is none. */
void *topic_tree_retained_take(struct topic_tree *tree);

#endif
