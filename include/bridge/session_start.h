/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_start -- a session that begins: its endpoint, and the answer to its opener.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_BRIDGE_SESSION_START_H
#define CULVERT_BRIDGE_SESSION_START_H

struct conf_route;
struct exchange;
struct metrics_route;
struct opening_request;
struct route_context;
struct session;

/* Returns NULL without memory, logged. */
struct session *session_start_new(const struct route_context *context, struct exchange *exchange,
                                  const struct conf_route *route, struct metrics_route *metrics,
                                  const struct opening_request *request);

/* Attaches the first carrier, or answers 201, when the bridge has begun. Returns -1 without memory,
 * logged; then the exchange is still the caller's, and the session too. */
int session_start_answer(const struct route_context *context, struct exchange *exchange,
                         struct session *session, const struct opening_request *request)
    __attribute__((warn_unused_result));

#endif
