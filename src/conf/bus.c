/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/bus.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/topic_filter.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/report.h"
#include "conf/secret.h"
#include "conf/section.h"

static bool
is_bus(const struct conf_section *section)
{
    return strcmp(section->kind, "bus") == 0;
}

static void
complain(struct conf_context *context, const struct conf_section *section, const char *key,
         const char *what)
{
    const struct conf_entry *entry = conf_section_entry(section, key);
    struct conf_place place = {.section = section->name, .key = key, .line = section->line};

    if (entry != NULL)
        place.line = entry->line;
    conf_mistake(context, &place, "%s", what);
}

/* Whether it has a value; one that is wrong was reported and counts as one. */
static bool
has(const struct conf_section *section, const char *key)
{
    const struct conf_entry *entry = conf_section_entry(section, key);

    return entry != NULL && (entry->value == NULL || *entry->value != '\0');
}

static void
check(struct conf_context *context, const struct conf_section *section, const struct conf_bus *bus)
{
    if (has(section, "password_file") && !has(section, "username"))
        complain(context, section, "password_file", "needs username");
    if (has(section, "tls_certificate") && !has(section, "tls_private_key"))
        complain(context, section, "tls_certificate", "needs tls_private_key");
    if (has(section, "tls_private_key") && !has(section, "tls_certificate"))
        complain(context, section, "tls_private_key", "needs tls_certificate");
    if (bus->will_topic != NULL && *bus->will_topic != '\0' &&
        !topic_name_is_valid(bus->will_topic, strlen(bus->will_topic)))
        complain(context, section, "will_topic", "a topic without wildcards is expected");
    if (has(section, "will_payload") && !has(section, "will_topic"))
        complain(context, section, "will_payload", "needs will_topic");
}

static bool
is_repeated(struct conf_context *context, const struct conf_section *section,
            const struct conf *conf, const char *name)
{
    struct conf_place place = conf_section_place(section);

    for (size_t i = 0; i < conf->n_buses; i++) {
        if (strcmp(conf->buses[i].name, name) != 0)
            continue;
        conf_mistake(context, &place, "repeated; it already stands in line %u",
                     conf->buses[i].line);
        return true;
    }
    return false;
}

static void
build_one(struct conf_context *context, const struct conf_section *section, struct conf *conf)
{
    struct conf_place place = conf_section_place(section);
    struct conf_bus *bus = &conf->buses[conf->n_buses];
    const char *name = section->argument == NULL ? "" : section->argument;

    if (*name != '\0' && !conf_address_is_bus_name(name)) {
        conf_mistake(context, &place,
                     "expected a name of letters, digits, - and _, at most 32 bytes");
        return;
    }
    if (is_repeated(context, section, conf, name))
        return;
    memset(bus, 0, sizeof *bus);
    bus->line = section->line;
    bus->name = conf_pool_copy(context->pool, name, strlen(name));
    if (bus->name == NULL)
        return;
    conf_section_defaults(context, "bus", bus);
    conf_section_apply(context, section, bus);
    check(context, section, bus);
    if (bus->password_file != NULL) {
        place = (struct conf_place){
            .section = section->name, .key = "password_file", .line = bus->password_file_line};
        bus->password = conf_secret_read(context, &place, bus->password_file);
    }
    conf->n_buses++;
}

static void
add_standard(struct conf_context *context, struct conf *conf)
{
    struct conf_bus *bus = &conf->buses[conf->n_buses];

    memset(bus, 0, sizeof *bus);
    bus->name = conf_pool_copy(context->pool, "", 0);
    if (bus->name == NULL)
        return;
    conf_section_defaults(context, "bus", bus);
    conf->n_buses++;
}

/* Returns -1 if there is none. */
static int
find(const struct conf *conf, const char *name, size_t *index)
{
    for (*index = 0; *index < conf->n_buses; (*index)++) {
        if (strcmp(conf->buses[*index].name, name) == 0)
            return 0;
    }
    return -1;
}

static void
join_route(struct conf_context *context, const struct conf *conf, struct conf_route *route)
{
    const char *name = route->target.bus;
    char section[256];
    struct conf_place place = {.section = section, .key = "target", .line = route->target_line};

    if (find(conf, name, &route->bus) == 0)
        return;
    snprintf(section, sizeof section, "route %.*s", conf_shown(route->name), route->name);
    conf_mistake(context, &place, "topics:%s needs a section [bus %s]", name, name);
}

void
conf_bus_build(struct conf_context *context, const struct conf_document *document,
               struct conf *conf)
{
    size_t standard;

    /* One more than sections may describe: that of no section. */
    conf->buses = conf_pool_alloc(context->pool, CONF_BUSES_MAX + 1, sizeof conf->buses[0]);
    if (conf->buses == NULL)
        return;
    for (const struct conf_section *section = document->first;
         section != NULL && !conf_report_full(context->report); section = section->next) {
        struct conf_place place = conf_section_place(section);
        if (!is_bus(section))
            continue;
        if (conf->n_buses == CONF_BUSES_MAX) {
            conf_mistake(context, &place, "at most %d such sections are taken", CONF_BUSES_MAX);
            return;
        }
        build_one(context, section, conf);
    }
    if (find(conf, "", &standard) != 0)
        add_standard(context, conf);
    for (size_t i = 0; i < conf->n_routes; i++) {
        struct conf_route *route = &conf->routes[i];
        if (conf_route_use(route) == CONF_USE_TOPICS && route->target.bus != NULL)
            join_route(context, conf, route);
    }
}
