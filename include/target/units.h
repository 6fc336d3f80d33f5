/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * units -- the target's side of a route with `framing`: its bytes are taken apart into messages,
 * and a client's messages get what goes before or behind them.
 *
 * A unit that one read holds is delivered in place; one that reads cut is collected, message_max at
 * most.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_TARGET_UNITS_H
#define CULVERT_TARGET_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_route;
struct endpoint;
struct stream;
struct units;

/* Returns NULL without memory. */
struct units *units_new(const struct conf_route *route);
void units_free(struct units *units);

/*
 * Delivers the messages in the target's bytes by endpoint->events, as long as *over (which
 * delivering may set) is false. Returns NULL, or what is wrong with the bytes (static).
 */
const char *units_from_target(struct units *units, struct endpoint *endpoint, uint8_t *data,
                              size_t len, const bool *over);

/* The target has ended: the same for what is left. */
const char *units_end(struct units *units, struct endpoint *endpoint);

/* Writes a client's whole message, with ENDPOINT_HEADROOM bytes before it. */
void units_to_target(struct units *units, struct stream *stream, uint8_t *data, size_t len);

#endif
