/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/topic_route.h"

#include <stdlib.h>
#include <string.h>

#include "base/topic_filter.h"
#include "bridge/conversation.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "bridge/topic_client.h"
#include "bridge/use.h"
#include "client/http.h"
#include "conf/conf.h"
#include "proto/http1.h"
#include "proto/ws_handshake.h"
#include "topic/backlog.h"
#include "topic/buses.h"
#include "topic/levels.h"
#include "topic/poll.h"
#include "topic/post.h"
#include "topic/request.h"
#include "topic/rules.h"
#include "topic/subscriber.h"

#define ALLOW_GET  "Allow: GET, OPTIONS\r\n" ROUTE_NO_CACHE
#define ALLOW_POST "Allow: GET, POST, OPTIONS\r\n" ROUTE_NO_CACHE
#define JSON       "Content-Type: application/json\r\n" ROUTE_NO_CACHE

/* What the query asks for. */
struct ask {
    unsigned n_filters;
    struct span filters[BACKLOG_FILTERS];
    bool has_since;
    char since[HTTP1_TARGET_MAX + 1];
    char bytes[HTTP1_TARGET_MAX + 1]; /* of the filters */
};

static void
refuse(struct exchange *exchange, int status, const char *why)
{
    exchange_close_after(exchange); /* what it sent ahead may be frames, not requests */
    exchange_error(exchange, status, ROUTE_NO_CACHE, why);
}

const char *
topic_route_allow(const struct conf_route *route)
{
    return route->publish[0] != NULL ? ALLOW_POST : ALLOW_GET;
}

/* ---- what is asked for ---- */

/* Returns NULL, or what is wrong. */
static const char *
read_filters(struct span query, struct ask *ask)
{
    char *at = ask->bytes, *end = ask->bytes + sizeof ask->bytes;
    unsigned levels = 0;
    int found;

    ask->n_filters = 0;
    while ((found = http1_query_next(&query, "topic", at, (size_t)(end - at))) > 0) {
        size_t len = strlen(at);

        if (ask->n_filters == BACKLOG_FILTERS)
            return "too many topics in the query";
        if (!topic_filter_is_valid(at, len) || !topic_levels_ok(at, len))
            return "topic is no MQTT topic filter of at most 128 levels";
        levels += topic_levels_count(at, len);
        if (levels > TOPIC_LEVELS_CLIENT)
            return "too many levels in all topics together";
        ask->filters[ask->n_filters++] = (struct span){at, len};
        at += len;
    }
    return found < 0 ? "topic cannot be read" : NULL;
}

/* Without any, all that the route lets clients subscribe to. */
static void
default_filters(const struct conf_route *route, struct ask *ask)
{
    for (char *const *at = route->subscribe; *at != NULL && ask->n_filters < BACKLOG_FILTERS; at++)
        ask->filters[ask->n_filters++] = (struct span){*at, strlen(*at)};
}

/* Last-Event-ID is what a browser's EventSource says for itself: one that is no cursor is that of an
 * earlier start. */
static const char *
read_since(const struct exchange *exchange, bool event_id, struct ask *ask)
{
    const struct http1_request *request = exchange_request(exchange);
    unsigned count = 0;
    struct span id = event_id ? http1_header(request, "Last-Event-ID", &count) : (struct span){0};

    ask->has_since = http1_query_get(request->query, "since", ask->since, sizeof ask->since) > 0;
    if (ask->has_since && !topic_since_is_valid(ask->since, strlen(ask->since)))
        return "since is no cursor of this server";
    if (count == 0 || id.len == 0)
        return NULL;
    ask->has_since = true;
    if (!topic_since_is_valid(id.at, id.len))
        id = (struct span){"-", 1};
    memcpy(ask->since, id.at, id.len);
    ask->since[id.len] = '\0';
    return NULL;
}

/* Whether it can be read and is allowed; answered if not. */
static bool
read_ask(struct exchange *exchange, const struct conf_route *route, bool event_id, struct ask *ask)
{
    const char *why = read_filters(exchange_request(exchange)->query, ask);

    if (why == NULL)
        why = read_since(exchange, event_id, ask);
    if (why != NULL) {
        refuse(exchange, 400, why);
        return false;
    }
    if (ask->n_filters == 0)
        default_filters(route, ask);
    if (ask->n_filters == 0)
        why = "this route lets nobody subscribe";
    for (unsigned i = 0; i < ask->n_filters && why == NULL; i++)
        why = rules_subscribe(route, ask->filters[i]);
    if (why == NULL)
        return true;
    exchange_set_reason(exchange, METRICS_REFUSED_FORBIDDEN);
    refuse(exchange, 403, why);
    return false;
}

