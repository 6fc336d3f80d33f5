/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * websocket -- the client's endpoint of a stream route, over a WebSocket (RFC 6455).
 *
 *      OPEN ──finish()──→ CLOSING: our Close is sent, the client's is awaited ──┐
 *        │                                                   close_timeout      ├─→ gone
 *        └──the client's Close, a fault, its end────────────────────────────────┘
 *
 * Thread, lifetime: see bridge/endpoint.h.
 */
#ifndef CULVERT_CLIENT_WEBSOCKET_H
#define CULVERT_CLIENT_WEBSOCKET_H

#include <stddef.h>

struct conf_route;
struct endpoint;
struct exchange;
struct linger_set;
struct metrics_route;
struct ws_digest;
struct ws_handshake;

struct websocket_options {
    struct exchange *exchange; /* its stream is taken */
    const struct ws_handshake *handshake;
    struct ws_digest *digest;       /* borrowed until websocket_open() returns */
    const struct conf_route *route; /* borrowed; outlives the endpoint */
    struct linger_set *lingers;
    struct metrics_route *metrics; /* of this worker; outlives the endpoint */
};

/* Takes the exchange's stream and sends the 101. Returns NULL without memory, logged; then the
 * exchange is still the caller's. */
struct endpoint *websocket_open(const struct websocket_options *options);

#endif
