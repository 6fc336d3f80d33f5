/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * carrier_websocket -- carries a session over a WebSocket with the subprotocol culvert.v1: one frame
 * (proto/session_frame.h) in each binary message.
 *
 * It is always read: what a client may send is bounded by the session's window.
 *
 * Thread, lifetime: see client/carrier.h.
 */
#ifndef CULVERT_CLIENT_CARRIER_WEBSOCKET_H
#define CULVERT_CLIENT_CARRIER_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>

struct conf_route;
struct exchange;
struct linger_set;
struct session;
struct session_attach;
struct ws_digest;
struct ws_handshake;

struct carrier_websocket_options {
    struct exchange *exchange; /* its stream is taken */
    const struct ws_handshake *handshake;
    struct ws_digest *digest; /* borrowed until carrier_websocket_open() returns */
    struct linger_set *lingers;
    const struct conf_route *route; /* without a session: lives for the length of the call */
    double heartbeat;               /* seconds; 0: never */
    struct session *session;
    const struct session_attach *attach;
};

/* Attaches, sends the 101 and OPEN. If the session cannot be attached to so, the client is told by
 * CLOSE. Returns -1 without memory, logged; then the exchange is still the caller's. */
int carrier_websocket_open(const struct carrier_websocket_options *options)
    __attribute__((warn_unused_result));

/* The same without a session: the 101, CLOSE and the WebSocket's Close with the same code. session and
 * attach are not looked at. */
int carrier_websocket_refuse(const struct carrier_websocket_options *options, uint16_t code,
                             const char *reason) __attribute__((warn_unused_result));

#endif