/* ---- answers ---- */

static void
no_memory(struct exchange *exchange)
{
    exchange_set_reason(exchange, METRICS_REFUSED_MEMORY);
    exchange_close_after(exchange);
    exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE,
                   "out of memory or descriptors");
}

static struct topic_client *
admit(const struct route_context *context, struct exchange *exchange,
      const struct conf_route *route, enum topic_client_kind kind)
{
    struct topic_client *client = topic_client_new(context, exchange, route, kind);

    if (client == NULL) {
        no_memory(exchange);
        return NULL;
    }
    if (kind == TOPIC_CLIENT_POST ||
        conversation_enter(context->limits, client->snapshot->conf, route, exchange, &client->pass))
        return client;
    topic_client_discard(client);
    return NULL;
}

static void
subscribe(const struct route_context *context, struct exchange *exchange,
          const struct conf_route *route, struct hub *hub, struct subscriber_options *options,
          const struct ask *ask)
{
    bool sse = options->handshake == NULL;
    struct topic_client *client =
        admit(context, exchange, route, sse ? TOPIC_CLIENT_SSE : TOPIC_CLIENT_WEBSOCKET);

    if (client == NULL)
        return;
    options->exchange = exchange;
    options->hub = hub;
    options->route = route;
    options->lingers = context->lingers;
    options->metrics = client->metrics;
    options->owner = &client->subscriber_owner;
    options->filters = ask->filters;
    options->n_filters = ask->n_filters;
    options->since = ask->has_since ? ask->since : NULL;
    client->subscriber = sse ? subscriber_sse_open(options) : subscriber_websocket_open(options);
    if (client->subscriber != NULL)
        return;
    topic_client_discard(client);
    no_memory(exchange);
}

static void
open_websocket(const struct route_context *context, struct exchange *exchange,
               const struct conf_route *route, struct hub *hub)
{
    struct ws_handshake handshake;
    struct subscriber_options options = {.handshake = &handshake, .digest = context->digest};
    struct ask ask;

    if ((route->transports & CONF_TRANSPORT_WEBSOCKET) == 0)
        refuse(exchange, 406, "this route is not served over WebSocket");
    else if (ws_handshake(exchange_request(exchange), (const char *const *)route->subprotocols,
                          route->subprotocols_required, &handshake) != 0)
        route_refuse_handshake(exchange, &handshake.error);
    else if (read_ask(exchange, route, false, &ask))
        subscribe(context, exchange, route, hub, &options, &ask);
}

static void
open_sse(const struct route_context *context, struct exchange *exchange,
         const struct conf_route *route, struct hub *hub)
{
    struct subscriber_options options = {.headers = ROUTE_NO_CACHE};
    struct ask ask;

    if (read_ask(exchange, route, true, &ask))
        subscribe(context, exchange, route, hub, &options, &ask);
}

static void
open_poll(const struct route_context *context, struct exchange *exchange,
          const struct conf_route *route, struct hub *hub)
{
    struct topic_client *client;
    struct poll_options options;
    struct poll *poll;
    struct ask ask;

    if (!read_ask(exchange, route, false, &ask) ||
        (client = admit(context, exchange, route, TOPIC_CLIENT_POLL)) == NULL)
        return;
    options = (struct poll_options){
        .exchange = exchange,
        .hub = hub,
        .route = route,
        .metrics = client->metrics,
        .headers = JSON,
        .refusal = ROUTE_NO_CACHE,
        .owner = &client->poll_owner,
        .filters = ask.filters,
        .n_filters = ask.n_filters,
        .since = ask.has_since ? ask.since : NULL,
    };
    poll = poll_open(&options);
    if (poll != NULL)
        client->poll = poll; /* else the client is gone already */
}

