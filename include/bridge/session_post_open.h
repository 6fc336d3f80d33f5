/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_post_open -- a POST that opens a session: its body may name the subprotocols that the
 * application speaks, `{"protocols":["mqtt"]}`.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  session_post_open() until the exchange is answered, handed on to an opening, or the client
 *            has gone.
 */
#ifndef CULVERT_BRIDGE_SESSION_POST_OPEN_H
#define CULVERT_BRIDGE_SESSION_POST_OPEN_H

struct conf_route;
struct exchange;
struct opening_request;
struct route_context;

/* Answers the exchange in any case, now or later. request is copied; its subprotocol is chosen by the
 * body. */
void session_post_open(const struct route_context *context, struct exchange *exchange,
                       const struct conf_route *route, const struct opening_request *request);

/* Of the JSON library that is linked. */
const char *session_post_open_json_version(void);

#endif
