/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *      resolver_ask() ─→ answer in the cache? ──yes────────────────┐
 *                            │ no                                  ▼
 *                            ▼                       ready: [query] → [query]
 *                   answer, in flight                              ▲   │ timer, 0 s
 *                   waiting: [query] → [query] ──on completion─────┘   ▼
 *                            ▲                                     callbacks
 *                   c-ares ──┘
 *
 * An answer is counted: by the cache, by c-ares while it is in flight, and by each query that waits
 * for it. Once complete it never changes, so that a callback may ask again, and thereby put another
 * in its place, while its addresses are being read. Callbacks come from a timer of their own,
 * never from within c-ares, which therefore needs not be re-entered.
 */
#include "net/resolver.h"

#include <ares.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/dns_name.h"
#include "net/resolver_io.h"

enum {
    TTL_MIN = 1, /* seconds; those of /etc/hosts come with 0 */
    TTL_MAX = 3600,
    TTL_FAILURE = 1,
};

struct resolver {
    struct loop *loop;
    struct resolver_io *io; /* whom to ask */
    struct list retired;    /* those that were asked before a reload, while they owe answers */
    const char *servers;
    struct timer deliver;
    struct list ready;  /* queries whose answer is complete */
    struct map cache;   /* of answers, those in flight too */
    struct list recent; /* complete answers of the cache, the least recently used first */
    struct list asked;  /* its answers in flight */
};

struct answer {
    struct map_entry entry;
    struct list recent;  /* in the resolver's `recent` or `asked` */
    struct list waiting; /* queries */
    struct resolver *resolver;
    struct resolver_io *io; /* that it was asked of; NULL: of nobody */
    unsigned references;
    bool in_flight;
    bool cached; /* false: a reload has forgotten it while it was in flight */
    double expires;
    enum resolver_result result;
    struct addr *addresses;
    unsigned n_addresses;
    int family;
    char key[]; /* '4' or '6', then the name in lower case */
};

/* ---- answers ---- */

static void
answer_put(struct answer *answer)
{
    if (--answer->references > 0)
        return;
    free(answer->addresses);
    free(answer);
}

static void
uncache(struct answer *answer)
{
    map_remove(&answer->resolver->cache, &answer->entry);
    list_remove(&answer->recent);
    answer->cached = false;
    answer_put(answer);
}

/* What is in flight stays: c-ares 1.18 cannot give up a single query. */
static bool
make_room(struct resolver *resolver)
{
    if (resolver->cache.count < RESOLVER_CACHE_MAX)
        return true;
    if (list_empty(&resolver->recent))
        return false;
    uncache(container_of(resolver->recent.next, struct answer, recent));
    return true;
}

/* In the cache and in flight, although nothing has been asked yet. */
static struct answer *
answer_new(struct resolver *resolver, const char *key, int family)
{
    size_t size = strlen(key) + 1;
    struct answer *answer;

    if (!make_room(resolver))
        return NULL;
    answer = calloc(1, sizeof *answer + size);
    if (answer == NULL)
        return NULL;
    memcpy(answer->key, key, size);
    answer->resolver = resolver;
    answer->family = family;
    answer->in_flight = true;
    answer->references = 2;
    answer->cached = true;
    list_add(&resolver->asked, &answer->recent);
    list_init(&answer->waiting);
    map_add(&resolver->cache, &answer->entry, answer->key);
    return answer;
}

static void
touch(struct answer *answer)
{
    list_remove(&answer->recent);
    list_add(&answer->resolver->recent, &answer->recent);
}

static bool
of_family(const struct answer *answer, const struct ares_addrinfo_node *node)
{
    return node->ai_family == answer->family &&
           node->ai_addrlen <= sizeof answer->addresses->storage;
}

static unsigned
count_addresses(const struct answer *answer, const struct ares_addrinfo *info)
{
    unsigned n = 0;

    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
        n += of_family(answer, node);
    return n < RESOLVER_ADDRESSES_MAX ? n : RESOLVER_ADDRESSES_MAX;
}

static enum resolver_result
take_addresses(struct answer *answer, const struct ares_addrinfo *info)
{
    unsigned n = count_addresses(answer, info);

    if (n == 0)
        return RESOLVER_NOT_FOUND;
    answer->addresses = calloc(n, sizeof *answer->addresses);
    if (answer->addresses == NULL)
        return RESOLVER_FAILED;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct addr *addr = &answer->addresses[answer->n_addresses];

        if (answer->n_addresses == n)
            break;
        if (!of_family(answer, node))
            continue;
        memcpy(&addr->storage, node->ai_addr, node->ai_addrlen);
        addr->len = node->ai_addrlen;
        answer->n_addresses++;
    }
    return RESOLVER_OK;
}

