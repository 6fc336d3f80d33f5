/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/document.h"
#include "conf/keys.h"
#include "conf/store.h"

/* argument NULL: none. */
static void
print_section(const char *kind, const char *argument, const void *object, FILE *out)
{
    const struct conf_section section = {.kind = kind, .argument = argument};

    fprintf(out, "[%s%s%s]\n", kind, argument == NULL ? "" : " ", argument == NULL ? "" : argument);
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        if (conf_key_allowed(key, &section))
            conf_store_print(key, object, out);
    }
}

void
conf_dump(const struct conf *conf, FILE *out)
{
    print_section("server", NULL, conf, out);
    fputc('\n', out);
    print_section("log", NULL, conf, out);
    for (size_t i = 0; i < conf->n_tls; i++) {
        fputc('\n', out);
        print_section("tls", conf->tls[i].host, &conf->tls[i], out);
    }
    for (size_t i = 0; i < conf->n_routes; i++) {
        fputc('\n', out);
        print_section("route", conf->routes[i].name, &conf->routes[i], out);
    }
}
