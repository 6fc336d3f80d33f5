/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "topic/nodes.h"

struct topic_tree {
    struct topic_nodes nodes;
    struct topic_node *filters, *retained; /* above the first level */
    size_t n_subscriptions;
    size_t n_retained;
    unsigned walks; /* under way */
};

struct topic_tree *
topic_tree_new(void)
{
    struct topic_tree *tree = calloc(1, sizeof *tree);

    if (tree == NULL)
        return NULL;
    if (topic_nodes_init(&tree->nodes) != 0)
        goto fail_nodes;
    /* Two numbers, so that the same levels of the two do not share a chain. */
    tree->filters = topic_nodes_above(0);
    if (tree->filters == NULL)
        goto fail_filters;
    tree->retained = topic_nodes_above(1);
    if (tree->retained == NULL)
        goto fail_retained;
    return tree;

fail_retained:
    free(tree->filters);
fail_filters:
    topic_nodes_deinit(&tree->nodes);
fail_nodes:
    free(tree);
    return NULL;
}

void
topic_tree_free(struct topic_tree *tree)
{
    if (tree == NULL)
        return;
    assert(tree->walks == 0);
    topic_nodes_deinit(&tree->nodes);
    free(tree->retained);
    free(tree->filters);
    free(tree);
}

struct topic_tree_counts
topic_tree_counts(const struct topic_tree *tree)
{
    return (struct topic_tree_counts){
        .subscriptions = tree->n_subscriptions,
        .retained = tree->n_retained,
        .nodes = tree->nodes.count,
        .bytes = tree->nodes.bytes,
    };
}

static bool
is_hidden(const char *level, size_t len)
{
    return len > 0 && level[0] == '$';
}

/* ---- filters ---- */

int
topic_tree_subscribe(struct topic_tree *tree, const char *filter, size_t len,
                     struct topic_subscription *subscription)
{
    struct topic_node *node;

    assert(tree->walks == 0 && subscription->node == NULL);
    node = topic_nodes_make(&tree->nodes, tree->filters, filter, len);
    if (node == NULL)
        return -1;
    list_add(&node->subscriptions, &subscription->link);
    subscription->node = node;
    tree->n_subscriptions++;
    return 0;
}

void
topic_tree_unsubscribe(struct topic_tree *tree, struct topic_subscription *subscription)
{
    struct topic_node *node = subscription->node;

    if (node == NULL)
        return;
    assert(tree->walks == 0);
    list_remove(&subscription->link);
    subscription->node = NULL;
    tree->n_subscriptions--;
    topic_nodes_prune(&tree->nodes, node);
}

static void
tell(const struct topic_node *node, topic_subscription_cb fn, void *arg)
{
    for (struct list *at = node->subscriptions.next; at != &node->subscriptions; at = at->next)
        fn(container_of(at, struct topic_subscription, link), arg);
}

size_t
topic_tree_match(struct topic_tree *tree, const char *topic, size_t len, topic_subscription_cb fn,
                 void *arg)
{
    /* Of the two that follow a node one is taken off at once: one waits for each level. */
    struct {
        const struct topic_node *node;
        unsigned depth;
    } waiting[TOPIC_LEVELS + 1];
    struct topic_levels levels;
    size_t looked_at = 0;
    unsigned n = 1;

    topic_levels_cut(&levels, topic, len);
    tree->walks++;
    waiting[0].node = tree->filters;
    waiting[0].depth = 0;
    while (n > 0) {
        const struct topic_node *node = waiting[--n].node, *child;
        unsigned depth = waiting[n].depth;
        bool wild = depth > 0 || !is_hidden(topic, len);

        looked_at++;
        if (wild && node->all != NULL)
            tell(node->all, fn, arg);
        if (depth == levels.n) {
            tell(node, fn, arg);
            continue;
        }
        child = topic_nodes_child(&tree->nodes, node, &levels.level[depth]);
        if (wild && node->plus != NULL) {
            waiting[n].node = node->plus;
            waiting[n++].depth = depth + 1;
        }
        if (child != NULL) {
            waiting[n].node = child;
            waiting[n++].depth = depth + 1;
        }
    }
    tree->walks--;
    return looked_at;
}

bool
topic_subscription_is(const struct topic_subscription *subscription, const char *filter, size_t len)
{
    const struct topic_node *node = subscription->node;

    if (node == NULL)
        return false;
    for (;; node = node->parent) {
        if (node->len > len || memcmp(filter + len - node->len, node->text, node->len) != 0)
            return false;
        len -= node->len;
        if (node->parent->parent == NULL)
            return len == 0;
        if (len == 0 || filter[--len] != '/')
            return false;
    }
}

