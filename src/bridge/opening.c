/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/opening.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "bridge/conversation.h"
#include "bridge/endpoint.h"
#include "bridge/route.h"
#include "bridge/session_start.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "client/session.h"
#include "client/websocket.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "guard/limits.h"
#include "proto/proxy_header.h"
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
    struct metrics_route *metrics;
    double began;
    struct opening_request request;
    struct route_context context; /* its snapshot is ours */
    struct limits_pass pass;
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
    limits_leave(&opening->pass); /* if the bridge has not taken it */
    loop_defer(opening->context.loop, &opening->free_later, free_opening);
}

static void
on_client_gone(struct exchange_owner *owner)
{
    struct opening *opening = container_of(owner, struct opening, exchange_owner);

    target_cancel(opening->target);
    release(opening);
}

static void
no_memory(struct exchange *exchange)
{
    exchange_close_after(exchange); /* what it sent ahead are frames, not requests */
    exchange_set_reason(exchange, METRICS_REFUSED_MEMORY);
    exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE,
                   "out of memory or descriptors");
}

/* Returns NULL without memory, logged. *session: NULL for a plain WebSocket. */
static struct endpoint *
make_client(struct opening *opening, struct session **session)
{
    struct websocket_options client = {
        .exchange = opening->exchange,
        .handshake = &opening->request.handshake,
        .route = opening->route,
        .digest = opening->context.digest,
        .lingers = opening->context.lingers,
        .metrics = opening->metrics,
    };

    *session = NULL;
    if (opening->request.kind == OPENING_WEBSOCKET)
        return websocket_open(&client);
    *session = session_start_new(&opening->context, opening->exchange, opening->route,
                                 opening->metrics, &opening->request);
    return *session != NULL ? session_endpoint(*session) : NULL;
}

static enum metrics_transport
transport_of(const struct opening *opening)
{
    switch (opening->request.kind) {
    case OPENING_SESSION_SSE:
        return METRICS_SSE;
    case OPENING_SESSION:
        return METRICS_LONGPOLL; /* until it attaches otherwise */
    default:
        return METRICS_WEBSOCKET;
    }
}

/* Both sides are there. */
static void
join(struct opening *opening, struct endpoint *target)
{
    struct addr peer = *exchange_client(opening->exchange); /* which its end takes with it */
    struct session *session;
    struct bridge_options bridge = {
        .loop = opening->context.loop,
        .set = opening->context.bridges,
        .snapshot = opening->snapshot,
        .route = opening->route,
        .target = target,
        .target_name = target_of(opening)->text,
        .pass = &opening->pass,
        .number = exchange_number(opening->exchange),
        .peer = &peer,
        .transport = transport_of(opening),
    };

    bridge.client = make_client(opening, &session);
    if (bridge.client == NULL) {
        target->ops->close(target);
        no_memory(opening->exchange);
        return;
    }
    if (bridge_start(&bridge) != 0) {
        target->ops->close(target);
        bridge.client->ops->close(bridge.client);
        if (session != NULL)
            no_memory(opening->exchange);
    } else if (session != NULL && session_start_answer(&opening->context, opening->exchange,
                                                       session, &opening->request) != 0) {
        session_fail(session, 1011, "out of memory");
        no_memory(opening->exchange);
    }
}

static void
on_target(struct target_owner *owner, enum dial_result result, struct endpoint *endpoint,
          const char *why)
{
    struct opening *opening = container_of(owner, struct opening, target_owner);
    struct log *log = loop_log(opening->context.loop);

    opening->target = NULL;
    if (result != DIAL_OK)
        limits_leave(&opening->pass); /* before the client knows, who may try again at once */
    if (result == DIAL_OK)
        metrics_observe(&opening->metrics->connect, loop_clock() - opening->began);
    if (result == DIAL_OK && exchange_is_draining(opening->exchange)) {
        endpoint->ops->close(endpoint);
        exchange_set_reason(opening->exchange, METRICS_REFUSED_DRAINING);
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
     const struct opening_request *request)
{
    static const struct exchange_events events = {.gone = on_client_gone};
    struct opening *opening = calloc(1, sizeof *opening);

    if (opening == NULL)
        return NULL;
    opening->exchange_owner.events = &events;
    opening->target_owner.call = on_target;
    opening->exchange = exchange;
    opening->route = route;
    opening->request = *request;
    opening->context = *context;
    opening->snapshot = snapshot_ref(context->snapshot);
    opening->metrics = snapshot_metrics(opening->snapshot, route, context->loop);
    opening->began = loop_clock(); /* a target on this machine answers within the turn */
    return opening;
}

/* What a PROXY header to the target says. A client that a proxy has told of over a unix socket has no
 * destination that would go with its address: it is the one that stands for none. */
static void
describe_client(const struct exchange *exchange, struct proxy_header *header)
{
    const struct addr *client = exchange_client(exchange);
    struct addr destination;

    exchange_destination(exchange, &destination);
    if (destination.len > 0 && destination.storage.ss_family == AF_UNIX &&
        client->storage.ss_family != AF_UNIX)
        (void)addr_from_ip(&destination, client->storage.ss_family == AF_INET6 ? "::" : "0.0.0.0",
                           0);
    *header = (struct proxy_header){
        .local = destination.len == 0,
        .source = client->storage,
        .source_len = client->len,
        .destination = destination.storage,
        .destination_len = destination.len,
    };
}

/* Returns NULL without memory, logged. */
static struct target_opening *
open_target(struct opening *opening)
{
    const struct conf_route *route = opening->route;
    const struct snapshot *snapshot = opening->snapshot;
    struct proxy_header header;
    struct target_options options = {
        .loop = opening->context.loop,
        .resolver = opening->context.resolver,
        .target = target_of(opening),
        .route = route,
        .route_index = (size_t)(route - snapshot->conf->routes),
        .tls = snapshot->tls,
    };

    if (route->send_proxy != CONF_SEND_PROXY_NO) {
        describe_client(opening->exchange, &header);
        options.proxy_header = &header;
    }
    return target_open(&options, &opening->target_owner);
}

void
opening_start(const struct route_context *context, struct exchange *exchange,
              const struct conf_route *route, const struct opening_request *request,
              struct conf_target *chosen)
{
    struct opening *opening = make(context, exchange, route, request);

    if (opening == NULL) {
        free(chosen);
        no_memory(exchange);
        return;
    }
    opening->chosen = chosen;
    if (!conversation_enter(context->limits, opening->snapshot->conf, route, exchange,
                            &opening->pass)) {
        release(opening);
        return;
    }
    opening->target = open_target(opening);
    if (opening->target == NULL) {
        no_memory(exchange);
        release(opening);
        return;
    }
    exchange_set_owner(exchange, &opening->exchange_owner);
    exchange_expect_talk(exchange, true);
}
