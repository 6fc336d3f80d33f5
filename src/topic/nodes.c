/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/nodes.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"

enum {
    FIRST_BUCKETS = 64,
    SHRINK = 8, /* buckets for each node from which on the table is too large */
};

/* ---- the table ---- */

static struct topic_node **
bucket_of(const struct topic_nodes *nodes, uint64_t hash)
{
    return &nodes->buckets[hash & (nodes->n_buckets - 1)];
}

static void
insert(struct topic_nodes *nodes, struct topic_node *node)
{
    struct topic_node **bucket = bucket_of(nodes, node->hash);

    node->next = *bucket;
    *bucket = node;
}

static void
take_out(struct topic_nodes *nodes, struct topic_node *node)
{
    struct topic_node **at = bucket_of(nodes, node->hash);

    while (*at != node) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
}

/* Without memory the table stays as it is, and gets slower. */
static void
resize(struct topic_nodes *nodes, size_t n)
{
    struct topic_node **old = nodes->buckets;
    struct topic_node **buckets = calloc(n, sizeof(struct topic_node *));
    size_t n_old = nodes->n_buckets;

    if (buckets == NULL)
        return;
    nodes->buckets = buckets;
    nodes->n_buckets = n;
    nodes->bytes += n * sizeof(struct topic_node *);
    nodes->bytes -= n_old * sizeof(struct topic_node *);
    for (size_t i = 0; i < n_old; i++) {
        for (struct topic_node *node = old[i], *next; node != NULL; node = next) {
            next = node->next;
            insert(nodes, node);
        }
    }
    free(old);
}

static void
fit_table(struct topic_nodes *nodes)
{
    if (nodes->count > nodes->n_buckets)
        resize(nodes, nodes->n_buckets * 2);
    else if (nodes->n_buckets > FIRST_BUCKETS && nodes->count < nodes->n_buckets / SHRINK)
        resize(nodes, nodes->n_buckets / 2);
}

/* The parent's hash stands for the levels before, so that each is hashed once. */
static uint64_t
hash_of(const struct topic_nodes *nodes, const struct topic_node *parent,
        const struct topic_level *level)
{
    uint64_t seed[2] = {nodes->seed[0] ^ parent->hash, nodes->seed[1]};

    return siphash(seed, level->at, level->len);
}

int
topic_nodes_init(struct topic_nodes *nodes)
{
    memset(nodes, 0, sizeof *nodes);
    if (getrandom(nodes->seed, sizeof nodes->seed, 0) != (ssize_t)sizeof nodes->seed)
        return -1;
    nodes->n_buckets = FIRST_BUCKETS;
    nodes->buckets = calloc(nodes->n_buckets, sizeof(struct topic_node *));
    nodes->bytes = nodes->n_buckets * sizeof(struct topic_node *);
    return nodes->buckets != NULL ? 0 : -1;
}

void
topic_nodes_deinit(struct topic_nodes *nodes)
{
    assert(nodes->count == 0);
    free(nodes->buckets);
    nodes->buckets = NULL;
}

/* ---- nodes ---- */

static struct topic_node *
new_node(const struct topic_level *level)
{
    struct topic_node *node = malloc(sizeof *node + level->len);

    if (node == NULL)
        return NULL;
    memset(node, 0, sizeof *node);
    list_init(&node->children);
    list_init(&node->sibling);
    list_init(&node->subscriptions);
    memcpy(node->text, level->at, level->len);
    node->len = (uint16_t)level->len;
    return node;
}

struct topic_node *
topic_nodes_above(uint64_t hash)
{
    static const struct topic_level none = {"", 0};
    struct topic_node *node = new_node(&none);

    if (node != NULL)
        node->hash = hash;
    return node;
}

struct topic_node *
topic_nodes_child(const struct topic_nodes *nodes, const struct topic_node *parent,
                  const struct topic_level *level)
{
    uint64_t hash;

    if (list_empty(&parent->children))
        return NULL;
    hash = hash_of(nodes, parent, level);
    for (struct topic_node *node = *bucket_of(nodes, hash); node != NULL; node = node->next) {
        if (node->hash == hash && node->parent == parent && node->len == level->len &&
            memcmp(node->text, level->at, level->len) == 0)
            return node;
    }
    return NULL;
}

static struct topic_node **
wildcard_of(struct topic_node *parent, const struct topic_level *level)
{
    if (topic_level_is(level, '+'))
        return &parent->plus;
    return topic_level_is(level, '#') ? &parent->all : NULL;
}

static struct topic_node *
add_child(struct topic_nodes *nodes, struct topic_node *parent, const struct topic_level *level)
{
    struct topic_node *node = new_node(level);
    struct topic_node **wildcard = wildcard_of(parent, level);

    if (node == NULL)
        return NULL;
    node->parent = parent;
    node->hash = hash_of(nodes, parent, level);
    nodes->count++;
    nodes->bytes += sizeof *node + node->len;
    if (wildcard != NULL) {
        *wildcard = node;
        return node;
    }
    list_add(&parent->children, &node->sibling);
    insert(nodes, node);
    fit_table(nodes);
    return node;
}

struct topic_node *
topic_nodes_make(struct topic_nodes *nodes, struct topic_node *above, const char *text, size_t len)
{
    struct topic_node *node = above;
    struct topic_levels levels;

    topic_levels_cut(&levels, text, len);
    for (unsigned i = 0; i < levels.n; i++) {
        const struct topic_level *level = &levels.level[i];
        struct topic_node **wildcard = wildcard_of(node, level);
        struct topic_node *child =
            wildcard != NULL ? *wildcard : topic_nodes_child(nodes, node, level);

        if (child == NULL)
            child = add_child(nodes, node, level);
        if (child == NULL) {
            topic_nodes_prune(nodes, node);
            return NULL;
        }
        node = child;
    }
    return node;
}

/* A node above the first level always is. */
static bool
is_needed(const struct topic_node *node)
{
    return node->parent == NULL || node->plus != NULL || node->all != NULL || node->value != NULL ||
           !list_empty(&node->children) || !list_empty(&node->subscriptions);
}

static void
remove_node(struct topic_nodes *nodes, struct topic_node *node)
{
    struct topic_level level = {node->text, node->len};
    struct topic_node **wildcard = wildcard_of(node->parent, &level);

    if (wildcard != NULL) {
        *wildcard = NULL;
    } else {
        list_remove(&node->sibling);
        take_out(nodes, node);
    }
    nodes->count--;
    nodes->bytes -= sizeof *node + node->len;
    free(node);
    fit_table(nodes);
}

void
topic_nodes_prune(struct topic_nodes *nodes, struct topic_node *node)
{
    while (!is_needed(node)) {
        struct topic_node *parent = node->parent;

        remove_node(nodes, node);
        node = parent;
    }
}