/* For how many seconds it holds: as long as the shortest-lived record that led to it. */
static double
lifetime(const struct ares_addrinfo *info)
{
    int ttl = TTL_MAX;

    for (const struct ares_addrinfo_cname *cname = info->cnames; cname != NULL; cname = cname->next)
        ttl = cname->ttl < ttl ? cname->ttl : ttl;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
        ttl = node->ai_ttl < ttl ? node->ai_ttl : ttl;
    return ttl > TTL_MIN ? ttl : TTL_MIN;
}

static enum resolver_result
result_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return RESOLVER_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return RESOLVER_NOT_FOUND;
    case ARES_ETIMEOUT:
        return RESOLVER_TIMEOUT;
    default:
        return RESOLVER_FAILED;
    }
}

/* ---- completion and delivery ---- */

static void
queue_ready(struct resolver *resolver, struct resolver_query *query)
{
    list_remove(&query->link);
    list_add(&resolver->ready, &query->link);
    timer_set(&resolver->deliver, loop_now(resolver->loop));
}

/* Gives back the reference that was held while it was in flight. */
static void
complete(struct answer *answer, enum resolver_result result, double ttl)
{
    struct resolver *resolver = answer->resolver;

    if (answer->io != NULL && --answer->io->in_flight == 0 && answer->io != resolver->io)
        timer_set(&resolver->deliver, loop_now(resolver->loop)); /* which closes it */
    answer->in_flight = false;
    answer->result = result;
    answer->expires =
        loop_now(resolver->loop) + (result == RESOLVER_OK ? ttl : (double)TTL_FAILURE);
    if (answer->cached)
        touch(answer);
    while (!list_empty(&answer->waiting))
        queue_ready(resolver, container_of(answer->waiting.next, struct resolver_query, link));
    answer_put(answer);
}

/* A name that does not exist is an answer; most have no address of one family. */
static void
count_answer(const struct resolver *resolver, enum resolver_result result)
{
    struct metrics_worker *metrics = loop_metrics(resolver->loop);

    metrics_add(&metrics->dns_queries, 1);
    if (result == RESOLVER_FAILED || result == RESOLVER_TIMEOUT)
        metrics_add(&metrics->dns_failed, 1);
}

static void
answered(void *cookie, int status, int timeouts, struct ares_addrinfo *info)
{
    struct answer *answer = cookie;
    enum resolver_result result = result_of(status);
    double ttl = TTL_FAILURE;

    (void)timeouts;
    count_answer(answer->resolver, result);
    if (status == ARES_SUCCESS) {
        result = take_addresses(answer, info);
        ttl = lifetime(info);
        ares_freeaddrinfo(info);
    }
    log_debug(loop_log(answer->resolver->loop), "resolver", "%s: IPv%c: %u addresses, %s",
              answer->key + 1, answer->key[0], answer->n_addresses, ares_strerror(status));
    complete(answer, result, ttl);
}

/* Closing completes what is in flight. */
static void
free_io(struct resolver_io *io)
{
    resolver_io_close(io);
    free(io);
}

static void
close_retired(struct resolver *resolver)
{
    struct list *at = resolver->retired.next;

    while (at != &resolver->retired) {
        struct resolver_io *io = container_of(at, struct resolver_io, link);

        at = at->next;
        if (io->in_flight > 0)
            continue;
        list_remove(&io->link);
        free_io(io);
    }
}

/* Only what is ready now: what the callbacks add comes in the next turn. */
static void
deliver(struct timer *timer)
{
    struct resolver *resolver = container_of(timer, struct resolver, deliver);
    struct list now;

    close_retired(resolver);
    list_init(&now);
    while (!list_empty(&resolver->ready)) {
        struct list *link = resolver->ready.next;

        list_remove(link);
        list_add(&now, link);
    }
    while (!list_empty(&now)) {
        struct resolver_query *query = container_of(now.next, struct resolver_query, link);
        struct answer *answer = query->wait;

        list_remove(&query->link);
        query->wait = NULL;
        query->call(query, answer->result, answer->addresses, answer->n_addresses);
        answer_put(answer);
    }
}

/* ---- asking ---- */

/* Joins the answer that is there, or makes one; *fresh tells that it has to be asked for. */
static struct answer *
find_answer(struct resolver *resolver, const char *key, int family, bool *fresh)
{
    struct map_entry *entry = map_find(&resolver->cache, key);
    struct answer *answer = entry != NULL ? container_of(entry, struct answer, entry) : NULL;

    *fresh = false;
    if (answer != NULL && (answer->in_flight || answer->expires > loop_now(resolver->loop)))
        return answer;
    if (answer != NULL)
        uncache(answer);
    *fresh = true;
    return answer_new(resolver, key, family);
}

