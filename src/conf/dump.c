/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/document.h"
#include "conf/keys.h"
#include "conf/store.h"

/* argument NULL: none. use: of a route; 0: it is none. */
static void
print_section(const char *kind, const char *argument, unsigned use, const void *object, FILE *out)
{
    const struct conf_section section = {.kind = kind, .argument = argument};

    fprintf(out, "[%s%s%s]\n", kind, argument == NULL ? "" : " ", argument == NULL ? "" : argument);
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        if (conf_key_allowed(key, &section) && (key->uses == 0 || (key->uses & use) != 0))
            conf_store_print(key, object, out);
    }
}

/* Whether a key is written differently for two objects of its section. */
static bool
differs(const struct conf_key *key, const void *old, const void *new)
{
    char *texts[2] = {NULL, NULL};
    const void *objects[2] = {old, new};
    bool different = true; /* without memory: it may be */

    for (unsigned i = 0; i < 2; i++) {
        size_t len;
        FILE *out = open_memstream(&texts[i], &len);
        if (out == NULL)
            continue;
        conf_store_print(key, objects[i], out);
        fclose(out);
    }
    if (texts[0] != NULL && texts[1] != NULL)
        different = strcmp(texts[0], texts[1]) != 0;
    free(texts[0]);
    free(texts[1]);
    return different;
}

/* Of a bus that is in both. */
static bool
bus_differs(const struct conf_key *key, const struct conf *old, const struct conf *conf)
{
    for (size_t i = 0; i < old->n_buses; i++)
        for (size_t k = 0; k < conf->n_buses; k++)
            if (strcmp(old->buses[i].name, conf->buses[k].name) == 0 &&
                differs(key, &old->buses[i], &conf->buses[k]))
                return true;
    return false;
}

const struct conf_key *
conf_next_fixed(const struct conf *old, const struct conf *conf, const struct conf_key *after)
{
    const struct conf_key *key = after == NULL ? conf_keys() : after + 1;

    for (; key->name != NULL; key++) {
        bool global = strcmp(key->section, "server") == 0 || strcmp(key->section, "log") == 0;
        bool of_bus = strcmp(key->section, "bus") == 0;
        if (key->reloadable)
            continue;
        if ((global && differs(key, old, conf)) || (of_bus && bus_differs(key, old, conf)))
            return key;
    }
    return NULL;
}

void
conf_dump(const struct conf *conf, FILE *out)
{
    print_section("server", NULL, 0, conf, out);
    fputc('\n', out);
    print_section("log", NULL, 0, conf, out);
    for (size_t i = 0; i < conf->n_tls; i++) {
        fputc('\n', out);
        print_section("tls", conf->tls[i].host, 0, &conf->tls[i], out);
    }
    for (size_t i = 0; i < conf->n_buses; i++) {
        const struct conf_bus *bus = &conf->buses[i];
        fputc('\n', out);
        print_section("bus", *bus->name == '\0' ? NULL : bus->name, 0, bus, out);
    }
    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        fputc('\n', out);
        print_section("route", route->name, conf_route_use(route), route, out);
    }
}
