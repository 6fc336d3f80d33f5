/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules -- what a topic route's clients may do.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_TOPIC_RULES_H
#define CULVERT_TOPIC_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/span.h"

struct conf_route;
struct hub;

/* These return NULL, or why not, which the client may be told. Filters and topics are valid. */
const char *rules_subscribe(const struct conf_route *route, struct span filter);
const char *rules_publish(const struct conf_route *route, const struct hub *hub, struct span topic,
                          size_t payload_len, bool retain);

#endif
