/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A route begins as a copy of [defaults], which begins as a copy of the table's defaults; so
 * [defaults] may stand anywhere in the file, and each kind of section is gone through in turn.
 */
#include "conf/build.h"

#include <stdbool.h>
#include <string.h>

#include "conf/address.h"
#include "conf/bus.h"
#include "conf/conf.h"
#include "conf/document.h"
#include "conf/keys.h"
#include "conf/mqtt.h"
#include "conf/report.h"
#include "conf/route.h"
#include "conf/section.h"
#include "conf/store.h"

static bool
is_kind(const struct conf_section *section, const char *kind)
{
    return strcmp(section->kind, kind) == 0;
}

static const struct conf_section *
find_section(const struct conf_document *document, const char *kind)
{
    const struct conf_section *section = document->first;

    while (section != NULL && !is_kind(section, kind))
        section = section->next;
    return section;
}

static size_t
count_sections(const struct conf_document *document, const char *kind, size_t max)
{
    size_t n = 0;

    for (const struct conf_section *section = document->first; section != NULL;
         section = section->next)
        n += is_kind(section, kind) ? 1 : 0;
    return n < max ? n : max;
}

/* ---- sections by their names ---- */

static bool
takes_name(const struct conf_section *section)
{
    return is_kind(section, "route") || is_kind(section, "tls") || is_kind(section, "bus");
}

static void
check_kind(struct conf_context *context, const struct conf_section *section)
{
    struct conf_place place = conf_section_place(section);
    const char *near = conf_kind_near(section->kind);

    if (!conf_kind_known(section->kind) && near != NULL)
        conf_mistake(context, &place, "unknown section; did you mean [%s]?", near);
    else if (!conf_kind_known(section->kind))
        conf_mistake(context, &place, "unknown section");
    else if (is_kind(section, "route") && section->argument == NULL)
        conf_mistake(context, &place, "expected [route /PATH] or [route HOST/PATH]");
    else if (section->argument != NULL && !takes_name(section))
        conf_mistake(context, &place, "expected [%s], which takes no name", section->kind);
}

static void
check_kinds(struct conf_context *context, const struct conf_document *document)
{
    for (const struct conf_section *section = document->first;
         section != NULL && !conf_report_full(context->report); section = section->next)
        check_kind(context, section);
}

/* The sections that there is one of: all of them go into the same object, for their mistakes. */
static void
apply_single(struct conf_context *context, const struct conf_document *document, const char *kind,
             void *object)
{
    const struct conf_section *first = find_section(document, kind);

    for (const struct conf_section *section = first;
         section != NULL && !conf_report_full(context->report); section = section->next) {
        struct conf_place place = conf_section_place(section);
        if (!is_kind(section, kind))
            continue;
        if (section != first)
            conf_mistake(context, &place, "repeated; it already stands in line %u", first->line);
        conf_section_apply(context, section, object);
    }
}

/* ---- [tls] ---- */

static void
check_verify(struct conf_context *context, const struct conf_section *section,
             const struct conf_tls *tls)
{
    const struct conf_entry *verify = conf_section_entry(section, "client_verify");
    const struct conf_entry *ca = conf_section_entry(section, "client_ca");
    struct conf_place place = {.section = section->name, .key = "client_verify"};

    if (tls->client_verify == CONF_VERIFY_NONE || verify == NULL)
        return;
    /* One that is there but wrong was reported. */
    if (ca != NULL && (ca->value == NULL || *ca->value != '\0'))
        return;
    place.line = verify->line;
    conf_mistake(context, &place, "needs client_ca");
}

static void
check_tls_repeated(struct conf_context *context, const struct conf_place *place,
                   const struct conf *conf, const struct conf_tls *tls)
{
    for (size_t i = 0; i < conf->n_tls; i++) {
        const struct conf_tls *other = &conf->tls[i];
        bool named = tls->host != NULL && other->host != NULL;
        if (named ? strcmp(tls->host, other->host) != 0 : tls->host != other->host)
            continue;
        conf_mistake(context, place, "repeated; it already stands in line %u", other->line);
        return;
    }
}

