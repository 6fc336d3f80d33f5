/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list -- a circular, doubly linked list whose links are embedded in its members.
 *
 *      head ⇄ first ⇄ … ⇄ last ⇄ head
 */
#ifndef CULVERT_BASE_LIST_H
#define CULVERT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The struct that holds a member. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct list {
    struct list *next;
    struct list *prev;
};

static inline void
list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool
list_empty(const struct list *list)
{
    return list->next == list;
}

/* At the end. */
static inline void
list_add(struct list *list, struct list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* A removed node may be removed again. */
static inline void
list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#endif
