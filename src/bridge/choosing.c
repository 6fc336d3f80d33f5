/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/choosing.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/opening.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "conf/map_file.h"
#include "event/loop.h"
#include "proto/http1.h"
#include "target/map_table.h"

struct choosing {
    struct exchange_owner exchange_owner;
    struct map_lookup_owner lookup_owner;
    struct exchange *exchange;
    struct map_lookup *lookup;
    const struct conf_route *route;
    struct opening_request request;
    struct route_context context; /* its snapshot is ours */
    struct loop_deferred free_later;
};

static void
free_choosing(struct loop_deferred *deferred)
{
    struct choosing *choosing = container_of(deferred, struct choosing, free_later);

    snapshot_unref(choosing->context.snapshot);
    free(choosing);
}

static void
release(struct choosing *choosing)
{
    loop_defer(choosing->context.loop, &choosing->free_later, free_choosing);
}

static void
on_client_gone(struct exchange_owner *owner)
{
    struct choosing *choosing = container_of(owner, struct choosing, exchange_owner);

    map_lookup_cancel(choosing->lookup);
    release(choosing);
}

static void
no_memory(struct exchange *exchange)
{
    exchange_close_after(exchange); /* what it sent ahead are frames, not requests */
    exchange_set_reason(exchange, METRICS_REFUSED_MEMORY);
    exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "out of memory");
}

static void
on_found(struct map_lookup_owner *owner, enum map_lookup_result result, struct conf_target *target)
{
    struct choosing *choosing = container_of(owner, struct choosing, lookup_owner);
    struct exchange *exchange = choosing->exchange;

    choosing->lookup = NULL;
    if (result == MAP_LOOKUP_FOUND) {
        opening_start(&choosing->context, exchange, choosing->route, &choosing->request, target);
    } else if (result == MAP_LOOKUP_FAILED) {
        no_memory(exchange);
    } else {
        log_info(loop_log(choosing->context.loop), exchange_name(exchange),
                 "route %s: refused: no token, or an unknown one", choosing->route->name);
        exchange_close_after(exchange); /* what it sent ahead are frames, not requests */
        exchange_set_reason(exchange, METRICS_REFUSED_TOKEN);
        exchange_error(exchange, 404, ROUTE_NO_CACHE, "no such target");
    }
    release(choosing);
}

int
choosing_token(const struct exchange *exchange, char token[CONF_MAP_FILE_TOKEN_MAX + 1])
{
    char value[HTTP1_TARGET_MAX + 1];
    int found = http1_query_get(exchange_request(exchange)->query, "token", value, sizeof value);

    token[0] = '\0'; /* nobody has this one */
    if (found > 0 && strlen(value) <= CONF_MAP_FILE_TOKEN_MAX)
        strcpy(token, value);
    return found < 0 ? -1 : 0;
}

static struct choosing *
make(const struct route_context *context, struct exchange *exchange, const struct conf_route *route,
     const struct opening_request *request)
{
    static const struct exchange_events events = {.gone = on_client_gone};
    struct choosing *choosing = calloc(1, sizeof *choosing);

    if (choosing == NULL)
        return NULL;
    choosing->exchange_owner.events = &events;
    choosing->lookup_owner.call = on_found;
    choosing->exchange = exchange;
    choosing->route = route;
    choosing->request = *request;
    choosing->context = *context;
    snapshot_ref(context->snapshot);
    return choosing;
}

void
opening_choose(const struct route_context *context, struct exchange *exchange,
               const struct conf_route *route, const struct opening_request *request)
{
    if (route->target.kind == CONF_TARGET_MAP)
        choosing_start(context, exchange, route, request);
    else
        opening_start(context, exchange, route, request, NULL);
}

void
choosing_start(const struct route_context *context, struct exchange *exchange,
               const struct conf_route *route, const struct opening_request *request)
{
    size_t index = (size_t)(route - context->snapshot->conf->routes);
    struct map_lookup_options options = {context->loop, context->main_loop, request->token};
    struct choosing *choosing = make(context, exchange, route, request);

    if (choosing != NULL)
        choosing->lookup =
            map_lookup_start(context->snapshot->maps[index], &options, &choosing->lookup_owner);
    if (choosing == NULL || choosing->lookup == NULL) {
        no_memory(exchange);
        if (choosing != NULL)
            release(choosing);
        return;
    }
    exchange_set_owner(exchange, &choosing->exchange_owner);
    exchange_expect_talk(exchange, true);
}
