/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * carrier_poll -- carries a session for one long poll: answers with all that waits, or waits until there
 * is something, or until its time is over.
 *
 *      200 with frames: ACK, messages, CLOSE      204: nothing came      409: detached
 *
 * Thread, lifetime: see client/carrier.h.
 */
#ifndef CULVERT_CLIENT_CARRIER_POLL_H
#define CULVERT_CLIENT_CARRIER_POLL_H

struct exchange;
struct session;
struct session_attach;

struct carrier_poll_options {
    struct exchange *exchange;
    const char *headers; /* complete lines for the answer; outlive it */
    double wait;         /* seconds */
    struct session *session;
    const struct session_attach *attach;
};

/* Attaches, and answers now or later. Returns what session_attach() did; but for SESSION_ATTACHED the
 * exchange is still the caller's. -1 without memory, logged; the same. */
int carrier_poll_open(const struct carrier_poll_options *options)
    __attribute__((warn_unused_result));

#endif
