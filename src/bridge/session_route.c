/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session_route.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/choosing.h"
#include "bridge/moving.h"
#include "bridge/opening.h"
#include "bridge/route.h"
#include "bridge/session_ask.h"
#include "bridge/session_post_open.h"
#include "client/carrier_poll.h"
#include "client/carrier_sse.h"
#include "client/carrier_websocket.h"
#include "client/http.h"
#include "client/session.h"
#include "client/session_post.h"
#include "client/sessions.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "proto/http1.h"
#include "proto/session_frame.h"

/* One request, for the length of the call. */
struct asking {
    const struct route_context *context;
    struct exchange *exchange;
    const struct conf_route *route;
    enum session_use use;
    struct session_ask ask;
    struct opening_request request; /* its handshake is that of a WebSocket */
};

static void
refuse(const struct asking *asking, int status, const char *why)
{
    exchange_error(asking->exchange, status, ROUTE_NO_CACHE, why);
}

static void
out_of_memory(const struct asking *asking)
{
    exchange_set_reason(asking->exchange, METRICS_REFUSED_MEMORY);
    exchange_error(asking->exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "out of memory");
}

static struct span
origin_of(const struct asking *asking)
{
    unsigned count;
    struct span origin = http1_header(exchange_request(asking->exchange), "Origin", &count);

    return count > 0 ? origin : (struct span){NULL, 0};
}

/* ---- opening ---- */

static void
open_session(struct asking *asking)
{
    struct opening_request *request = &asking->request;
    struct span origin = origin_of(asking);

    if (origin.at != NULL) {
        memcpy(request->origin, origin.at, origin.len); /* which was found good, and so short */
        request->origin[origin.len] = '\0';
    }
    request->heartbeat = session_ask_heartbeat(&asking->ask, asking->route);
    if (choosing_token(asking->exchange, request->token) != 0) {
        refuse(asking, 400, "token may be given once");
        return;
    }
    if (asking->use == SESSION_USE_POST)
        session_post_open(asking->context, asking->exchange, asking->route, request);
    else
        opening_choose(asking->context, asking->exchange, asking->route, request);
}

static void
open_by_use(struct asking *asking)
{
    switch (asking->use) {
    case SESSION_USE_WEBSOCKET:
        asking->request.kind = OPENING_SESSION_WEBSOCKET;
        open_session(asking);
        break;
    case SESSION_USE_SSE:
        asking->request.kind = OPENING_SESSION_SSE;
        open_session(asking);
        break;
    case SESSION_USE_POST:
        asking->request.kind = OPENING_SESSION;
        open_session(asking);
        break;
    case SESSION_USE_POLL:
    case SESSION_USE_DELETE:
        refuse(asking, 400, "this needs a session: open one by POST");
        break;
    }
}

/* ---- one that is gone ---- */

static struct carrier_websocket_options
websocket_options(struct asking *asking, struct session *session)
{
    return (struct carrier_websocket_options){
        .exchange = asking->exchange,
        .handshake = &asking->request.handshake,
        .digest = asking->context->digest,
        .lingers = asking->context->lingers,
        .route = session != NULL ? session_route_of(session) : asking->route,
        .heartbeat = session_ask_heartbeat(&asking->ask, session != NULL ? session_route_of(session)
                                                                         : asking->route),
        .session = session,
        .attach = &asking->ask.attach,
    };
}

static void
turn_websocket_away(struct asking *asking, uint16_t code, const char *reason)
{
    struct carrier_websocket_options options = websocket_options(asking, NULL);

    if (carrier_websocket_refuse(&options, code, reason) != 0)
        out_of_memory(asking);
}

static void
gone(struct asking *asking)
{
    if (asking->use == SESSION_USE_WEBSOCKET)
        turn_websocket_away(asking, 4404, "no such session");
    else
        refuse(asking, 410, "no such session");
}

/* As a poll or a stream that tells nothing else; 204 stops an EventSource that has all. */
static void
tell_close(struct asking *asking, const struct sessions_end *end)
{
    char event[128];

    if (asking->use == SESSION_USE_POLL) {
        session_post_tell_end(asking->exchange, ROUTE_NO_CACHE, end);
        return;
    }
    if (asking->ask.by_event_id) {
        if (asking->ask.attach.ack == end->last)
            exchange_answer(asking->exchange, 204, ROUTE_NO_CACHE, NULL, 0);
        else
            gone(asking);
        return;
    }
    snprintf(event, sizeof event,
             "retry: 1000\n\nevent: close\ndata: {\"code\":%u,\"reason\":\"\"}\n\n", end->code);
    exchange_answer(asking->exchange, 200, "Content-Type: text/event-stream\r\n" ROUTE_NO_CACHE,
                    event, strlen(event));
}

static void
ended(struct asking *asking, const struct sessions_end *end)
{
    switch (asking->use) {
    case SESSION_USE_WEBSOCKET:
        turn_websocket_away(asking, end->gone ? 4404 : end->code, "");
        break;
    case SESSION_USE_SSE:
    case SESSION_USE_POLL:
        if (end->gone)
            gone(asking);
        else
            tell_close(asking, end);
        break;
    case SESSION_USE_POST:
        session_post_tell_end(asking->exchange, ROUTE_NO_CACHE, end);
        break;
    case SESSION_USE_DELETE:
        exchange_answer(asking->exchange, 204, ROUTE_NO_CACHE, NULL, 0);
        break;
    }
}

/* ---- one that is there ---- */