static void
build_one_tls(struct conf_context *context, const struct conf_section *section, struct conf *conf)
{
    struct conf_place place = conf_section_place(section);
    struct conf_tls *tls = &conf->tls[conf->n_tls];
    const char *host = section->argument;

    tls->line = section->line;
    conf_section_defaults(context, "tls", tls);
    conf_section_apply(context, section, tls);
    if (host == NULL)
        check_verify(context, section, tls);
    if (host != NULL)
        tls->host = conf_route_host(context, &place, host, strlen(host), true);
    if (host != NULL && tls->host == NULL)
        return;
    check_tls_repeated(context, &place, conf, tls);
    conf->n_tls++;
}

/* Those with or those without a host, in the order of the file. */
static void
build_tls(struct conf_context *context, const struct conf_document *document, struct conf *conf,
          bool with_host)
{
    for (const struct conf_section *section = document->first;
         section != NULL && !conf_report_full(context->report); section = section->next) {
        struct conf_place place = conf_section_place(section);
        if (!is_kind(section, "tls") || (section->argument != NULL) != with_host)
            continue;
        if (conf->n_tls == CONF_TLS_MAX) {
            conf_mistake(context, &place, "at most %d such sections are taken", CONF_TLS_MAX);
            return;
        }
        build_one_tls(context, section, conf);
    }
}

/* ---- [route] ---- */

/* Why the key says nothing to such a route. */
static const char *
misfit(const struct conf_key *key, enum conf_use use)
{
    if (use == CONF_USE_FILES)
        return "not with a target files:";
    if (key->uses == CONF_USE_TOPICS)
        return "only with a target topics:";
    if (key->uses == CONF_USE_MQTT)
        return "only with a target mqtt://, mqtts:// or mqtt+unix:";
    if (use == CONF_USE_MQTT)
        return "not with a target mqtt://, mqtts:// or mqtt+unix:, whose packets are their own "
               "messages";
    return use == CONF_USE_TOPICS ? "not with a target topics:" : "not with this target";
}

/* Whether it says what is so anyway. */
static bool
is_idle(const struct conf_key *key, const struct conf_entry *entry, enum conf_use use)
{
    return use == CONF_USE_MQTT && key->uses == CONF_USE_STREAM &&
           strcmp(entry->value, key->standard) == 0;
}

/* Some keys say nothing to some routes: what [defaults] say of that does not concern the route, and what
 * it says itself is not meant. An empty value says that there is none of it. */
static void
settle_uses(struct conf_context *context, const struct conf_section *section,
            struct conf_route *route)
{
    enum conf_use use = conf_route_use(route);

    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        const struct conf_entry *entry = conf_section_entry(section, key->name);
        struct conf_place place = {.section = section->name, .key = key->name};
        if (key->uses == 0 || (key->uses & use) != 0)
            continue;
        conf_store(context, &place, key, key->standard, route);
        if (entry == NULL || entry->value == NULL || *entry->value == '\0' ||
            is_idle(key, entry, use))
            continue;
        place.line = entry->line;
        conf_mistake(context, &place, "%s", misfit(key, use));
    }
    if (use == CONF_USE_FILES)
        route->subprotocols_required = false;
}

/* ---- topic routes ---- */

static void
refuse_places(struct conf_context *context, const struct conf_section *section, const char *key,
              char *const *filters)
{
    const struct conf_entry *entry = conf_section_entry(section, key);
    struct conf_place place = {.section = section->name, .key = key};

    place.line = entry == NULL ? section->line : entry->line;
    for (size_t i = 0; filters[i] != NULL; i++) {
        if (strstr(filters[i], "${user}") != NULL)
            conf_mistake(context, &place,
                         "${user} is the authenticated name: this route knows none");
        else if (strstr(filters[i], "${client_id}") != NULL)
            conf_mistake(context, &place, "${client_id} is MQTT's: a topic route knows none");
    }
}

