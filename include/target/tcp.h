/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp -- the target's endpoint over a connected stream: TCP, TLS or a unix socket.
 *
 *      finish() ──────────→ what waits is sent, then FIN ──→ read until the target's FIN,
 *                           close_timeout at most ──→ gone
 *      the target's FIN ──→ ended(1000); the client's bytes are still written until finish()
 *      reset, write_timeout ──→ ended(1014), gone
 *
 * Thread, lifetime: see bridge/endpoint.h.
 */
#ifndef CULVERT_TARGET_TCP_H
#define CULVERT_TARGET_TCP_H

struct conf_route;
struct endpoint;
struct loop;
struct stream;

/* Takes stream, whose owner it becomes. route is borrowed and outlives the endpoint. Returns NULL
 * without memory, logged; then stream is still the caller's. */
struct endpoint *tcp_open(struct loop *loop, struct stream *stream, const struct conf_route *route);

#endif
