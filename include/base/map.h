/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map -- a hash table from strings to members that embed their entry.
 *
 *      buckets: [0] → entry → entry      a member holds its struct map_entry and
 *               [1]                      the bytes of its key; container_of()
 *               [2] → entry              leads from the one to the other
 *
 * The hash is keyed with random bytes, so that who chooses the names cannot choose the chains.
 *
 * Thread:    one at a time.
 * Lifetime:  embedded in its owner: map_init() to map_deinit().
 * Ownership: entries and keys are the members'; they stay in place, unchanged, while they are in
 *            it.
 */
#ifndef CULVERT_BASE_MAP_H
#define CULVERT_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    struct map_entry *next;
    const char *key;
    uint64_t hash;
};

struct map {
    struct map_entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t count;     /* of entries */
    uint64_t seed[2];
};

/* Returns 0, or -1 without memory or random bytes. */
int map_init(struct map *map) __attribute__((warn_unused_result));

/* Frees the table, not the members. */
void map_deinit(struct map *map);

/* NULL if there is none. */
struct map_entry *map_find(const struct map *map, const char *key);

/* key must not be in the map yet. Cannot fail: a table that finds no memory to grow gets slower. */
void map_add(struct map *map, struct map_entry *entry, const char *key);

/* entry must be in the map. */
void map_remove(struct map *map, struct map_entry *entry);

#endif
