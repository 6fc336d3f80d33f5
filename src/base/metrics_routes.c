/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/metrics_routes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct metrics_entry {
    struct list link;
    unsigned references; /* atomic; only main leads it up from 0 */
    unsigned n;          /* workers, and main before them */
    struct metrics_route *of;
    char name[];
};

struct metrics_routes {
    struct list entries;
    size_t n_entries;
    unsigned n_workers;
    struct metrics_entry *other; /* made with the registry; in entries as soon as it is used */
};

/* ---- entries ---- */

static struct metrics_entry *
entry_new(const char *name, unsigned n_workers)
{
    size_t size = strlen(name) + 1;
    struct metrics_entry *entry = calloc(1, sizeof *entry + size);

    if (entry == NULL)
        return NULL;
    memcpy(entry->name, name, size);
    list_init(&entry->link);
    entry->n = n_workers + 1;
    entry->of = aligned_alloc(METRICS_LINE, entry->n * sizeof *entry->of);
    if (entry->of == NULL) {
        free(entry);
        return NULL;
    }
    memset(entry->of, 0, entry->n * sizeof *entry->of);
    return entry;
}

static void
entry_free(struct metrics_entry *entry)
{
    if (entry == NULL)
        return;
    list_remove(&entry->link);
    free(entry->of);
    free(entry);
}

static struct metrics_entry *
hold(struct metrics_entry *entry)
{
    __atomic_add_fetch(&entry->references, 1, __ATOMIC_RELAXED);
    return entry;
}

void
metrics_entry_put(struct metrics_entry *entry)
{
    if (entry != NULL)
        __atomic_sub_fetch(&entry->references, 1, __ATOMIC_RELEASE);
}

struct metrics_route *
metrics_entry_worker(struct metrics_entry *entry, unsigned loop_id)
{
    assert(loop_id < entry->n);
    return &entry->of[loop_id];
}

const char *
metrics_entry_name(const struct metrics_entry *entry)
{
    return entry->name;
}

void
metrics_entry_sum(const struct metrics_entry *entry, struct metrics_route *sum)
{
    unsigned i;

    memset(sum, 0, sizeof *sum);
    for (i = 0; i < entry->n; i++)
        metrics_sum_route(sum, &entry->of[i]);
}

/* ---- the registry ---- */

struct metrics_routes *
metrics_routes_new(unsigned n_workers)
{
    struct metrics_routes *routes = calloc(1, sizeof *routes);

    if (routes == NULL)
        return NULL;
    list_init(&routes->entries);
    routes->n_workers = n_workers;
    routes->other = entry_new("other", n_workers);
    if (routes->other == NULL) {
        free(routes);
        return NULL;
    }
    return routes;
}

void
metrics_routes_free(struct metrics_routes *routes)
{
    if (routes == NULL)
        return;
    metrics_routes_prune(routes);
    assert(list_empty(&routes->entries));
    entry_free(routes->other);
    free(routes);
}

/* A configuration has few routes, and is read rarely: no table is worth it. */
static struct metrics_entry *
find(const struct metrics_routes *routes, const char *name)
{
    struct metrics_entry *entry = NULL;

    while ((entry = metrics_routes_next(routes, entry)) != NULL)
        if (entry != routes->other && strcmp(entry->name, name) == 0)
            break;
    return entry;
}

struct metrics_entry *
metrics_routes_get(struct metrics_routes *routes, const char *name)
{
    struct metrics_entry *entry = find(routes, name);

    if (entry != NULL)
        return hold(entry);
    if (routes->n_entries >= METRICS_ROUTES_MAX) {
        list_remove(&routes->other->link);
        list_add(&routes->entries, &routes->other->link);
        return hold(routes->other);
    }
    entry = entry_new(name, routes->n_workers);
    if (entry == NULL)
        return NULL;
    list_add(&routes->entries, &entry->link);
    routes->n_entries++;
    return hold(entry);
}

void
metrics_routes_prune(struct metrics_routes *routes)
{
    struct list *at = routes->entries.next;

    while (at != &routes->entries) {
        struct metrics_entry *entry = container_of(at, struct metrics_entry, link);

        at = at->next;
        if (__atomic_load_n(&entry->references, __ATOMIC_ACQUIRE) > 0)
            continue;
        if (entry == routes->other) {
            list_remove(&entry->link); /* its counters go on when it is needed again */
            continue;
        }
        entry_free(entry);
        routes->n_entries--;
    }
}

struct metrics_entry *
metrics_routes_next(const struct metrics_routes *routes, const struct metrics_entry *entry)
{
    struct list *next = entry != NULL ? entry->link.next : routes->entries.next;

    return next != &routes->entries ? container_of(next, struct metrics_entry, link) : NULL;
}