static void
attached(struct asking *asking, int result)
{
    if (result < 0)
        out_of_memory(asking);
    else if (result == SESSION_STALE)
        refuse(asking, 409, "the session is further than this");
    else if (result == SESSION_UNSENT)
        refuse(asking, 400, "an ACK of a message that was not sent");
}

static void
attach_sse(struct asking *asking, struct session *session)
{
    struct carrier_sse_options options = {
        .exchange = asking->exchange,
        .headers = ROUTE_NO_CACHE,
        .heartbeat = session_ask_heartbeat(&asking->ask, session_route_of(session)),
        .session = session,
        .attach = &asking->ask.attach,
    };

    /* A bare EventSource answers the CLOSE by coming back with the last id; 204 stops it. */
    if (asking->ask.by_event_id && session_is_answered_by(session, &asking->ask.attach)) {
        session_close(session, 1000, "");
        exchange_answer(asking->exchange, 204, ROUTE_NO_CACHE, NULL, 0);
        return;
    }
    attached(asking, carrier_sse_open(&options));
}

static void
attach_poll(struct asking *asking, struct session *session)
{
    struct carrier_poll_options options = {
        .exchange = asking->exchange,
        .headers = ROUTE_NO_CACHE,
        .wait = session_ask_wait(&asking->ask, session_route_of(session)),
        .session = session,
        .attach = &asking->ask.attach,
    };

    attached(asking, carrier_poll_open(&options));
}

static void
post(struct asking *asking, struct session *session)
{
    struct session_post_options options = {asking->exchange, ROUTE_NO_CACHE, session};
    unsigned count;
    struct span type = http1_header(exchange_request(asking->exchange), "Content-Type", &count);

    if (count != 1 || !http1_is_media_type(type, SESSION_MEDIA_TYPE)) {
        refuse(asking, 415, "the body is of type " SESSION_MEDIA_TYPE);
        return;
    }
    session_post_start(&options);
}

static void
serve(struct asking *asking, struct session *session)
{
    struct carrier_websocket_options options;
    char name[LOOP_NAME];

    log_debug(loop_log(asking->context->loop), exchange_name(asking->exchange),
              "route %s: for session %s", asking->route->name, session_name(session, name));
    switch (asking->use) {
    case SESSION_USE_WEBSOCKET:
        options = websocket_options(asking, session);
        if (carrier_websocket_open(&options) != 0)
            out_of_memory(asking);
        break;
    case SESSION_USE_SSE:
        attach_sse(asking, session);
        break;
    case SESSION_USE_POLL:
        attach_poll(asking, session);
        break;
    case SESSION_USE_POST:
        post(asking, session);
        break;
    case SESSION_USE_DELETE:
        session_close(session, 1000, "");
        exchange_answer(asking->exchange, 204, ROUTE_NO_CACHE, NULL, 0);
        break;
    }
}

static void
refuse_other_origin(struct asking *asking)
{
    exchange_set_reason(asking->exchange, METRICS_REFUSED_SESSION);
    refuse(asking, 403, "the session belongs to another origin");
}

static void
find_and_serve(struct asking *asking)
{
    struct session *session = session_find(asking->context->sessions, asking->ask.id);
    struct sessions_end end;

    if (session != NULL && strcmp(session_route_of(session)->name, asking->route->name) == 0) {
        if (session_is_for(session, origin_of(asking)))
            serve(asking, session);
        else
            refuse_other_origin(asking);
    } else if (sessions_find_end(asking->context->sessions, asking->ask.id, asking->route->name,
                                 &end)) {
        ended(asking, &end);
    } else {
        gone(asking);
    }
}

/* ---- all ---- */

/* Returns false if it was answered. */
static bool
shake_hands(struct asking *asking)
{
    struct ws_handshake *handshake = &asking->request.handshake;

    if (ws_handshake(exchange_request(asking->exchange),
                     (const char *const *)asking->route->subprotocols,
                     asking->route->subprotocols_required && !asking->ask.has_id, handshake) != 0) {
        route_refuse_handshake(asking->exchange, &handshake->error);
        return false;
    }
    if (!asking->ask.has_id)
        return true;
    strcpy(handshake->subprotocol, SESSION_SUBPROTOCOL);
    if (ws_offers(exchange_request(asking->exchange), SESSION_SUBPROTOCOL))
        return true;
    refuse(asking, 400, "a session is carried by the subprotocol " SESSION_SUBPROTOCOL);
    return false;
}

void
session_route(const struct route_context *context, struct exchange *exchange,
              const struct conf_route *route, enum session_use use)
{
    struct asking asking = {context, exchange, route, use, .request = {.heartbeat = 0}};
    const char *why =
        session_ask_read(exchange_request(exchange), use == SESSION_USE_SSE, &asking.ask);
    unsigned worker;

    if (why != NULL) {
        refuse(&asking, 400, why);
        return;
    }
    worker = asking.ask.has_id ? sessions_worker_of(asking.ask.id) : 0;
    if (worker != 0 && worker != loop_id(context->loop) && moving_start(context, exchange, worker))
        return;
    if (use == SESSION_USE_WEBSOCKET && !shake_hands(&asking))
        return;
    if (asking.ask.has_id)
        find_and_serve(&asking);
    else
        open_by_use(&asking);
}

bool
session_route_is_known(const struct route_context *context, const struct exchange *exchange)
{
    struct session_ask ask;
    unsigned worker;

    if (session_ask_read(exchange_request(exchange), true, &ask) != NULL || !ask.has_id)
        return false;
    worker = sessions_worker_of(ask.id);
    return worker != 0 &&
           (worker != loop_id(context->loop) || sessions_know(context->sessions, ask.id));
}
