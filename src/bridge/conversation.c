/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/conversation.h"

#include <string.h>

#include "base/log.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "guard/limits.h"
#include "net/addr.h"

#define RETRY_LATER "Retry-After: 5\r\n" /* seconds: places do not become free every moment */

/* ---- the beginning ---- */

bool
conversation_enter(struct limits *limits, const struct conf *conf, const struct conf_route *route,
                   struct exchange *exchange, struct limits_pass *pass)
{
    static const enum metrics_refusal reasons[] = {
        [LIMITS_FULL] = METRICS_REFUSED_FULL,
        [LIMITS_ROUTE_FULL] = METRICS_REFUSED_LIMIT_ROUTE,
        [LIMITS_ADDRESS_FULL] = METRICS_REFUSED_LIMIT_IP,
        [LIMITS_NO_MEMORY] = METRICS_REFUSED_MEMORY,
    };
    const struct sockaddr *client = (const struct sockaddr *)&exchange_client(exchange)->storage;
    struct limits_rule rule = {
        .route = route->name,
        .max_connections = conf->max_connections,
        .connections_max = route->connections_max,
        .connections_per_ip = route->connections_per_ip,
    };
    enum limits_result result = limits_enter(limits, &rule, client, pass);

    if (result == LIMITS_OK)
        return true;
    log_info(loop_log(exchange_loop(exchange)), exchange_name(exchange), "route %s: refused: %s",
             route->name, limits_reason(result));
    exchange_close_after(exchange); /* what it sent ahead are frames, not requests */
    exchange_set_reason(exchange, reasons[result]);
    exchange_error(exchange, result == LIMITS_ADDRESS_FULL ? 429 : 503, RETRY_LATER ROUTE_NO_CACHE,
                   limits_reason(result));
    return false;
}

/* ---- the end ---- */

static void
log_access(const struct conversation_end *end)
{
    static const char *const enders[] = {"client", "target", "culvert"};
    const struct ending *ending = &end->ending;
    struct addr peer = {.len = (socklen_t)end->peer_len};
    char peer_text[ADDR_TEXT], name[LOOP_NAME];
    struct log_field fields[] = {
        {.name = "route", .type = LOG_TEXT, .text = end->route->name},
        {.name = "client", .type = LOG_TEXT, .text = peer_text},
        {.name = "target", .type = LOG_TEXT, .text = end->target},
        {.name = "ended_by", .type = LOG_TEXT, .text = enders[ending->by]},
        {.name = "code", .type = LOG_NUMBER, .number = ending->code},
        {.name = "reason", .type = LOG_TEXT, .text = ending->reason},
        {.name = "in", .type = LOG_NUMBER, .number = end->in},
        {.name = "out", .type = LOG_NUMBER, .number = end->out},
        {.name = "duration", .type = LOG_DURATION, .seconds = loop_now(end->loop) - end->began},
    };

    memcpy(&peer.storage, end->peer, end->peer_len);
    addr_text(&peer, peer_text);
    log_event(loop_log(end->loop), "access", loop_connection_name(end->loop, end->number, name),
              metrics_transport_name(end->transport), fields, sizeof fields / sizeof *fields);
}

_Static_assert((int)ENDER_CLIENT == METRICS_BY_CLIENT && (int)ENDER_TARGET == METRICS_BY_TARGET &&
                   (int)ENDER_CULVERT == METRICS_BY_CULVERT,
               "enders are counted under their own numbers");

void
conversation_ended(const struct conversation_end *end)
{
    struct metrics_route *metrics = snapshot_metrics(end->snapshot, end->route, end->loop);

    if (end->snapshot->conf->log_access)
        log_access(end);
    metrics_add(&metrics->flows[end->transport].ended, 1);
    metrics_add(&metrics->closes[end->ending.by][metrics_code_of(end->ending.code)], 1);
}
