/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/route.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bridge/choosing.h"
#include "bridge/cors.h"
#include "bridge/opening.h"
#include "bridge/session_route.h"
#include "bridge/snapshot.h"
#include "bridge/topic_route.h"
#include "bridge/use.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "guard/networks.h"
#include "guard/origin.h"
#include "proto/forwarded.h"
#include "proto/http1.h"
#include "proto/session_frame.h"
#include "proto/ws_handshake.h"
#include "target/files.h"

#define ALLOW_FILES       "Allow: GET, HEAD, OPTIONS\r\n"
#define ALLOW_STREAM      "Allow: GET, OPTIONS\r\n"
#define ALLOW_POSTS       "Allow: GET, POST, DELETE, OPTIONS\r\n"
#define ALLOW_POSTS_FILES "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"

/* Those that the route's clients may use. */
static unsigned
transports_of(const struct conf_route *route)
{
    return route->resume_window > 0 ? route->transports
                                    : route->transports & CONF_TRANSPORT_WEBSOCKET;
}

static bool
takes_posts(const struct conf_route *route)
{
    return (transports_of(route) & (CONF_TRANSPORT_SSE | CONF_TRANSPORT_LONGPOLL)) != 0;
}

static const char *
allow_line(const struct conf_route *route)
{
    if (route->web != NULL)
        return takes_posts(route) ? ALLOW_POSTS_FILES ROUTE_NO_CACHE : ALLOW_FILES ROUTE_NO_CACHE;
    return takes_posts(route) ? ALLOW_POSTS ROUTE_NO_CACHE : ALLOW_STREAM ROUTE_NO_CACHE;
}

static enum use
use_of_stream(const struct exchange *exchange, const struct conf_route *route)
{
    const struct use_rule rule = {.transports = transports_of(route),
                                  .poll_type = SESSION_MEDIA_TYPE,
                                  .posts = takes_posts(route),
                                  .deletes = takes_posts(route)};

    return use_of(exchange, &rule);
}

void
route_refuse_handshake(struct exchange *exchange, const struct http1_error *error)
{
    exchange_set_reason(exchange, METRICS_REFUSED_UPGRADE);
    exchange_error(exchange, error->status,
                   error->status == 426
                       ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" ROUTE_NO_CACHE
                       : ROUTE_NO_CACHE,
                   error->why);
}

/* Whether a WebSocket is to carry a session. */
static bool
is_for_session(const struct exchange *exchange, const struct conf_route *route)
{
    char value[HTTP1_TARGET_MAX + 1];
    const struct http1_request *request = exchange_request(exchange);
    unsigned count;

    if (route->resume_window == 0)
        return false;
    (void)http1_header(request, "Culvert-Session", &count);
    return count > 0 || ws_offers(request, SESSION_SUBPROTOCOL) ||
           http1_query_get(request->query, "session", value, sizeof value) != 0;
}

static void
open_websocket(const struct route_context *context, struct exchange *exchange,
               const struct conf_route *route)
{
    struct opening_request request;

    if ((route->transports & CONF_TRANSPORT_WEBSOCKET) == 0) {
        exchange_error(exchange, 406, ROUTE_NO_CACHE, "this route is not served over WebSocket");
        return;
    }
    if (is_for_session(exchange, route)) {
        session_route(context, exchange, route, SESSION_USE_WEBSOCKET);
        return;
    }
    request.kind = OPENING_WEBSOCKET;
    request.origin[0] = request.token[0] = '\0';
    if (ws_handshake(exchange_request(exchange), (const char *const *)route->subprotocols,
                     route->subprotocols_required, &request.handshake) != 0)
        route_refuse_handshake(exchange, &request.handshake.error);
    else if (route->target.kind == CONF_TARGET_MAP && choosing_token(exchange, request.token) != 0)
        exchange_error(exchange, 400, ROUTE_NO_CACHE, "token may be given once");
    else
        opening_choose(context, exchange, route, &request);
}

/* The keys of which PROTOCOL.md section 1 takes one: with two, readers could each take another. */
static bool
has_doubled_key(struct span query)
{
    static const char *const keys[] = {"session", "ack", "n", "since", NULL};

    return query.len > 0 && memchr(query.at, '&', query.len) != NULL &&
           http1_query_doubles(query, keys);
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
    switch (use_of_stream(exchange, route)) {
    case USE_WEBSOCKET:
        open_websocket(context, exchange, route);
        return;
    case USE_BAD_UPGRADE:
        exchange_set_reason(exchange, METRICS_REFUSED_UPGRADE);
        exchange_error(exchange, 400, ROUTE_NO_CACHE, "the only upgrade is to websocket");
        return;
    case USE_OPTIONS:
        tell_methods(exchange, allow_line(route));
        return;
    case USE_POST:
        session_route(context, exchange, route, SESSION_USE_POST);
        return;
    case USE_DELETE:
        session_route(context, exchange, route, SESSION_USE_DELETE);
        return;
    case USE_SSE:
        session_route(context, exchange, route, SESSION_USE_SSE);
        return;
    case USE_POLL:
        session_route(context, exchange, route, SESSION_USE_POLL);
        return;
    case USE_OTHER_METHOD:
        exchange_error(exchange, 405, allow_line(route),
                       takes_posts(route) ? "use GET, POST or DELETE" : "use GET");
        return;
    case USE_OTHER_TRANSPORT:
        exchange_error(exchange, 406, ROUTE_NO_CACHE, "this route is not served so");
        return;
    case USE_NOTHING:
        break;
    }
    if ((route->transports & CONF_TRANSPORT_WEBSOCKET) == 0) {
        exchange_error(exchange, 406, ROUTE_NO_CACHE,
                       "Accept must name text/event-stream or " SESSION_MEDIA_TYPE);
        return;
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

/* Whether it is for the files beside a stream route: what is for its sessions says so. */
static bool
is_for_web(const struct conf_route *route, const struct exchange *exchange)
{
    if (route->web == NULL)
        return false;
    switch (use_of_stream(exchange, route)) {
    case USE_OTHER_METHOD:
    case USE_OTHER_TRANSPORT:
    case USE_NOTHING:
        return true;
    default:
        return false;
    }
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
    if (route->target.kind == CONF_TARGET_TOPICS) {
        if (passes_origin(context, exchange, route) && passes_query(exchange, ROUTE_NO_CACHE))
            topic_route(context, exchange, route);
        return;
    }
    if (is_for_web(route, exchange)) {
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
        /* The route of a session may have gone since it began. */
        if (session_route_is_known(context, exchange))
            exchange_error(exchange, 410, "", "no such session");
        else
            exchange_error(exchange, 404, "", "no such route");
        return;
    }
    serve(context, exchange, route, path);
}

void
route_refuse(const struct route_context *context, struct exchange *exchange, bool serve_known)
{
    const struct http1_request *request = exchange_request(exchange);
    const struct conf_route *route = NULL;
    enum origin_result ignored;
    char path[HTTP1_TARGET_MAX + 1];

    find_client(context, exchange);
    if (http1_path_decode(request->path, path) >= 0)
        route = find_route(context, request, path);
    if (route != NULL && serve_known && session_route_is_known(context, exchange)) {
        serve(context, exchange, route, path);
        return;
    }
    if (route != NULL && route->target.kind != CONF_TARGET_FILES && !is_for_web(route, exchange))
        (void)judge_origin(context, exchange, route, &ignored);
    exchange_set_reason(exchange, METRICS_REFUSED_DRAINING);
    exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "culvert is stopping");
}
