/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/limits.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"

enum {
    SHARDS = 16,             /* workers that would have to wait for each other rarely do */
    PREFIX_MAX = 1 + 16 + 1, /* of a key: '6', 64 bits in hexadecimal, NUL */
};

struct shard {
    pthread_mutex_t lock;
    struct map counters;
    struct limits *limits;
};

/* Of a route, or of a route and an address; in its map while it counts something. */
struct limits_counter {
    struct map_entry entry;
    struct shard *shard;
    unsigned count; /* under the shard's lock */
    char key[];     /* "*ROUTE", or an address_prefix() with ROUTE behind it */
};

struct limits {
    unsigned in_use; /* atomic */
    struct shard shards[SHARDS];
};

/* ---- addresses ---- */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void
prefix_ip4(const uint8_t ip[4], char *out)
{
    snprintf(out, PREFIX_MAX, "4%02x%02x%02x%02x", ip[0], ip[1], ip[2], ip[3]);
}

static void
prefix_ip6(const uint8_t ip[16], char *out)
{
    unsigned i;

    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        prefix_ip4(ip + sizeof mapped, out);
        return;
    }
    *out++ = '6';
    for (i = 0; i < 8; i++)
        out += snprintf(out, 3, "%02x", ip[i]);
}

/* Those of one family have the same length, so that no route's name makes two of them one key. */
static void
address_prefix(const struct sockaddr *client, char *out)
{
    const void *raw = client;
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    switch (client->sa_family) {
    case AF_INET:
        memcpy(&in, raw, sizeof in);
        prefix_ip4((const uint8_t *)&in.sin_addr, out);
        return;
    case AF_INET6:
        memcpy(&in6, raw, sizeof in6);
        prefix_ip6(in6.sin6_addr.s6_addr, out);
        return;
    default:
        strcpy(out, "u");
    }
}

/* ---- counters ---- */

/* Spreads, no more: who picks addresses that fall into one shard still meets its seeded map. */
static struct shard *
shard_of(struct limits *limits, const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return &limits->shards[(hash ^ hash >> 16) % SHARDS];
}

/* The map wants a key that lives: a counter is made first and thrown away if there is one. */
static struct limits_counter *
make(struct limits *limits, const char *prefix, const char *route)
{
    size_t prefix_len = strlen(prefix);
    size_t route_size = strlen(route) + 1;
    struct limits_counter *counter = malloc(sizeof *counter + prefix_len + route_size);

    if (counter == NULL)
        return NULL;
    memcpy(counter->key, prefix, prefix_len);
    memcpy(counter->key + prefix_len, route, route_size);
    counter->shard = shard_of(limits, counter->key);
    counter->count = 0;
    return counter;
}

/* Returns whether one more was counted. */
static bool
add_below(struct limits_counter *counter, unsigned max)
{
    if (max != 0 && counter->count >= max)
        return false;
    counter->count++;
    return true;
}

/* max 0: no limit. Sets *taken if the result is LIMITS_OK; full is the result if it is not. */
static enum limits_result
take(struct limits *limits, const char *prefix, const struct limits_rule *rule, unsigned max,
     enum limits_result full, struct limits_counter **taken)
{
    struct limits_counter *counter = make(limits, prefix, rule->route);
    struct shard *shard;
    struct map_entry *found;
    bool added;

    if (counter == NULL)
        return LIMITS_NO_MEMORY;
    shard = counter->shard;
    pthread_mutex_lock(&shard->lock);
    found = map_find(&shard->counters, counter->key);
    if (found != NULL) {
        free(counter);
        counter = container_of(found, struct limits_counter, entry);
    } else {
        map_add(&shard->counters, &counter->entry, counter->key);
    }
    added = add_below(counter, max); /* always, of a new one */
    pthread_mutex_unlock(&shard->lock);
    if (!added)
        return full;
    *taken = counter;
    return LIMITS_OK;
}

