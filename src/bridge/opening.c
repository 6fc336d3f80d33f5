/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/opening.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "bridge/endpoint.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "client/websocket.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "proto/ws_handshake.h"
#include "target/target.h"

struct opening {
    struct exchange_owner exchange_owner;
    struct target_owner target_owner;
    struct exchange *exchange;
    struct target_opening *target;
    struct snapshot *snapshot;
    const struct conf_route *route;
    struct conf_target *chosen; /* ours to free; NULL: the route's own target */
    struct ws_handshake handshake;
    struct route_context context; /* its snapshot is ours */
    struct loop_deferred free_later;
};

static void
free_opening(struct loop_deferred *deferred)
{
    struct opening *opening = container_of(deferred, struct opening, free_later);

    snapshot_unref(opening->snapshot);
    free(opening->chosen);
    free(opening);
}

static const struct conf_target *
target_of(const struct opening *opening)
{
    return opening->chosen != NULL ? opening->chosen : &opening->route->target;
}

static void
release(struct opening *opening)
{
    loop_defer(opening->context.loop, &opening->free_later, free_opening);
}

static void
on_client_gone(struct exchange_owner *owner)
{
    struct opening *opening = container_of(owner, struct opening, exchange_owner);

    target_cancel(opening->target);
    release(opening);
}

/* Both sides are there. */
static void
join(struct opening *opening, struct endpoint *target)
{
    char name[32];
    char peer[ADDR_TEXT];
    struct websocket_options client = {
        .exchange = opening->exchange,
        .handshake = &opening->handshake,
        .route = opening->route,
        .lingers = opening->context.lingers,
    };
    struct bridge_options bridge = {
        .loop = opening->context.loop,
        .set = opening->context.bridges,
        .snapshot = opening->snapshot,
        .route = opening->route,
        .target = target,
        .target_name = target_of(opening)->text,
        .name = name,
        .peer = peer,
        .transport = "websocket",
    };

    snprintf(name, sizeof name, "%s", exchange_name(opening->exchange));
    addr_text(exchange_peer(opening->exchange), peer);
    bridge.client = websocket_open(&client);
    if (bridge.client == NULL) {
        target->ops->close(target);
        exchange_error(opening->exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE,
                       "out of memory");
        return;
    }
    if (bridge_start(&bridge) != 0) {
        target->ops->close(target);
        bridge.client->ops->close(bridge.client);
    }
}

static void
on_target(struct target_owner *owner, enum dial_result result, struct endpoint *endpoint,
          const char *why)
{
    struct opening *opening = container_of(owner, struct opening, target_owner);
    struct log *log = loop_log(opening->context.loop);

    opening->target = NULL;
    if (result == DIAL_OK && exchange_is_draining(opening->exchange)) {
        endpoint->ops->close(endpoint);
        exchange_error(opening->exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE,
                       "culvert is stopping");
    } else if (result == DIAL_OK) {
        join(opening, endpoint);
    } else {
        log_warn(log, exchange_name(opening->exchange), "route %s: target %s: %s",
                 opening->route->name, target_of(opening)->text, why);
        exchange_close_after(opening->exchange); /* what it sent ahead are frames, not requests */
        /* The client is not told more: names and addresses behind us are no business of its. */
        if (result == DIAL_TIMEOUT)
            exchange_error(opening->exchange, 504, ROUTE_NO_CACHE,
                           "the target did not answer in time");
        else
            exchange_error(opening->exchange, 502, ROUTE_NO_CACHE, "the target cannot be reached");
    }
    release(opening);
}

static struct opening *
make(const struct route_context *context, struct exchange *exchange, const struct conf_route *route,
     const struct ws_handshake *handshake)
{
    static const struct exchange_events events = {NULL, on_client_gone};
    struct opening *opening = calloc(1, sizeof *opening);

    if (opening == NULL)
        return NULL;
    opening->exchange_owner.events = &events;
    opening->target_owner.call = on_target;
    opening->exchange = exchange;
    opening->route = route;
    opening->handshake = *handshake;
    opening->context = *context;
    opening->snapshot = snapshot_ref(context->snapshot);
    return opening;
}

void
opening_start(const struct route_context *context, struct exchange *exchange,
              const struct conf_route *route, const struct ws_handshake *handshake,
              struct conf_target *chosen)
{
    struct opening *opening = make(context, exchange, route, handshake);
    struct target_options target = {
        .loop = context->loop,
        .resolver = context->resolver,
        .target = chosen != NULL ? chosen : &route->target,
        .route = route,
        .route_index = (size_t)(route - context->snapshot->conf->routes),
        .tls = context->snapshot->tls,
        .name = exchange_name(exchange),
    };

    if (opening != NULL) {
        opening->chosen = chosen;
        opening->target = target_open(&target, &opening->target_owner);
    } else {
        free(chosen);
    }
    if (opening == NULL || opening->target == NULL) {
        exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE,
                       "out of memory or descriptors");
        if (opening != NULL)
            release(opening);
        return;
    }
    exchange_set_owner(exchange, &opening->exchange_owner);
    exchange_expect_talk(exchange);
}
