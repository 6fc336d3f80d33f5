/* SPDX-License-Identifier: BSD-2-Clause */
/* The one timer of a connection: who writes a head or a body too slowly, who takes nothing, and who has
 * waited long enough for an answer. */
#include "base/log.h"
#include "client/http_connection.h"

void
http_arm(struct http *http)
{
    double due = stream_write_due(http->stream, http->exchange.write_timeout);

    /* An answer on its way is no late request: writing has its own limit. */
    if (due == 0 && !http->exchange.open)
        due = http->head_due;
    if (http->exchange.open && http->exchange.reads_body)
        due = timer_sooner(due, http->exchange.body_due);
    if (http->exchange.open)
        due = timer_sooner(due, http->exchange.call_at);
    timer_set(&http->timer, due);
}

void
http_on_timeout(struct timer *timer)
{
    struct http *http = container_of(timer, struct http, timer);

    if (stream_takes_nothing(http->stream, http->exchange.write_timeout)) {
        log_info(loop_log(http->loop), http_name(http), "client takes nothing: closed");
        http_client_gone(http);
        return;
    }
    if (http->exchange.open && http->exchange.reads_body && http->exchange.body_due != 0 &&
        loop_now(http->loop) >= http->exchange.body_due) {
        http_body_is_late(http);
        return;
    }
    if (http->exchange.open && http->exchange.call_at != 0 &&
        loop_now(http->loop) >= http->exchange.call_at) {
        exchange_call_at(&http->exchange, 0);
        http->exchange.owner->events->due(http->exchange.owner);
        return;
    }
    if (stream_pending(http->stream) > 0 || http->exchange.open ||
        loop_now(http->loop) < http->head_due) {
        http_arm(http);
        return;
    }
    if (http->held_len == 0) { /* it asked for nothing: a connection opened in advance, or kept */
        http_end_unasked(http);
        return;
    }
    http_begin_exchange(http);
    exchange_error(&http->exchange, 408, "", "the request header did not come in time");
}

void
http_expect_head(struct http *http)
{
    http->head_due = loop_now(http->loop) + http->header_timeout;
    http_arm(http);
}
