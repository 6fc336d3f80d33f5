/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_post -- what a session's client sends by POST: frames, each behind its length, taken as they
 * come; answered with what the target has taken so far.
 *
 *      200 ACK, PONG, CLOSE      409 with ACK: a gap      400: a frame that cannot be
 *                                413: over message_max, the window, or window + 64 KiB in all
 *
 * The session lives on in any case, but for a CLOSE.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  session_post_start() until the exchange is answered or the client has gone.
 */
#ifndef CULVERT_CLIENT_SESSION_POST_H
#define CULVERT_CLIENT_SESSION_POST_H

#include <stdint.h>

struct exchange;
struct session;
struct sessions_end;

struct session_post_options {
    struct exchange *exchange;
    const char *headers; /* complete lines for the answer; outlive it */
    struct session *session;
};

/* Answers later, or at once without memory. */
void session_post_start(const struct session_post_options *options);

/* Answers 200 with ACK and CLOSE for a session that has ended so. */
void session_post_tell_end(struct exchange *exchange, const char *headers,
                           const struct sessions_end *end);

#endif
