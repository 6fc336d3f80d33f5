/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route -- from a request to a route, and from there to an answer or a bridge.
 *
 *      request → host and path → files? ─────────────────────→ files_serve
 *                                │
 *                                └ WebSocket? → handshake → limits → target connected → 101 → bridge
 *                                                 │           │          │
 *                                                 400, 426 …  503, 429   502, 504
 *                                                map: → token → target, or 404, before the limits
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_BRIDGE_ROUTE_H
#define CULVERT_BRIDGE_ROUTE_H

#include <stdbool.h>

struct bridge_set;
struct exchange;
struct limits;
struct linger_set;
struct loop;
struct resolver;
struct service;
struct hubs;
struct sessions;
struct snapshot;
struct topic_clients;
struct ws_digest;

/* On every answer of a stream route: nobody between us and the client may keep it or change it. */
#define ROUTE_NO_CACHE "Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n"

/* What answering takes, of one worker but for the limits. Borrowed. */
struct route_context {
    struct loop *loop;
    struct resolver *resolver;
    struct linger_set *lingers;
    struct bridge_set *bridges;
    struct sessions *sessions;
    struct hubs *hubs;
    struct topic_clients *topic_clients;
    struct service *service; /* the worker's, which knows the others */
    struct ws_digest *digest;
    struct limits *limits;
    struct snapshot *snapshot; /* the current one */
    struct loop *main_loop;    /* main's: where maps are read */
};

/* Answers, now or later. */
void route_request(const struct route_context *context, struct exchange *exchange);

struct http1_error;

/* Answers a WebSocket's handshake that was found wrong. */
void route_refuse_handshake(struct exchange *exchange, const struct http1_error *error);

/* serve_known: serves requests for sessions that there are. Answers others that culvert is stopping, so that a page that may use the route can read it. */
void route_refuse(const struct route_context *context, struct exchange *exchange, bool serve_known);

#endif
