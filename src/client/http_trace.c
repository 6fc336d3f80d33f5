/* SPDX-License-Identifier: BSD-2-Clause */
/* What a connection leaves behind: in the access log, and in the counters of TLS. */
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "client/http_connection.h"
#include "conf/conf.h"
#include "proto/query_mask.h"

const char *
http_name(struct http *http)
{
    return http->name[0] != '\0' ? http->name
                                 : loop_connection_name(http->loop, http->number, http->name);
}

void
http_look_at_greeting(struct http *http, bool last)
{
    struct metrics_worker *metrics = loop_metrics(http->loop);
    bool done = http->stream != NULL && stream_is_established(http->stream);

    if (!http->greeting || (!done && !last))
        return;
    http->greeting = false;
    metrics_add(done ? &metrics->tls_done : &metrics->tls_failed, 1);
}

void
http_log_exchange(struct http *http)
{
    struct exchange *exchange = &http->exchange;
    char client[ADDR_TEXT];
    char method[16] = "-";
    char path[512] = "-";
    char query[512] = "";

    addr_text(exchange_client(exchange), client);
    if (exchange->path_len > 0) {
        snprintf(method, sizeof method, "%.*s", (int)exchange->method_len,
                 http->held + exchange->method_at);
        snprintf(path, sizeof path, "%.*s", (int)exchange->path_len,
                 http->held + exchange->path_at);
    }
    if (exchange->query_len > 0)
        query_mask((struct span){http->held + exchange->query_at, exchange->query_len}, query,
                   sizeof query);
    struct log_field fields[] = {
        {.name = "route",
         .type = LOG_TEXT,
         .text = exchange->route != NULL ? exchange->route->name : NULL},
        {.name = "client", .type = LOG_TEXT, .text = client},
        {.name = "method", .type = LOG_TEXT, .text = method},
        {.name = "path", .type = LOG_TEXT, .text = path},
        {.name = "query", .type = LOG_TEXT, .text = query[0] != '\0' ? query : NULL},
        {.name = "status", .type = LOG_NUMBER, .number = (uint64_t)exchange->status},
        {.name = "bytes", .type = LOG_NUMBER, .number = exchange->body_bytes},
        {.name = "duration",
         .type = LOG_DURATION,
         .seconds = loop_now(http->loop) - exchange->began},
    };

    log_event(loop_log(http->loop), "access", http_name(http), "request", fields,
              sizeof fields / sizeof *fields);
}
