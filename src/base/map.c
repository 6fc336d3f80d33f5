/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"

enum {
    FIRST_BUCKETS = 64,
};

static uint64_t
hash_of(const struct map *map, const char *key)
{
    return siphash(map->seed, key, strlen(key));
}

static struct map_entry **
bucket_of(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->n_buckets - 1)];
}

static void
insert(struct map *map, struct map_entry *entry)
{
    struct map_entry **bucket = bucket_of(map, entry->hash);

    entry->next = *bucket;
    *bucket = entry;
}

static void
grow(struct map *map)
{
    struct map_entry **old = map->buckets;
    size_t n_old = map->n_buckets;
    struct map_entry **bigger = calloc(n_old * 2, sizeof(struct map_entry *));

    if (bigger == NULL)
        return;
    map->buckets = bigger;
    map->n_buckets = n_old * 2;
    for (size_t i = 0; i < n_old; i++) {
        for (struct map_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            insert(map, entry);
        }
    }
    free(old);
}

int
map_init(struct map *map)
{
    map->count = 0;
    map->n_buckets = FIRST_BUCKETS;
    map->buckets = NULL;
    if (getrandom(map->seed, sizeof map->seed, 0) != (ssize_t)sizeof map->seed)
        return -1;
    map->buckets = calloc(map->n_buckets, sizeof(struct map_entry *));
    return map->buckets != NULL ? 0 : -1;
}

void
map_deinit(struct map *map)
{
    free(map->buckets);
    map->buckets = NULL;
}

struct map_entry *
map_find(const struct map *map, const char *key)
{
    uint64_t hash = hash_of(map, key);

    for (struct map_entry *entry = *bucket_of(map, hash); entry != NULL; entry = entry->next) {
        if (entry->hash == hash && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

void
map_add(struct map *map, struct map_entry *entry, const char *key)
{
    if (map->count >= map->n_buckets)
        grow(map);
    entry->key = key;
    entry->hash = hash_of(map, key);
    insert(map, entry);
    map->count++;
}

void
map_remove(struct map *map, struct map_entry *entry)
{
    struct map_entry **at = bucket_of(map, entry->hash);

    while (*at != entry) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = entry->next;
    map->count--;
}
