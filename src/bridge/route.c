/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/route.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bridge/choosing.h"
#include "bridge/cors.h"
#include "bridge/opening.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "guard/networks.h"
#include "guard/origin.h"
#include "proto/forwarded.h"
#include "proto/http1.h"
#include "proto/ws_handshake.h"
#include "target/files.h"

#define ALLOW_FILES  "Allow: GET, HEAD, OPTIONS\r\n"
#define ALLOW_STREAM "Allow: GET, OPTIONS\r\n"

/* What a request wants of a stream route (PROTOCOL.md section 1). */
enum use {
    USE_WEBSOCKET,
    USE_BAD_UPGRADE,
    USE_OPTIONS,
    USE_OTHER_METHOD,
    USE_OTHER_TRANSPORT, /* names one that is not offered */
    USE_NOTHING,
};

static enum use
use_of(const struct exchange *exchange)
{
    switch (ws_upgrade(exchange_request(exchange))) {
    case WS_UPGRADE_WEBSOCKET:
        return USE_WEBSOCKET;
    case WS_UPGRADE_OTHER:
        return USE_BAD_UPGRADE;
    case WS_UPGRADE_NONE:
        break;
    }
    if (exchange_request(exchange)->method == HTTP1_OPTIONS)
        return USE_OPTIONS;
    if (exchange_request(exchange)->method != HTTP1_GET)
        return USE_OTHER_METHOD;
    if (exchange_accepts(exchange, "text/event-stream") ||
        exchange_accepts(exchange, "application/vnd.culvert.v1"))
        return USE_OTHER_TRANSPORT;
    return USE_NOTHING;
}

static void
open_websocket(const struct route_context *context, struct exchange *exchange,
               const struct conf_route *route)
{
    struct ws_handshake handshake;

    if (ws_handshake(exchange_request(exchange), (const char *const *)route->subprotocols,
                     route->subprotocols_required, &handshake) == 0) {
        if (route->target.kind == CONF_TARGET_MAP)
            choosing_start(context, exchange, route, &handshake);
        else
            opening_start(context, exchange, route, &handshake, NULL);
        return;
    }
    exchange_set_reason(exchange, METRICS_REFUSED_UPGRADE);
    exchange_error(exchange, handshake.error.status,
                   handshake.error.status == 426
                       ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" ROUTE_NO_CACHE
                       : ROUTE_NO_CACHE,
                   handshake.error.why);
}