static void
check_topics(struct conf_context *context, const struct conf_section *section,
             const struct conf_route *route)
{
    const struct conf_entry *publish = conf_section_entry(section, "publish");
    struct conf_place place = {.section = section->name, .key = "publish"};
    char *const *topics = route->publish;

    place.line = publish == NULL ? section->line : publish->line;
    refuse_places(context, section, "subscribe", route->subscribe);
    refuse_places(context, section, "publish", route->publish);
    if (route->payload != CONF_PAYLOAD_RAW || topics[0] == NULL)
        return;
    if (topics[1] != NULL || strpbrk(topics[0], "+#") != NULL)
        conf_mistake(context, &place,
                     "with payload = raw, one topic without wildcards: nothing else tells where a "
                     "client's message goes");
}

static void
check_subprotocols(struct conf_context *context, const struct conf_section *section,
                   const struct conf_route *route)
{
    const struct conf_entry *required = conf_section_entry(section, "subprotocols_required");
    const struct conf_entry *list = conf_section_entry(section, "subprotocols");
    struct conf_place place = {.section = section->name, .key = "subprotocols_required"};

    if (!route->subprotocols_required || route->subprotocols[0] != NULL)
        return;
    if (list != NULL && (list->value == NULL || *list->value != '\0'))
        return;
    place.line = required == NULL ? section->line : required->line;
    conf_mistake(context, &place, "needs subprotocols: without any, no client is let in");
}

/* SSE and long polls carry sessions and nothing else. */
static void
check_transports(struct conf_context *context, const struct conf_section *section,
                 const struct conf_route *route)
{
    const struct conf_entry *window = conf_section_entry(section, "resume_window");
    const struct conf_entry *transports = conf_section_entry(section, "transports");
    struct conf_place place = {.section = section->name, .key = "transports"};

    if (route->resume_window > 0 || (route->transports & CONF_TRANSPORT_WEBSOCKET) != 0)
        return;
    place.line = transports != NULL ? transports->line
                 : window != NULL   ? window->line
                                    : section->line;
    conf_mistake(context, &place,
                 "sse and longpoll need a resume_window: without one, nobody is let in");
}

static void
check_use(struct conf_context *context, const struct conf_section *section,
          const struct conf_route *route)
{
    enum conf_use use = conf_route_use(route);

    if (use != CONF_USE_FILES)
        check_subprotocols(context, section, route);
    if (use == CONF_USE_STREAM || use == CONF_USE_MQTT)
        check_transports(context, section, route);
    if (use == CONF_USE_TOPICS)
        check_topics(context, section, route);
}

static void
check_route_repeated(struct conf_context *context, const struct conf_place *place,
                     const struct conf *conf, const struct conf_route *route)
{
    for (size_t i = 0; i < conf->n_routes; i++) {
        if (!conf_route_same(&conf->routes[i], route))
            continue;
        conf_mistake(context, place, "repeated; it already stands in line %u",
                     conf->routes[i].line);
        return;
    }
}

static void
build_route(struct conf_context *context, const struct conf_section *section, struct conf *conf,
            const struct conf_route *defaults)
{
    struct conf_place place = conf_section_place(section);
    struct conf_route *route = &conf->routes[conf->n_routes];
    bool named;

    *route = *defaults;
    route->line = section->line;
    named = conf_route_name(context, &place, section->argument, route);
    conf_section_apply(context, section, route);
    if (route->target.text != NULL)
        settle_uses(context, section, route);
    if (conf_route_use(route) == CONF_USE_MQTT)
        conf_mqtt_build(context, section, route);
    check_use(context, section, route);
    if (!named)
        return;
    check_route_repeated(context, &place, conf, route);
    conf->n_routes++;
}

