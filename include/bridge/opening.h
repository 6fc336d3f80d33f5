/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opening -- a WebSocket whose target is being connected: the 101 waits for it, so that a refused
 * or slow target is a 502 or 504 that a load balancer can see.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  opening_start() until the exchange is answered or the client has gone.
 */
#ifndef CULVERT_BRIDGE_OPENING_H
#define CULVERT_BRIDGE_OPENING_H

struct conf_route;
struct conf_target;
struct exchange;
struct route_context;
struct ws_handshake;

/* Answers the exchange in any case, now or later. handshake is copied. chosen: where to instead of
 * the route's own target, or NULL; it is taken, and freed. */
void opening_start(const struct route_context *context, struct exchange *exchange,
                   const struct conf_route *route, const struct ws_handshake *handshake,
                   struct conf_target *chosen);

#endif
