/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/mqtt.h"

#include <stddef.h>

#include "conf/conf.h"
#include "conf/keys.h"
#include "conf/section.h"
#include "conf/store.h"

/* The second is what clients of MQTT 3.1 ask for. */
#define SUBPROTOCOLS "mqtt, mqttv3.1"

static void
choose_subprotocols(struct conf_context *context, const struct conf_section *section,
                    struct conf_route *route)
{
    const struct conf_key *key = conf_key_find("route", "subprotocols");
    struct conf_place place = {.section = section->name, .key = key->name, .line = section->line};

    if (conf_section_entry(section, key->name) == NULL)
        conf_store(context, &place, key, SUBPROTOCOLS, route);
}

void
conf_mqtt_build(struct conf_context *context, const struct conf_section *section,
                struct conf_route *route)
{
    choose_subprotocols(context, section, route);
}