static void
answer_localhost(struct answer *answer)
{
    answer->addresses = calloc(1, sizeof *answer->addresses);
    if (answer->addresses == NULL) {
        complete(answer, RESOLVER_FAILED, TTL_FAILURE);
        return;
    }
    answer->n_addresses = 1;
    addr_from_ip(answer->addresses, answer->family == AF_INET6 ? "::1" : "127.0.0.1", 0);
    complete(answer, RESOLVER_OK, TTL_MAX);
}

static void
find_out(struct resolver *resolver, struct answer *answer)
{
    /* Sorting would connect a socket to each address; whoever asks, races them (dial.h). */
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = answer->family, .ai_socktype = SOCK_STREAM};
    const char *name = answer->key + 1;

    if (dns_name_is_localhost(name)) {
        answer_localhost(answer);
        return;
    }
    answer->io = resolver->io;
    answer->io->in_flight++;
    ares_getaddrinfo(answer->io->channel, name, NULL, &hints, answered, answer);
    resolver_io_asked(resolver->io);
}

int
resolver_ask(struct resolver *resolver, struct resolver_query *query, const char *name, int family,
             resolver_cb *call)
{
    char key[DNS_NAME_KEY];
    struct answer *answer;
    bool fresh;

    query->wait = NULL;
    assert(family == AF_INET || family == AF_INET6);
    if (!dns_name_valid(name))
        return -1;
    dns_name_key(key, name, family);
    answer = find_answer(resolver, key, family, &fresh);
    if (answer == NULL)
        return -1;
    query->call = call;
    query->wait = answer;
    answer->references++;
    list_init(&query->link);
    if (answer->in_flight) {
        list_add(&answer->waiting, &query->link);
        if (fresh)
            find_out(resolver, answer);
    } else {
        touch(answer);
        queue_ready(resolver, query);
    }
    return 0;
}

void
resolver_cancel(struct resolver_query *query)
{
    struct answer *answer = query->wait;

    if (answer == NULL)
        return;
    list_remove(&query->link);
    query->wait = NULL;
    answer_put(answer);
}

/* ---- beginning and end ---- */

/* Returns NULL, logged. */
static struct resolver_io *
open_io(const struct resolver *resolver)
{
    struct resolver_io *io = calloc(1, sizeof *io);
    int status = ARES_ENOMEM;

    if (io != NULL)
        status = resolver_io_open(io, resolver->loop, resolver->servers);
    if (status == ARES_SUCCESS)
        return io;
    free(io);
    log_error(loop_log(resolver->loop), "resolver", "cannot start: %s", ares_strerror(status));
    return NULL;
}

static void
forget(struct list *answers)
{
    while (!list_empty(answers))
        uncache(container_of(answers->next, struct answer, recent));
}

int
resolver_reload(struct resolver *resolver)
{
    struct resolver_io *io = open_io(resolver);

    if (io == NULL)
        return -1;
    forget(&resolver->recent);
    forget(&resolver->asked); /* who waits for one gets it; who comes now asks the new servers */
    list_add(&resolver->retired, &resolver->io->link);
    resolver->io = io;
    timer_set(&resolver->deliver, loop_now(resolver->loop)); /* closes it, if it owes nothing */
    return 0;
}

struct resolver *
resolver_new(struct loop *loop, const char *servers)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (resolver == NULL || map_init(&resolver->cache) != 0) {
        log_error(loop_log(loop), "resolver", "out of memory or random bytes");
        free(resolver);
        return NULL;
    }
    resolver->loop = loop;
    resolver->servers = servers;
    list_init(&resolver->ready);
    list_init(&resolver->recent);
    list_init(&resolver->asked);
    list_init(&resolver->retired);
    timer_init(&resolver->deliver, loop, deliver);
    if (ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) {
        resolver->io = open_io(resolver);
        if (resolver->io != NULL)
            return resolver;
        ares_library_cleanup();
    }
    map_deinit(&resolver->cache);
    free(resolver);
    return NULL;
}

void
resolver_free(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    while (!list_empty(&resolver->retired)) {
        struct resolver_io *io = container_of(resolver->retired.next, struct resolver_io, link);

        list_remove(&io->link);
        free_io(io);
    }
    free_io(resolver->io);
    ares_library_cleanup();
    assert(list_empty(&resolver->ready));
    forget(&resolver->recent);
    assert(resolver->cache.count == 0);
    map_deinit(&resolver->cache);
    timer_deinit(&resolver->deliver);
    free(resolver);
}

const char *
resolver_library_version(void)
{
    return ares_version(NULL);
}