size_t
topic_subscription_filter(const struct topic_subscription *subscription, char *out, size_t size)
{
    const struct topic_node *last = subscription->node, *node;
    size_t len = 0, at;

    if (last == NULL)
        return 0;
    for (node = last; node->parent != NULL; node = node->parent)
        len += node->len + 1u;
    len--;
    if (len > size)
        return len;
    at = len;
    for (node = last; node->parent != NULL; node = node->parent) {
        at -= node->len;
        memcpy(out + at, node->text, node->len);
        if (at > 0)
            out[--at] = '/';
    }
    return len;
}

/* ---- retained values ---- */

static struct topic_node *
find_retained(const struct topic_tree *tree, const char *topic, size_t len)
{
    struct topic_node *node = tree->retained;
    struct topic_levels levels;

    topic_levels_cut(&levels, topic, len);
    for (unsigned i = 0; i < levels.n && node != NULL; i++)
        node = topic_nodes_child(&tree->nodes, node, &levels.level[i]);
    return node;
}

int
topic_tree_retain(struct topic_tree *tree, const char *topic, size_t len, void *value, void **old)
{
    struct topic_node *node;

    assert(tree->walks == 0);
    *old = NULL;
    node = value != NULL ? topic_nodes_make(&tree->nodes, tree->retained, topic, len)
                         : find_retained(tree, topic, len);
    if (node == NULL)
        return value != NULL ? -1 : 0;
    *old = node->value;
    node->value = value;
    tree->n_retained += (value != NULL);
    tree->n_retained -= (*old != NULL);
    topic_nodes_prune(&tree->nodes, node);
    return 0;
}

void *
topic_tree_retained(const struct topic_tree *tree, const char *topic, size_t len)
{
    const struct topic_node *node = find_retained(tree, topic, len);

    return node != NULL ? node->value : NULL;
}

/* A walk over the nodes that topics of a filter may lie at or below. */
struct retained_walk {
    const struct topic_tree *tree;
    struct topic_levels filter;
    unsigned n_fixed; /* levels before a last `#` */
    bool open;        /* there is one */
    bool whole;       /* all there are, those that wildcards do not stand for too */
};

static bool
is_any(const struct retained_walk *walk, unsigned depth)
{
    return depth >= walk->n_fixed || topic_level_is(&walk->filter.level[depth], '+');
}

/* The first of these siblings that a wildcard stands for; NULL: there is none. */
static const struct topic_node *
visible(const struct retained_walk *walk, const struct topic_node *parent, struct list *at)
{
    for (; at != &parent->children; at = at->next) {
        struct topic_node *node = container_of(at, struct topic_node, sibling);

        if (walk->whole || parent->parent != NULL || !is_hidden(node->text, node->len))
            return node;
    }
    return NULL;
}

static const struct topic_node *
below(const struct retained_walk *walk, const struct topic_node *node, unsigned depth)
{
    if (depth >= walk->n_fixed && !walk->open)
        return NULL;
    if (is_any(walk, depth))
        return visible(walk, node, node->children.next);
    return topic_nodes_child(&walk->tree->nodes, node, &walk->filter.level[depth]);
}

static const struct topic_node *
beside(const struct retained_walk *walk, const struct topic_node *node, unsigned depth)
{
    return is_any(walk, depth - 1) ? visible(walk, node->parent, node->sibling.next) : NULL;
}

/* Down, then to the side, then up and to the side. */
static const struct topic_node *
onward(const struct retained_walk *walk, const struct topic_node *node, unsigned *depth)
{
    const struct topic_node *next = below(walk, node, *depth);

    if (next != NULL) {
        (*depth)++;
        return next;
    }
    for (; *depth > 0; (*depth)--, node = node->parent) {
        next = beside(walk, node, *depth);
        if (next != NULL)
            return next;
    }
    return NULL;
}

size_t
topic_tree_retained_each(struct topic_tree *tree, const char *filter, size_t len,
                         topic_retained_cb fn, void *arg)
{
    struct retained_walk walk = {.tree = tree, .whole = filter == NULL};
    const struct topic_node *node = tree->retained;
    unsigned depth = 0;
    size_t n = 0;

    if (walk.whole)
        topic_levels_cut(&walk.filter, "#", 1);
    else
        topic_levels_cut(&walk.filter, filter, len);
    walk.open = topic_level_is(&walk.filter.level[walk.filter.n - 1], '#');
    walk.n_fixed = walk.filter.n - walk.open;
    tree->walks++;
    for (; node != NULL; node = onward(&walk, node, &depth), n++)
        if (depth >= walk.n_fixed && node->value != NULL && !fn(node->value, arg))
            break;
    tree->walks--;
    return n;
}

void *
topic_tree_retained_take(struct topic_tree *tree)
{
    struct topic_node *node = tree->retained;
    void *value;

    assert(tree->walks == 0);
    if (list_empty(&node->children))
        return NULL;
    /* What has no value has somebody below it who has one. */
    while (node->value == NULL)
        node = container_of(node->children.next, struct topic_node, sibling);
    value = node->value;
    node->value = NULL;
    tree->n_retained--;
    topic_nodes_prune(&tree->nodes, node);
    return value;
}
