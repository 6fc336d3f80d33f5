/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/document.h"
#include "conf/keys.h"
#include "conf/store.h"

/* argument NULL: none. files: it is a route with such a target. */
static void
print_section(const char *kind, const char *argument, bool files, const void *object, FILE *out)
{
    const struct conf_section section = {.kind = kind, .argument = argument};

    fprintf(out, "[%s%s%s]\n", kind, argument == NULL ? "" : " ", argument == NULL ? "" : argument);
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        if (conf_key_allowed(key, &section) && !(files && key->not_files))
            conf_store_print(key, object, out);
    }
}

void
conf_dump(const struct conf *conf, FILE *out)
{
    print_section("server", NULL, false, conf, out);
    fputc('\n', out);
    print_section("log", NULL, false, conf, out);
    for (size_t i = 0; i < conf->n_tls; i++) {
        fputc('\n', out);
        print_section("tls", conf->tls[i].host, false, &conf->tls[i], out);
    }
    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        fputc('\n', out);
        print_section("route", route->name, route->target.kind == CONF_TARGET_FILES, route, out);
    }
}
