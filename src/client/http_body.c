/* SPDX-License-Identifier: BSD-2-Clause */
/* The body of a request, read for who wants it (see http_connection.h). */
#include "base/log.h"
#include "client/http_connection.h"
#include "conf/conf.h"

static struct exchange_owner *
owner_of(struct http *http)
{
    return http->exchange.owner;
}

/* Nothing more is read of it: the owner answers. */
static void
end_body(struct http *http, const struct http1_error *error)
{
    http->exchange.reads_body = false;
    owner_of(http)->events->body_end(owner_of(http), error);
}

static void
expect_more(struct http *http)
{
    struct exchange *exchange = &http->exchange;

    exchange->body_due =
        exchange->body_timeout > 0 ? loop_now(http->loop) + exchange->body_timeout : 0;
}

static void
take(struct http *http, char *data, size_t len)
{
    struct exchange *exchange = &http->exchange;
    enum http1_result result = HTTP1_MORE;
    char *piece;
    size_t used, piece_len;

    expect_more(http);
    while (len > 0 && result == HTTP1_MORE && exchange->reads_body) {
        result = http1_body(&exchange->body, data, len, &used, &piece, &piece_len);
        data += used;
        len -= used;
        if (piece_len > 0)
            owner_of(http)->events->body(owner_of(http), (uint8_t *)piece, piece_len);
    }
    if (!exchange->reads_body)
        return;
    if (result == HTTP1_ERROR) {
        end_body(http, &exchange->body.error);
        return;
    }
    if (result != HTTP1_DONE)
        return;
    exchange->unread = false;
    /* What follows is the next request; it must be there when the answer leads to it. */
    if (len > 0 && http_hold(http, data, len) != 0)
        exchange->close_after = true;
    end_body(http, NULL);
}

void
http_take_body(struct http *http, uint8_t *data, size_t len)
{
    take(http, (char *)data, len);
}

void
http_take_held_body(struct http *http)
{
    uint8_t *scratch = loop_scratch(http->loop);
    size_t n = http->held_len - http->head_len;

    if (!http->exchange.reads_body)
        return;
    if (!http->exchange.unread) { /* there is none */
        end_body(http, NULL);
        return;
    }
    if (n == 0)
        return;
    /* Not in its place: while pieces are handled, the place may go. */
    memcpy(scratch, http->held + http->head_len, n);
    http->held_len = http->head_len;
    take(http, (char *)scratch, n);
}

void
http_body_is_late(struct http *http)
{
    static const struct http1_error late = {408, "the body did not come in time"};

    end_body(http, &late);
}

void
exchange_read_body(struct exchange *exchange, double timeout)
{
    struct http *http = exchange_connection(exchange);
    const struct http1_request *request = exchange_request(exchange);

    http1_body_init(&exchange->body, request);
    exchange->reads_body = true;
    exchange->body_timeout = timeout;
    expect_more(http);
    if (request->expect_continue && request->minor > 0 && http->held_len == http->head_len)
        stream_write(http->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}
