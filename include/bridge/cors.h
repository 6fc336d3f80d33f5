/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cors -- the header lines without which a browser keeps an answer from a page of another origin
 * (the Fetch standard, section "CORS protocol"; PROTOCOL.md section 1). They refuse nobody: that is
 * origin's part, and was done before.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_BRIDGE_CORS_H
#define CULVERT_BRIDGE_CORS_H

#include <stddef.h>

#include "guard/origin.h"

enum {
    CORS_LINES_MAX = 512 + ORIGIN_MAX,
};

struct exchange;
struct http1_request;

/*
 * Writes complete lines for an answer to a request whose Origin the policy allows; to OPTIONS, also
 * what the page may then ask for. A policy that allows any origin allows none the user's
 * credentials.
 */
void cors_lines(const struct origin_policy *policy, const struct http1_request *request,
                char out[CORS_LINES_MAX]);

/* Whatever the answer to this request is going to be, it carries them. */
void cors_allow(struct exchange *exchange, const struct origin_policy *policy);

#endif
