/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * use -- what a request wants of a stream route or a topic route (PROTOCOL.md section 1): by its upgrade, its
 * method and Accept.
 *
 * Thread:    on the loop's thread, while the handler's request() runs.
 */
#ifndef CULVERT_BRIDGE_USE_H
#define CULVERT_BRIDGE_USE_H

#include <stdbool.h>

struct exchange;

enum use {
    USE_WEBSOCKET,
    USE_BAD_UPGRADE,
    USE_OPTIONS,
    USE_POST,
    USE_DELETE,
    USE_OTHER_METHOD,
    USE_SSE,
    USE_POLL,
    USE_OTHER_TRANSPORT, /* names one that is not offered */
    USE_NOTHING,         /* names none */
};

/* What the route offers. */
struct use_rule {
    unsigned transports;   /* of enum conf_transport */
    const char *poll_type; /* the media type of its long polls */
    bool posts;
    bool deletes;
};

enum use use_of(const struct exchange *exchange, const struct use_rule *rule);

#endif
