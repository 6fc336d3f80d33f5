/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target -- connects to a route's target, or to one of its map's, and makes its endpoint.
 *
 *      tcp, unix: dial → PROXY header, if wanted ──────────────────→ endpoint
 *      tls:       dial → PROXY header, if wanted → TLS handshake ──→ endpoint
 *      mqtt, mqtts: as tcp and tls, with the rules of the route around the endpoint
 *      echo:      ─────────────────────────────────────────────────→ endpoint
 *
 * Thread:    on the loop's thread.
 * Lifetime:  target_open() to the callback or target_cancel(), whichever is first. The endpoint is
 *            the callee's to bridge or to close.
 */
#ifndef CULVERT_TARGET_TARGET_H
#define CULVERT_TARGET_TARGET_H

#include <stddef.h>

#include "net/dial.h"

struct conf_route;
struct conf_target;
struct endpoint;
struct loop;
struct proxy_header;
struct resolver;
struct target_opening;
struct target_owner;
struct tls;

/* endpoint is NULL but for DIAL_OK; why is for the log and lives for the length of the call. Never
 * called from within target_open(). */
typedef void target_cb(struct target_owner *owner, enum dial_result result,
                       struct endpoint *endpoint, const char *why);

/* Embedded in who opens. */
struct target_owner {
    target_cb *call;
};

struct target_options {
    struct loop *loop;
    struct resolver *resolver;
    const struct conf_route *route; /* borrowed; outlives the endpoint */
    size_t route_index;             /* of the route in its snapshot */
    struct tls *tls;                /* borrowed while opening */
    /* The route's, or what a token stands for in its map. Borrowed until target_open() returns. */
    const struct conf_target *target;
    /* Sent before anything else, in the version that the route wants; NULL: nothing is. Borrowed until
     * target_open() returns. */
    const struct proxy_header *proxy_header;
};

/* Returns NULL without memory, logged. */
struct target_opening *target_open(const struct target_options *options,
                                   struct target_owner *owner);

/* The callback will not come. NULL is fine. */
void target_cancel(struct target_opening *opening);

#endif
