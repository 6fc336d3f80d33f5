/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt -- a broker's endpoint with the rules of its route around it.
 *
 *      bridge ── send ───→ gate ── what passes ─────────────────────────→ the broker's endpoint
 *                            └ answers ┐
 *      bridge ←─ deliver ── between the broker's packets ←── deliver ──── the broker's endpoint
 *
 * What an answer has to wait with, a packet of the broker's that has not ended or a client that takes
 * nothing, counts as waiting for the broker: a client that lets its refusals lie is not read.
 *
 * A client that is refused for good gets its words, if there are any, and the broker what it sent before and
 * the end; close_timeout is the time for both.
 *
 * Thread, lifetime: see bridge/endpoint.h.
 */
#ifndef CULVERT_TARGET_MQTT_H
#define CULVERT_TARGET_MQTT_H

#include <stdbool.h>

struct conf_route;
struct endpoint;
struct loop;

/* Whether the route asks for anything to be looked at. */
bool mqtt_has_rules(const struct conf_route *route);

/* Takes the broker's endpoint, which has no bridge yet. route is borrowed and outlives the endpoint. Returns
 * NULL without memory, logged; then broker is still the caller's. */
struct endpoint *mqtt_open(struct loop *loop, struct endpoint *broker,
                           const struct conf_route *route);

#endif
