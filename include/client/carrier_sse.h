/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * carrier_sse -- carries a session's messages to its client as server-sent events; the client's come by
 * POST (client/session_post.h).
 *
 *      retry: 1000 → open → binary, text, ack, ping … → close, or detached
 *
 * Thread, lifetime: see client/carrier.h.
 */
#ifndef CULVERT_CLIENT_CARRIER_SSE_H
#define CULVERT_CLIENT_CARRIER_SSE_H

struct exchange;
struct session;
struct session_attach;

struct carrier_sse_options {
    struct exchange *exchange;
    const char *headers; /* complete lines for the answer */
    double heartbeat;    /* seconds; 0: never */
    struct session *session;
    const struct session_attach *attach;
};

/* Attaches and answers. Returns what session_attach() did; but for SESSION_ATTACHED the exchange is
 * still the caller's. -1 without memory, logged; the same. */
int carrier_sse_open(const struct carrier_sse_options *options) __attribute__((warn_unused_result));

#endif
