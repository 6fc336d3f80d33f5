/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choosing -- a WebSocket on a route with `target = map:FILE`: its token chooses the target, which
 * is then connected (see opening.h).
 *
 * A token that is missing, empty, too long or unknown goes the same way and gets the same 404, so
 * that the answer tells no more than that. Tokens are not logged.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  choosing_start() until the exchange is answered, handed on to an opening, or the
 *            client has gone.
 */
#ifndef CULVERT_BRIDGE_CHOOSING_H
#define CULVERT_BRIDGE_CHOOSING_H

struct conf_route;
struct exchange;
struct route_context;
struct ws_handshake;

/* Answers the exchange in any case, now or later. handshake is copied. */
void choosing_start(const struct route_context *context, struct exchange *exchange,
                    const struct conf_route *route, const struct ws_handshake *handshake);

#endif
