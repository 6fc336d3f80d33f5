/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/mqtt.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/keys.h"
#include "conf/secret.h"
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

static void
complain(struct conf_context *context, const struct conf_section *section, const char *key,
         const char *what)
{
    const struct conf_entry *entry = conf_section_entry(section, key);
    struct conf_place place = {.section = section->name, .key = key, .line = section->line};

    if (entry != NULL) /* or [defaults] have it */
        place.line = entry->line;
    conf_mistake(context, &place, "%s", what);
}

static bool
has_place(char *const *filters, const char *place)
{
    for (size_t i = 0; filters[i] != NULL; i++) {
        if (strstr(filters[i], place) != NULL)
            return true;
    }
    return false;
}

/* Places that no client could fill. */
static void
check_filters(struct conf_context *context, const struct conf_section *section, const char *key,
              char *const *filters, const struct conf_route *route)
{
    if (*route->mqtt_username != '\0' && has_place(filters, "${user}"))
        complain(context, section, key,
                 "not ${user} with mqtt_username: all clients are the same one then");
    if (strpbrk(route->mqtt_client_id_prefix, "+#/") != NULL && has_place(filters, "${client_id}"))
        complain(
            context, section, key,
            "not ${client_id} with one of + # / in mqtt_client_id_prefix: it has no place in a "
            "topic's level");
}

static void
read_password(struct conf_context *context, const struct conf_section *section,
              struct conf_route *route)
{
    struct conf_place place = {.section = section->name,
                               .key = "mqtt_password_file",
                               .line = route->mqtt_password_file_line};

    if (route->mqtt_password_file == NULL)
        return;
    if (*route->mqtt_username == '\0')
        complain(context, section, "mqtt_password_file", "needs mqtt_username");
    else
        route->mqtt_password = conf_secret_read(context, &place, route->mqtt_password_file);
}

void
conf_mqtt_build(struct conf_context *context, const struct conf_section *section,
                struct conf_route *route)
{
    choose_subprotocols(context, section, route);
    check_filters(context, section, "mqtt_publish", route->mqtt_publish, route);
    check_filters(context, section, "mqtt_subscribe", route->mqtt_subscribe, route);
    read_password(context, section, route);
}
