/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver -- names to addresses without blocking, with c-ares; one for each worker.
 *
 * A and AAAA are asked apart, so that one family's silence does not hold the other's answer back.
 * Answers are cached by their TTL (1 s to 1 h; failures 1 s), at most RESOLVER_CACHE_MAX of them,
 * the least recently used out first; one query per name and family is in flight, whoever asks.
 * /etc/hosts and the search list of resolv.conf are honoured. Numeric addresses need no resolver.
 * A server is given 2 s, then the next is tried; after a second round (4 s each) it is over.
 *
 * Thread:    on the loop's thread; but resolver_new() and resolver_free() only one at a time in the
 *            whole process (c-ares counts its users without a lock): the main thread makes the
 *            resolvers before the workers start and frees them when they have ended.
 * Ownership: the caller embeds struct resolver_query and keeps it until the callback or
 *            resolver_cancel().
 */
#ifndef CULVERT_NET_RESOLVER_H
#define CULVERT_NET_RESOLVER_H

#include <stdbool.h>

#include "base/list.h"
#include "net/addr.h"

struct loop;
struct resolver;
struct resolver_query;

enum {
    RESOLVER_CACHE_MAX = 1024,
    RESOLVER_ADDRESSES_MAX = 16, /* of one name and family; the rest is ignored */
};

enum resolver_result {
    RESOLVER_OK,
    RESOLVER_NOT_FOUND, /* the name does not exist, or has no address of this family */
    RESOLVER_FAILED,    /* the name servers refused, failed or cannot be reached */
    RESOLVER_TIMEOUT,   /* the name servers did not answer */
};

/* addresses (port 0) live for the length of the call. Never called from within resolver_ask(). */
typedef void resolver_cb(struct resolver_query *query, enum resolver_result result,
                         const struct addr *addresses, unsigned n_addresses);

struct resolver_query {
    struct list link;  /* private */
    resolver_cb *call; /* private */
    void *wait; /* private: what it waits for; NULL before it is asked (zero the struct, if it
                   may be cancelled then) and when it has been answered */
};

/* Of the c-ares that is linked. */
const char *resolver_library_version(void);

/* servers: NULL for those of /etc/resolv.conf, or "127.0.0.1:5353,…" (for tests; borrowed). Returns
 * NULL, logged. */
struct resolver *resolver_new(struct loop *loop, const char *servers);

/*
 * Reads resolv.conf again and forgets what is cached. Questions that are under way are answered as
 * they were asked. Returns 0, or -1, logged: then the old servers go on being asked.
 */
int resolver_reload(struct resolver *resolver);

/* All queries must have been answered or cancelled. */
void resolver_free(struct resolver *resolver);

/* family is AF_INET or AF_INET6; name is copied. Returns 0, or -1 for a name that cannot be one,
 * without memory, or with RESOLVER_CACHE_MAX names in flight. */
int resolver_ask(struct resolver *resolver, struct resolver_query *query, const char *name,
                 int family, resolver_cb *call) __attribute__((warn_unused_result));

/* The callback will not come. A query that was answered may be cancelled too. */
void resolver_cancel(struct resolver_query *query);

#endif
