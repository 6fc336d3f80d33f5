/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/exchange_head.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "client/http_connection.h"
#include "proto/http1.h"

enum {
    HEAD_MAX = 512, /* bytes of a head without the caller's lines */
};

bool
exchange_head_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Returns its end. */
static char *
put_length(char *at, uint64_t length)
{
    char digits[20];
    size_t i = sizeof digits;

    do
        digits[--i] = (char)('0' + length % 10);
    while ((length /= 10) > 0);
    at = mempcpy(stpcpy(at, "Content-Length: "), digits + i, sizeof digits - i);
    return stpcpy(at, "\r\n");
}

/* The line that says where the body ends (RFC 9112 section 6.3). Returns its end. */
static char *
put_framing(struct exchange *exchange, char *at)
{
    if (!exchange_head_has_body(exchange->status))
        return at;
    if (exchange->length >= 0)
        return put_length(at, (uint64_t)exchange->length);
    if (exchange->http10 || exchange->to_the_end) {
        exchange->close_after = true;
        return at;
    }
    exchange->chunked = true;
    return stpcpy(at, "Transfer-Encoding: chunked\r\n");
}

static const char *
connection_line(const struct exchange *exchange)
{
    /* Upgrade counts for the next hop only, which Connection has to say (RFC 9110 section 7.8). */
    if (exchange->status == 426)
        return exchange_closes(exchange) ? "Connection: Upgrade, close\r\n"
                                         : "Connection: Upgrade\r\n";
    if (exchange_closes(exchange))
        return "Connection: close\r\n";
    return exchange->http10 ? "Connection: keep-alive\r\n" : "";
}

/* Of this second, as each answer tells it: made once a second on each thread. */
static const char *
date_now(void)
{
    static __thread char text[64];
    static __thread time_t of;
    time_t now = time(NULL);
    struct tm tm;

    if (now == of)
        return text;
    of = now;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return text;
}

size_t
exchange_head_room(const struct exchange *exchange, const char *type, const char *headers)
{
    return HEAD_MAX + strlen(type) + strlen(headers) +
           (exchange->lines != NULL ? strlen(exchange->lines) : 0);
}

size_t
exchange_head_write(struct exchange *exchange, char *out, const char *type, const char *headers)
{
    const char *lines = exchange->lines != NULL ? exchange->lines : "";
    char status[] = {' ',
                     (char)('0' + exchange->status / 100),
                     (char)('0' + exchange->status / 10 % 10),
                     (char)('0' + exchange->status % 10),
                     ' ',
                     '\0'};
    char *at = out;

    at = stpcpy(stpcpy(stpcpy(at, "HTTP/1.1"), status), http1_reason(exchange->status));
    at = stpcpy(stpcpy(stpcpy(at, "\r\nDate: "), date_now()), "\r\n");
    at = stpcpy(stpcpy(stpcpy(at, type), headers), lines);
    at = put_framing(exchange, at);
    at = stpcpy(stpcpy(at, connection_line(exchange)), "\r\n");
    return (size_t)(at - out);
}