/* Returns what is wrong; NULL: nothing. */
static const char *
read_topic(struct span query, char *topic, size_t size, bool *retain)
{
    char value[8];
    int found = http1_query_get(query, "topic", topic, size);

    if (found <= 0)
        return found == 0 ? "topic is missing: where to publish" : "topic may be given once";
    if (!topic_name_is_valid(topic, strlen(topic)) || !topic_levels_ok(topic, strlen(topic)))
        return "topic is no MQTT topic name of at most 128 levels";
    found = http1_query_get(query, "retain", value, sizeof value);
    *retain = found > 0 && strcmp(value, "1") == 0;
    if (found < 0 || (found > 0 && !*retain && strcmp(value, "0") != 0))
        return "retain is 1 or 0";
    return NULL;
}

static void
post(const struct route_context *context, struct exchange *exchange, const struct conf_route *route,
     struct hub *hub)
{
    char topic[HTTP1_TARGET_MAX + 1];
    struct topic_client *client;
    struct post_options options = {.exchange = exchange,
                                   .hub = hub,
                                   .route = route,
                                   .headers = JSON,
                                   .refusal = ROUTE_NO_CACHE};
    const char *why =
        read_topic(exchange_request(exchange)->query, topic, sizeof topic, &options.retain);

    options.topic = (struct span){topic, strlen(topic)};
    if (why == NULL && options.retain && !route->retain)
        why = "this route keeps no retained values";
    if (why != NULL) {
        refuse(exchange, 400, why);
        return;
    }
    why = rules_publish(route, hub, options.topic, 0, false);
    if (why != NULL) {
        exchange_set_reason(exchange, METRICS_REFUSED_FORBIDDEN);
        refuse(exchange, 403, why);
        return;
    }
    if (exchange_request(exchange)->content_length > route->message_max) {
        refuse(exchange, 413, "the payload is over message_max"); /* before it is asked for */
        return;
    }
    client = admit(context, exchange, route, TOPIC_CLIENT_POST);
    if (client == NULL)
        return;
    options.metrics = client->metrics;
    options.owner = &client->post_owner;
    post_start(&options);
}

static void
tell_methods(struct exchange *exchange, const struct conf_route *route)
{
    exchange_begin(exchange, 204, topic_route_allow(route), 0);
    exchange_end(exchange);
}

static void
name_nothing(struct exchange *exchange, const struct conf_route *route)
{
    if ((route->transports & CONF_TRANSPORT_WEBSOCKET) != 0)
        exchange_error(exchange, 426, "Upgrade: websocket\r\n" ROUTE_NO_CACHE,
                       "this is a route of topics: ask for a WebSocket, or for text/event-stream "
                       "or application/json in Accept");
    else
        exchange_error(exchange, 406, ROUTE_NO_CACHE,
                       "Accept must name text/event-stream or application/json");
}

void
topic_route(const struct route_context *context, struct exchange *exchange,
            const struct conf_route *route)
{
    const struct use_rule rule = {.transports = route->transports,
                                  .poll_type = "application/json",
                                  .posts = route->publish[0] != NULL};
    struct hub *hub = hubs_find(context->hubs, route->target.bus);

    if (hub == NULL) {
        no_memory(exchange);
        return;
    }
    switch (use_of(exchange, &rule)) {
    case USE_WEBSOCKET:
        open_websocket(context, exchange, route, hub);
        return;
    case USE_BAD_UPGRADE:
        exchange_set_reason(exchange, METRICS_REFUSED_UPGRADE);
        exchange_error(exchange, 400, ROUTE_NO_CACHE, "the only upgrade is to websocket");
        return;
    case USE_OPTIONS:
        tell_methods(exchange, route);
        return;
    case USE_POST:
        post(context, exchange, route, hub);
        return;
    case USE_SSE:
        open_sse(context, exchange, route, hub);
        return;
    case USE_POLL:
        open_poll(context, exchange, route, hub);
        return;
    case USE_DELETE:
    case USE_OTHER_METHOD:
        exchange_error(exchange, 405, topic_route_allow(route),
                       route->publish[0] != NULL ? "use GET or POST" : "use GET");
        return;
    case USE_OTHER_TRANSPORT:
        exchange_error(exchange, 406, ROUTE_NO_CACHE, "this route is not served so");
        return;
    case USE_NOTHING:
        name_nothing(exchange, route);
        return;
    }
}