static void
build_routes(struct conf_context *context, const struct conf_document *document, struct conf *conf)
{
    struct conf_route defaults = {0};

    conf_section_defaults(context, "route", &defaults);
    if (conf_pool_failed(context->pool))
        return;
    apply_single(context, document, "defaults", &defaults);
    for (const struct conf_section *section = document->first;
         section != NULL && !conf_report_full(context->report); section = section->next) {
        struct conf_place place = conf_section_place(section);
        if (!is_kind(section, "route") || section->argument == NULL)
            continue;
        if (conf->n_routes == CONF_ROUTES_MAX) {
            conf_mistake(context, &place, "at most %d routes are taken", CONF_ROUTES_MAX);
            return;
        }
        build_route(context, section, conf, &defaults);
    }
}

/* ---- the whole ---- */

static void
check_present(struct conf_context *context, const struct conf_document *document)
{
    static const struct conf_place whole = {.line = 0};

    if (find_section(document, "server") == NULL)
        conf_mistake(context, &whole,
                     "[server] with listen is missing: there must be at least one "
                     "address to listen on");
    if (find_section(document, "route") == NULL)
        conf_mistake(context, &whole,
                     "[route PATH] with target is missing: there must be at least "
                     "one route");
}

static void
check_tls_present(struct conf_context *context, const struct conf_document *document,
                  const struct conf *conf)
{
    const struct conf_section *tls = find_section(document, "tls");

    while (tls != NULL && (!is_kind(tls, "tls") || tls->argument != NULL))
        tls = tls->next;
    if (tls != NULL)
        return;
    for (size_t i = 0; i < conf->n_listens; i++) {
        struct conf_place place = {
            .section = "server", .key = "listen", .line = conf->listens[i].line};
        if (conf->listens[i].tls)
            conf_mistake(context, &place, "tls needs a section [tls] with a certificate");
    }
    if (conf->n_tls > 0) {
        struct conf_place place = {.section = "tls", .line = conf->tls[0].line};
        conf_mistake(context, &place, "missing: a client may ask for another host, or for none");
    }
}

static void
check_listens(struct conf_context *context, const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_listens; i++) {
        const struct conf_listen *listen = &conf->listens[i];
        struct conf_place place = {.section = "server", .key = "listen", .line = listen->line};
        if (listen->proxy && conf->trusted_proxies != NULL && *conf->trusted_proxies == '\0')
            conf_mistake(context, &place,
                         "proxy needs trusted_proxies: who may send such a header");
        if (conf->admin.text == NULL || !conf_address_same(listen, &conf->admin))
            continue;
        conf_mistake(context, &place, "the same address as admin's; each needs its own");
    }
}

static int
make_room(struct conf_context *context, const struct conf_document *document, struct conf *conf)
{
    size_t tls = count_sections(document, "tls", CONF_TLS_MAX);
    size_t routes = count_sections(document, "route", CONF_ROUTES_MAX);

    conf->listens = conf_pool_alloc(context->pool, CONF_LISTENS_MAX, sizeof(conf->listens[0]));
    conf->tls = conf_pool_alloc(context->pool, tls, sizeof(conf->tls[0]));
    conf->routes = conf_pool_alloc(context->pool, routes, sizeof(conf->routes[0]));
    return conf_pool_failed(context->pool) ? -1 : 0;
}

void
conf_build(struct conf_context *context, const struct conf_document *document, struct conf *conf)
{
    if (make_room(context, document, conf) != 0)
        return;
    check_present(context, document);
    check_kinds(context, document);
    conf_section_defaults(context, "server", conf);
    conf_section_defaults(context, "log", conf);
    apply_single(context, document, "server", conf);
    apply_single(context, document, "log", conf);
    build_tls(context, document, conf, false);
    build_tls(context, document, conf, true);
    build_routes(context, document, conf);
    conf_bus_build(context, document, conf);
    check_tls_present(context, document, conf);
    check_listens(context, conf);
}
