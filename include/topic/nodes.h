/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nodes -- what trees of topics are made of: a node for each level, and one table that finds the child
 * of any node by its level.
 *
 *      above ─┬─ a ─┬─ b         children: a list, in the order in which they came to be,
 *             │     └─ c                   and the table
 *             ├─ +               `+` and `#`: a pointer each, in neither
 *             └─ #
 *
 * The table is keyed with random bytes, so that who chooses the levels cannot choose the chains.
 *
 * Thread:    one worker's.
 * Lifetime:  embedded in the tree: topic_nodes_init() to topic_nodes_deinit(), when all are pruned.
 * Errors:    -1 or NULL without memory, with nothing changed.
 */
#ifndef CULVERT_TOPIC_NODES_H
#define CULVERT_TOPIC_NODES_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "topic/levels.h"

struct topic_node {
    struct topic_node *next; /* of the same bucket */
    struct topic_node *parent;
    struct topic_node *plus, *all;
    struct list children; /* by their sibling; the eldest first */
    struct list sibling;
    struct list subscriptions; /* by their link */
    void *value;
    uint64_t hash; /* of the levels down to this one */
    uint16_t len;
    char text[]; /* the level, no NUL */
};

struct topic_nodes {
    struct topic_node **buckets;
    size_t n_buckets; /* a power of two */
    uint64_t seed[2];
    size_t count; /* of nodes */
    size_t bytes; /* that they and the table take */
};

/* Returns 0, or -1 without memory or random bytes. */
int topic_nodes_init(struct topic_nodes *nodes) __attribute__((warn_unused_result));
void topic_nodes_deinit(struct topic_nodes *nodes);

/* One above a tree's first level, which is never pruned; to be freed. NULL without memory. */
struct topic_node *topic_nodes_above(uint64_t hash) __attribute__((warn_unused_result));

/* The child of that level, which is no wildcard; NULL: there is none. */
struct topic_node *topic_nodes_child(const struct topic_nodes *nodes,
                                     const struct topic_node *parent,
                                     const struct topic_level *level);

/* The node of a text, below above; made where there is none. NULL without memory. */
struct topic_node *topic_nodes_make(struct topic_nodes *nodes, struct topic_node *above,
                                    const char *text, size_t len)
    __attribute__((warn_unused_result));

/* Frees it if it has neither subscription, value nor child; and those above it that nothing needs any
 * more. */
void topic_nodes_prune(struct topic_nodes *nodes, struct topic_node *node);

#endif
