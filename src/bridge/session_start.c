/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session_start.h"

#include <string.h>

#include "bridge/opening.h"
#include "bridge/route.h"
#include "client/carrier_sse.h"
#include "client/carrier_websocket.h"
#include "client/http.h"
#include "client/session.h"
#include "proto/session_frame.h"

struct session *
session_start_new(const struct route_context *context, struct exchange *exchange,
                  const struct conf_route *route, struct metrics_route *metrics,
                  const struct opening_request *request)
{
    struct session_options options = {
        .loop = context->loop,
        .sessions = context->sessions,
        .route = route,
        .metrics = metrics,
        .number = exchange_number(exchange),
        .origin = request->origin,
        .protocol = request->handshake.subprotocol,
    };

    return session_new(&options);
}

static int
answer_websocket(const struct route_context *context, struct exchange *exchange,
                 struct session *session, const struct opening_request *request)
{
    struct session_attach attach = {.explicit_ack = true}; /* it speaks the protocol */
    struct ws_handshake handshake = request->handshake;
    struct carrier_websocket_options options = {
        .exchange = exchange,
        .handshake = &handshake,
        .digest = context->digest,
        .lingers = context->lingers,
        .route = session_route_of(session),
        .heartbeat = request->heartbeat,
        .session = session,
        .attach = &attach,
    };

    strcpy(handshake.subprotocol, SESSION_SUBPROTOCOL);
    return carrier_websocket_open(&options);
}

static int
answer_sse(struct exchange *exchange, struct session *session,
           const struct opening_request *request)
{
    struct session_attach attach = {.has_ack = false};
    struct carrier_sse_options options = {
        .exchange = exchange,
        .headers = ROUTE_NO_CACHE,
        .heartbeat = request->heartbeat,
        .session = session,
        .attach = &attach,
    };

    return carrier_sse_open(&options) < 0 ? -1 : 0;
}

static void
answer_created(struct exchange *exchange, struct session *session,
               const struct opening_request *request)
{
    char text[SESSION_OPEN_MAX + 1];
    size_t len = session_open_text(session, request->heartbeat, text);

    text[len] = '\n';
    exchange_answer(exchange, 201, "Content-Type: application/json\r\n" ROUTE_NO_CACHE, text,
                    len + 1);
}

int
session_start_answer(const struct route_context *context, struct exchange *exchange,
                     struct session *session, const struct opening_request *request)
{
    if (request->kind == OPENING_SESSION_WEBSOCKET)
        return answer_websocket(context, exchange, session, request);
    if (request->kind == OPENING_SESSION_SSE)
        return answer_sse(exchange, session, request);
    answer_created(exchange, session, request);
    return 0;
}
