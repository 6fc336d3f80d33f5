/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_ask -- what a request says of a session: query, Culvert-Session, Last-Event-ID (PROTOCOL.md
 * section 3).
 *
 * Thread:    any; no state outside the struct.
 */
#ifndef CULVERT_BRIDGE_SESSION_ASK_H
#define CULVERT_BRIDGE_SESSION_ASK_H

#include <stdbool.h>

#include "client/session.h"

struct conf_route;
struct http1_request;

enum {
    SESSION_ASK_ID_MAX = 64, /* bytes of an id that is looked for; longer ones are nobody's */
};

struct session_ask {
    bool has_id;                     /* one was named */
    bool by_event_id;                /* by Last-Event-ID */
    char id[SESSION_ASK_ID_MAX + 1]; /* empty if it cannot be one */
    struct session_attach attach;
    double heartbeat; /* seconds, what the client asks for; -1: nothing */
    double wait;
};

/* Returns NULL, or what is wrong. sse: Last-Event-ID counts. */
const char *session_ask_read(const struct http1_request *request, bool sse,
                             struct session_ask *ask);

/* What a carrier gets: less than what is configured, but not below a second. */
double session_ask_heartbeat(const struct session_ask *ask, const struct conf_route *route);
double session_ask_wait(const struct session_ask *ask, const struct conf_route *route);

#endif
