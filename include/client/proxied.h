/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxied -- accepted connections that wait for the PROXY header which a listener with `proxy`
 * requires (proto/proxy_header.h).
 *
 *      accept → proxied_start ── header complete ──→ ready(): TLS, HTTP
 *                     └── malformed, the end, or too late: closed, logged
 *
 * The bytes behind the header stay in the socket: they may be TLS. It is looked at before anything is
 * taken, and only what belongs to it is.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  the set outlives its members; proxied_close_all() ends them.
 */
#ifndef CULVERT_CLIENT_PROXIED_H
#define CULVERT_CLIENT_PROXIED_H

#include <stddef.h>

#include "base/list.h"
#include "net/addr.h"

struct loop;
struct tls;

struct proxied_set {
    struct loop *loop;
    struct list members;
    size_t n_members;
};

struct proxied {
    int fd;
    struct tls *tls; /* as it was started with; lives for the length of the call */
    struct addr
        peer; /* the client that the header names; the proxy itself, if it speaks for itself */
    struct addr destination; /* where that client connected to; len 0: not told */
};

/* Embedded in who waits. */
struct proxied_owner {
    /* The descriptor is the callee's; proxied lives for the length of the call. */
    void (*ready)(struct proxied_owner *owner, const struct proxied *proxied);
};

void proxied_set_init(struct proxied_set *set, struct loop *loop);

/* Takes fd in any case. peer is the proxy; who may be one is the caller's care. tls is what comes
 * behind the header, NULL for nothing, and is held while it waits: a new configuration may have none.
 * Without memory the connection is closed, logged. */
void proxied_start(struct proxied_set *set, int fd, const struct addr *peer, struct tls *tls,
                   double timeout, struct proxied_owner *owner);

/* We are leaving: who has not sent his header by `due` is closed then. */
void proxied_drain_all(struct proxied_set *set, double due);
void proxied_close_all(struct proxied_set *set);

#endif
