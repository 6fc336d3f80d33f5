/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    FIRST_BUCKETS = 64,
};

/* ---- SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF") ---- */

struct sip {
    uint64_t a, b, c, d; /* the paper's v0 to v3 */
};

static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void
sip_round(struct sip *sip)
{
    sip->a += sip->b;
    sip->c += sip->d;
    sip->b = rotate(sip->b, 13) ^ sip->a;
    sip->d = rotate(sip->d, 16) ^ sip->c;
    sip->a = rotate(sip->a, 32);
    sip->c += sip->b;
    sip->a += sip->d;
    sip->b = rotate(sip->b, 17) ^ sip->c;
    sip->d = rotate(sip->d, 21) ^ sip->a;
    sip->c = rotate(sip->c, 32);
}

static void
sip_word(struct sip *sip, uint64_t word)
{
    sip->d ^= word;
    sip_round(sip);
    sip->a ^= word;
}

static uint64_t
hash_of(const uint64_t seed[2], const char *key)
{
    size_t len = strlen(key);
    struct sip sip = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                      seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t at;

    for (at = 0; at + sizeof word <= len; at += sizeof word) {
        memcpy(&word, key + at, sizeof word);
        sip_word(&sip, word);
    }
    word = 0;
    memcpy(&word, key + at, len - at);
    sip_word(&sip, word | (uint64_t)len << 56);
    sip.c ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

/* ---- the table ---- */

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
    uint64_t hash = hash_of(map->seed, key);

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
    entry->hash = hash_of(map->seed, key);
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
