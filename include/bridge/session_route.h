/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_route -- requests for sessions on a stream route (PROTOCOL.md section 3): those that open one,
 * carry one, send to one, or end one.
 *
 *      POST               no id → body → opening → 201          id → body → session
 *      GET, by Accept     no id → opening → events              id → attach
 *      Upgrade            no id → opening → 101                 id → 101 → attach
 *      DELETE                                                   id → 204
 *
 * The request for a session of another worker goes there with its connection, and is answered there.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_BRIDGE_SESSION_ROUTE_H
#define CULVERT_BRIDGE_SESSION_ROUTE_H

#include <stdbool.h>

struct conf_route;
struct exchange;
struct route_context;

/* How a request is meant. */
enum session_use {
    SESSION_USE_WEBSOCKET, /* offers culvert.v1, or names a session */
    SESSION_USE_SSE,
    SESSION_USE_POLL,
    SESSION_USE_POST,
    SESSION_USE_DELETE,
};

/* Answers the exchange in any case, now or later. Origin and query were found good, a WebSocket's
 * handshake not yet. */
void session_route(const struct route_context *context, struct exchange *exchange,
                   const struct conf_route *route, enum session_use use);

/* Whether the request names a session that it may still be served for while culvert is leaving. */
bool session_route_is_known(const struct route_context *context, const struct exchange *exchange);

#endif