static void
give_back(struct limits_counter *counter)
{
    struct shard *shard = counter->shard;
    bool last;

    pthread_mutex_lock(&shard->lock);
    assert(counter->count > 0);
    last = --counter->count == 0;
    if (last)
        map_remove(&shard->counters, &counter->entry);
    pthread_mutex_unlock(&shard->lock);
    if (last)
        free(counter);
}

/* ---- all routes ---- */

/* Not added first and taken back when it was too much: two who do that at once at the last place
 * would both be refused. */
static bool
add_to_all(struct limits *limits, unsigned max)
{
    unsigned now = __atomic_load_n(&limits->in_use, __ATOMIC_RELAXED);

    do {
        if (max != 0 && now >= max)
            return false;
    } while (!__atomic_compare_exchange_n(&limits->in_use, &now, now + 1, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

static void
take_from_all(struct limits *limits)
{
    unsigned before = __atomic_fetch_sub(&limits->in_use, 1, __ATOMIC_RELAXED);

    assert(before > 0);
}

/* ---- from outside ---- */

enum limits_result
limits_enter(struct limits *limits, const struct limits_rule *rule, const struct sockaddr *client,
             struct limits_pass *pass)
{
    enum limits_result result;
    char prefix[PREFIX_MAX];

    *pass = (struct limits_pass){NULL, NULL};
    if (!add_to_all(limits, rule->max_connections))
        return LIMITS_FULL;
    result = take(limits, "*", rule, rule->connections_max, LIMITS_ROUTE_FULL, &pass->route);
    if (result != LIMITS_OK) {
        take_from_all(limits);
        return result;
    }
    if (rule->connections_per_ip == 0)
        return LIMITS_OK;
    address_prefix(client, prefix);
    result =
        take(limits, prefix, rule, rule->connections_per_ip, LIMITS_ADDRESS_FULL, &pass->address);
    if (result != LIMITS_OK)
        limits_leave(pass);
    return result;
}

void
limits_leave(struct limits_pass *pass)
{
    struct limits *limits;

    if (pass->route == NULL)
        return;
    limits = pass->route->shard->limits;
    if (pass->address != NULL)
        give_back(pass->address);
    give_back(pass->route);
    take_from_all(limits);
    *pass = (struct limits_pass){NULL, NULL};
}

const char *
limits_reason(enum limits_result result)
{
    switch (result) {
    case LIMITS_OK:
        break;
    case LIMITS_FULL:
        return "too many connections";
    case LIMITS_ROUTE_FULL:
        return "too many connections to this route";
    case LIMITS_ADDRESS_FULL:
        return "too many connections from this address";
    case LIMITS_NO_MEMORY:
        return "out of memory";
    }
    return "within the limits";
}

unsigned
limits_in_use(const struct limits *limits)
{
    return __atomic_load_n(&limits->in_use, __ATOMIC_RELAXED);
}

size_t
limits_counters(struct limits *limits)
{
    size_t n = 0;
    unsigned i;

    for (i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&limits->shards[i].lock);
        n += limits->shards[i].counters.count;
        pthread_mutex_unlock(&limits->shards[i].lock);
    }
    return n;
}

/* ---- lifetime ---- */

static void
deinit_shards(struct limits *limits, unsigned n)
{
    while (n > 0) {
        struct shard *shard = &limits->shards[--n];

        assert(shard->counters.count == 0);
        map_deinit(&shard->counters);
        pthread_mutex_destroy(&shard->lock);
    }
}

struct limits *
limits_new(void)
{
    struct limits *limits = calloc(1, sizeof *limits);
    unsigned i;

    if (limits == NULL)
        return NULL;
    for (i = 0; i < SHARDS; i++) {
        struct shard *shard = &limits->shards[i];

        shard->limits = limits;
        if (map_init(&shard->counters) != 0)
            goto fail_shards;
        pthread_mutex_init(&shard->lock, NULL); /* cannot fail without attributes */
    }
    return limits;

fail_shards:
    deinit_shards(limits, i);
    free(limits);
    return NULL;
}

void
limits_free(struct limits *limits)
{
    if (limits == NULL)
        return;
    assert(limits_in_use(limits) == 0);
    deinit_shards(limits, SHARDS);
    free(limits);
}
