/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/use.h"

#include <stddef.h>

#include "client/http.h"
#include "conf/conf.h"
#include "proto/http1.h"
#include "proto/ws_handshake.h"

/* By Accept: of those that the route has, the first that is named. */
static enum use
use_of_get(const struct exchange *exchange, const struct use_rule *rule)
{
    const char *const types[] = {"text/event-stream", rule->poll_type, NULL};
    bool sse = (rule->transports & CONF_TRANSPORT_SSE) != 0;
    bool poll = (rule->transports & CONF_TRANSPORT_LONGPOLL) != 0;
    int which = exchange_accepts_which(exchange, types);

    if (which < 0)
        return USE_NOTHING;
    if (sse && poll)
        return which == 0 ? USE_SSE : USE_POLL;
    if (sse && exchange_accepts(exchange, types[0]))
        return USE_SSE;
    return poll && exchange_accepts(exchange, types[1]) ? USE_POLL : USE_OTHER_TRANSPORT;
}

enum use
use_of(const struct exchange *exchange, const struct use_rule *rule)
{
    enum http1_method method = exchange_request(exchange)->method;

    switch (ws_upgrade(exchange_request(exchange))) {
    case WS_UPGRADE_WEBSOCKET:
        return USE_WEBSOCKET;
    case WS_UPGRADE_OTHER:
        return USE_BAD_UPGRADE;
    case WS_UPGRADE_NONE:
        break;
    }
    if (method == HTTP1_OPTIONS)
        return USE_OPTIONS;
    if (method == HTTP1_POST && rule->posts)
        return USE_POST;
    if (method == HTTP1_DELETE && rule->deletes)
        return USE_DELETE;
    return method == HTTP1_GET ? use_of_get(exchange, rule) : USE_OTHER_METHOD;
}
