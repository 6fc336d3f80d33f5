/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opening -- a client whose target is being connected: its answer (101, 201, a stream of events) waits
 * for it, so that a refused or slow target is a 502 or 504 that a load balancer can see. The target of
 * one that is over a limit (guard/limits.h) never hears of it.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  opening_start() until the exchange is answered or the client has gone.
 */
#ifndef CULVERT_BRIDGE_OPENING_H
#define CULVERT_BRIDGE_OPENING_H

#include "conf/map_file.h"
#include "guard/origin.h"
#include "proto/ws_handshake.h"

struct conf_route;
struct conf_target;
struct exchange;
struct route_context;

/* What the client is to have. */
enum opening_kind {
    OPENING_WEBSOCKET,         /* a plain one */
    OPENING_SESSION_WEBSOCKET, /* a session, and ... as its first carrier */
    OPENING_SESSION_SSE,
    OPENING_SESSION, /* a session alone: 201 */
};

struct opening_request {
    enum opening_kind kind;
    struct ws_handshake handshake;           /* of WebSockets; the subprotocol of all */
    double heartbeat;                        /* of sessions: the first carrier's, in seconds */
    char origin[ORIGIN_MAX + 1];             /* of sessions: the opener's; empty: none */
    char token[CONF_MAP_FILE_TOKEN_MAX + 1]; /* where a map chooses; empty: none, or no valid one */
};

/* Answers the exchange in any case, now or later. request is copied. chosen: where to instead of
 * the route's own target, or NULL; it is taken, and freed. */
void opening_start(const struct route_context *context, struct exchange *exchange,
                   const struct conf_route *route, const struct opening_request *request,
                   struct conf_target *chosen);

/* The same, where a map chooses the target by the request's token if the route has one. */
void opening_choose(const struct route_context *context, struct exchange *exchange,
                    const struct conf_route *route, const struct opening_request *request);

#endif
