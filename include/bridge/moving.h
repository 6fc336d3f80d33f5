/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moving -- a connection goes to another worker, with the request that it has just made, its TLS and
 * what it has sent ahead: where a session lives, its carriers are.
 *
 * Thread:    on the loop's thread; the connection arrives on the other's.
 */
#ifndef CULVERT_BRIDGE_MOVING_H
#define CULVERT_BRIDGE_MOVING_H

#include <stdbool.h>

struct exchange;
struct route_context;

/* Sends the exchange's connection to the worker with that loop_id(), where its request is handled anew.
 * Returns false if there is no such worker; then the exchange is still the caller's. */
bool moving_start(const struct route_context *context, struct exchange *exchange, unsigned worker);

#endif
