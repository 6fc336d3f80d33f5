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

#include "conf/map_file.h"

struct conf_route;
struct exchange;
struct route_context;
struct opening_request;

/* The token that the request names, for opening_request; empty where it cannot be one. While the request is
 * there. Returns 0, or -1 if there are two. */
int choosing_token(const struct exchange *exchange, char token[CONF_MAP_FILE_TOKEN_MAX + 1]);

/* Answers the exchange in any case, now or later. request is copied. */
void choosing_start(const struct route_context *context, struct exchange *exchange,
                    const struct conf_route *route, const struct opening_request *request);

#endif