/* The keys of which PROTOCOL.md section 1 takes one: with two, readers could each take another. */
static bool
has_doubled_key(struct span query)
{
    static const char *const keys[] = {"session", "ack", "n", "since"};
    char value[HTTP1_TARGET_MAX + 1];
    unsigned i;

    if (query.len == 0)
        return false;
    for (i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (http1_query_get(query, keys[i], value, sizeof value) < 0)
            return true;
    return false;
}

/* Whether the query can be read in one way only; answered if not. */
static bool
passes_query(struct exchange *exchange, const char *headers)
{
    struct span query = exchange_request(exchange)->query;
    const char *why = NULL;

    if (!http1_query_valid(query))
        why = "the query is malformed: bad escape, NUL or not UTF-8";
    else if (has_doubled_key(query))
        why = "a key of the query that may come once comes twice";
    if (why != NULL)
        exchange_error(exchange, 400, headers, why);
    return why == NULL;
}

static bool
is_trusted(const struct route_context *context, const struct exchange *exchange)
{
    return networks_contain(context->snapshot->trusted,
                            (const struct sockaddr *)&exchange_peer(exchange)->storage);
}

/* The host that the client has asked for, which a proxy may have replaced by another. Returns -1 if
 * the proxy tells nonsense. */
static int
asked_host(const struct route_context *context, const struct exchange *exchange, struct span *host)
{
    const struct http1_request *request = exchange_request(exchange);
    struct span told;
    int found;

    *host = request->host;
    if (!is_trusted(context, exchange))
        return 0;
    found = forwarded_host(request, &told);
    if (found > 0)
        *host = told;
    return found < 0 ? -1 : 0;
}

/* Returns -1 if it cannot be told. A page that may use the route may read its answer. */
static int
judge_origin(const struct route_context *context, struct exchange *exchange,
             const struct conf_route *route, enum origin_result *result)
{
    const struct origin_policy *policy =
        &context->snapshot->origins[route - context->snapshot->conf->routes];
    struct span host;

    if (asked_host(context, exchange, &host) != 0)
        return -1;
    *result = origin_check(policy, exchange_request(exchange), host);
    if (*result == ORIGIN_ALLOWED)
        cors_allow(exchange, policy);
    return 0;
}

/* Whether the page that asks may use the route; answered if not. */
static bool
passes_origin(const struct route_context *context, struct exchange *exchange,
              const struct conf_route *route)
{
    enum origin_result result;

    if (judge_origin(context, exchange, route, &result) != 0) {
        exchange_error(exchange, 400, ROUTE_NO_CACHE, "X-Forwarded-Host is malformed");
        return false;
    }
    if (origin_passes(result))
        return true;
    log_info(loop_log(context->loop), exchange_name(exchange), "route %s: refused: %s", route->name,
             origin_reason(result));
    exchange_set_reason(exchange, METRICS_REFUSED_ORIGIN);
    exchange_error(exchange, 403, ROUTE_NO_CACHE, origin_reason(result));
    return false;
}

static void
tell_methods(struct exchange *exchange, const char *headers)
{
    exchange_begin(exchange, 204, headers, 0);
    exchange_end(exchange);
}

static void
stream_route(const struct route_context *context, struct exchange *exchange,
             const struct conf_route *route)
{
    if (!passes_origin(context, exchange, route) || !passes_query(exchange, ROUTE_NO_CACHE))
        return;
    switch (use_of(exchange)) {
    case USE_WEBSOCKET:
        open_websocket(context, exchange, route);
        return;
    case USE_BAD_UPGRADE:
        exchange_set_reason(exchange, METRICS_REFUSED_UPGRADE);
        exchange_error(exchange, 400, ROUTE_NO_CACHE, "the only upgrade is to websocket");
        return;
    case USE_OPTIONS:
        tell_methods(exchange,
                     route->web != NULL ? ALLOW_FILES ROUTE_NO_CACHE : ALLOW_STREAM ROUTE_NO_CACHE);
        return;
    case USE_OTHER_METHOD:
        exchange_error(exchange, 405, ALLOW_STREAM ROUTE_NO_CACHE, "use GET");
        return;
    case USE_OTHER_TRANSPORT:
        exchange_error(exchange, 406, ROUTE_NO_CACHE, "this route is served over WebSocket only");
        return;
    case USE_NOTHING:
        break;
    }
    exchange_error(exchange, 426, "Upgrade: websocket\r\n" ROUTE_NO_CACHE,
                   "this is a WebSocket route");
}

/* The path below the route; it begins with '/'. */
static const char *
path_below(const struct conf_route *route, const char *path)
{
    if (route->prefix)
        return path + route->path_len - 1;
    /* An exact route names one file: the path's last segment. */
    return strrchr(path, '/');
}

/* Whether it is for the files beside a stream route. */
static bool
is_for_web(const struct conf_route *route, const struct http1_request *request)
{
    return route->web != NULL && request->method != HTTP1_OPTIONS &&
           ws_upgrade(request) == WS_UPGRADE_NONE;
}

static void
serve(const struct route_context *context, struct exchange *exchange,
      const struct conf_route *route, const char *path)
{
    const struct http1_request *request = exchange_request(exchange);

    exchange_set_route(exchange, context->snapshot->conf, route);
    exchange_set_metrics(exchange, snapshot_metrics(context->snapshot, route, context->loop));
    if (route->target.kind == CONF_TARGET_FILES) {
        if (!passes_query(exchange, ""))
            return;
        if (ws_upgrade(request) != WS_UPGRADE_NONE)
            exchange_error(exchange, 400, "", "this route serves files and no WebSocket");
        else if (request->method == HTTP1_OPTIONS)
            tell_methods(exchange, ALLOW_FILES);
        else
            files_serve(exchange, route->target.path, path_below(route, path));
        return;
    }
    if (is_for_web(route, request)) {
        if (passes_query(exchange, ""))
            files_serve(exchange, route->web, path_below(route, path));
        return;
    }
    stream_route(context, exchange, route);
}

/* Who is behind the proxies that are trusted, as they have said. */
static void
find_client(const struct route_context *context, struct exchange *exchange)
{
    const struct addr *peer = exchange_peer(exchange);
    struct addr client = {.len = 0};

    if (!is_trusted(context, exchange) ||
        forwarded_client(exchange_request(exchange), &peer->storage, context->snapshot->trusted,
                         networks_contain, &client.storage) == FORWARDED_PEER)
        return;
    client.len = client.storage.ss_family == AF_INET6  ? sizeof(struct sockaddr_in6)
                 : client.storage.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : peer->len;
    exchange_set_client(exchange, &client);
}

/* path: decoded. */
static const struct conf_route *
find_route(const struct route_context *context, const struct http1_request *request,
           const char *path)
{
    char host[HTTP1_HOST_NAME];

    http1_host_name(request->host, host);
    return conf_find_route(context->snapshot->conf, host[0] != '\0' ? host : NULL, path);
}

void
route_request(const struct route_context *context, struct exchange *exchange)
{
    const struct http1_request *request = exchange_request(exchange);
    const struct conf_route *route;
    char path[HTTP1_TARGET_MAX + 1];

    find_client(context, exchange);
    if (request->method == HTTP1_OPTIONS && span_is(request->target, "*")) {
        tell_methods(exchange, ALLOW_FILES);
        return;
    }
    if (http1_path_decode(request->path, path) < 0) {
        exchange_error(exchange, 400, "", "the path is malformed or ambiguous");
        return;
    }
    route = find_route(context, request, path);
    if (route == NULL) {
        exchange_error(exchange, 404, "", "no such route");
        return;
    }
    serve(context, exchange, route, path);
}

void
route_refuse(const struct route_context *context, struct exchange *exchange)
{
    const struct http1_request *request = exchange_request(exchange);
    const struct conf_route *route = NULL;
    enum origin_result ignored;
    char path[HTTP1_TARGET_MAX + 1];

    find_client(context, exchange);
    if (http1_path_decode(request->path, path) >= 0)
        route = find_route(context, request, path);
    if (route != NULL && route->target.kind != CONF_TARGET_FILES && !is_for_web(route, request))
        (void)judge_origin(context, exchange, route, &ignored);
    exchange_set_reason(exchange, METRICS_REFUSED_DRAINING);
    exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "culvert is stopping");
}
