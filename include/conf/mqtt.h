/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_mqtt -- what is particular to routes with `target = mqtt://` or `mqtts://`.
 *
 * Thread:    that of the loader.
 * Ownership: texts live in the snapshot's pool.
 * Errors:    reported.
 */
#ifndef CULVERT_CONF_MQTT_H
#define CULVERT_CONF_MQTT_H

#include "conf/context.h"

struct conf_route;
struct conf_section;

/* Checks that the rules fit together, and reads the password. Without subprotocols of its own the route
 * takes those of MQTT, whatever [defaults] say. */
void conf_mqtt_build(struct conf_context *context, const struct conf_section *section,
                     struct conf_route *route);

#endif
