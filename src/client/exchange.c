/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/exchange_head.h"
#include "client/http.h"
#include "client/http_connection.h"
#include "conf/conf.h"
#include "event/loop.h"

enum {
    STACK_MAX = 2048, /* of an answer that needs no memory of its own */
    WHY_MAX = 512,    /* bytes of an error's sentence */
};

/* ---- what is known about it ---- */

void
exchange_set_owner(struct exchange *exchange, struct exchange_owner *owner)
{
    exchange->owner = owner;
}

void
exchange_call_at(struct exchange *exchange, double due)
{
    exchange->call_at = due;
    http_arm(exchange_connection(exchange));
}

void
exchange_expect_talk(struct exchange *exchange, bool talk)
{
    exchange->talk = talk;
}

const struct http1_request *
exchange_request(const struct exchange *exchange)
{
    assert(exchange->request != NULL);
    return exchange->request;
}

bool
exchange_accepts(const struct exchange *exchange, const char *media_type)
{
    return exchange_accepts_which(exchange, (const char *const[]){media_type, NULL}) == 0;
}

static int
which_type(struct span element, const char *const *media_types)
{
    for (int i = 0; media_types[i] != NULL; i++)
        if (http1_is_media_type(element, media_types[i]))
            return i;
    return -1;
}

int
exchange_accepts_which(const struct exchange *exchange, const char *const *media_types)
{
    const struct http1_request *request = exchange_request(exchange);
    struct span element;
    unsigned i;
    int which;

    for (i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value;

        if (!span_is_nocase(request->headers[i].name, "Accept"))
            continue;
        while (http1_list_next(&rest, &element)) {
            which = which_type(element, media_types);
            if (which >= 0)
                return which;
        }
    }
    return -1;
}

struct loop *
exchange_loop(const struct exchange *exchange)
{
    return exchange_connection(exchange)->loop;
}

bool
exchange_is_draining(const struct exchange *exchange)
{
    return exchange_connection(exchange)->draining;
}

const char *
exchange_name(const struct exchange *exchange)
{
    return http_name(exchange_connection(exchange));
}

uint64_t
exchange_number(const struct exchange *exchange)
{
    return exchange_connection(exchange)->number;
}

const struct addr *
exchange_peer(const struct exchange *exchange)
{
    return &exchange_connection(exchange)->peer;
}

const struct addr *
exchange_client(const struct exchange *exchange)
{
    return exchange->client != NULL ? exchange->client : exchange_peer(exchange);
}

void
exchange_lacks_memory(const struct exchange *exchange)
{
    log_error(loop_log(exchange_loop(exchange)), exchange_name(exchange), "out of memory");
}

void
exchange_set_client(struct exchange *exchange, const struct addr *client)
{
    assert(exchange->client == NULL);
    exchange->client = malloc(sizeof *client);
    if (exchange->client != NULL)
        *exchange->client = *client;
    else
        exchange_lacks_memory(exchange);
}

void
exchange_destination(const struct exchange *exchange, struct addr *destination)
{
    const struct http *http = exchange_connection(exchange);

    if (http->destination != NULL)
        *destination = *http->destination;
    else
        stream_local_addr(http->stream, destination);
}

void
exchange_set_route(struct exchange *exchange, struct conf *conf, const struct conf_route *route)
{
    assert(exchange->conf == NULL);
    exchange->conf = conf_ref(conf);
    exchange->route = route;
    exchange->write_timeout = route->write_timeout;
}

void
exchange_add_lines(struct exchange *exchange, const char *lines)
{
    assert(exchange->lines == NULL && exchange->status == 0);
    exchange->lines = strdup(lines);
    if (exchange->lines == NULL)
        exchange_lacks_memory(exchange);
}

void
exchange_set_metrics(struct exchange *exchange, struct metrics_route *metrics)
{
    exchange->metrics = metrics;
}

void
exchange_set_reason(struct exchange *exchange, enum metrics_refusal reason)
{
    exchange->reason = reason;
}

void
exchange_close_after(struct exchange *exchange)
{
    exchange->close_after = true;
}

void
exchange_frame_by_end(struct exchange *exchange)
{
    exchange->to_the_end = true;
}

/* ---- answering ---- */

/* Room for bytes that are written at once: the stack's, if they are few. NULL without memory. */
static char *
room_for(size_t size, char stack[STACK_MAX])
{
    return size <= STACK_MAX ? stack : malloc(size);
}

static void
begin(struct exchange *exchange, int status, const char *type, const char *headers, int64_t length)
{
    struct http *http = exchange_connection(exchange);
    size_t room = exchange_head_room(exchange, type, headers);
    char stack[STACK_MAX], *head = room_for(room, stack);

    assert(exchange->open && exchange->status == 0);
    exchange->status = status;
    exchange->length = length;
    if (head != NULL)
        stream_write(http->stream, head, exchange_head_write(exchange, head, type, headers));
    else
        exchange->close_after = true; /* nothing is sent at all: the client sees the end */
    if (head != stack)
        free(head);
    http_arm(http);
}

void
exchange_answer(struct exchange *exchange, int status, const char *headers, const void *body,
                size_t len)
{
    struct http *http = exchange_connection(exchange);
    size_t room = exchange_head_room(exchange, "", headers) + len, head_len;
    char stack[STACK_MAX], *whole = room_for(room, stack);

    assert(exchange->open && exchange->status == 0);
    exchange->status = status;
    exchange->length = (int64_t)len;
    exchange->body_bytes = len;
    if (whole != NULL) {
        head_len = exchange_head_write(exchange, whole, "", headers);
        if (!exchange->head && len > 0)
            memcpy(whole + head_len, body, len);
        stream_write(http->stream, whole, head_len + (exchange->head ? 0 : len));
    } else {
        exchange->close_after = true; /* nothing is sent at all: the client sees the end */
    }
    if (whole != stack)
        free(whole);
    exchange_end(exchange);
}

void
exchange_begin(struct exchange *exchange, int status, const char *headers, int64_t length)
{
    begin(exchange, status, "", headers, length);
}

void
exchange_write_framed(struct exchange *exchange, char *data, size_t len)
{
    struct http *http = exchange_connection(exchange);
    char size[EXCHANGE_HEADROOM];
    int n = 0;

    assert(exchange->open && exchange->status != 0);
    exchange->body_bytes += len;
    if (exchange->chunked) {
        n = snprintf(size, sizeof size, "%zx\r\n", len);
        memcpy(data - n, size, (size_t)n);
        memcpy(data + len, "\r\n", EXCHANGE_TAILROOM);
        stream_write(http->stream, data - n, (size_t)n + len + EXCHANGE_TAILROOM);
    } else {
        stream_write(http->stream, data, len);
    }
    http_arm(http);
}

static void
write_chunk(struct stream *stream, const void *data, size_t len)
{
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", len);

    stream_write(stream, size, (size_t)n);
    stream_write(stream, data, len);
    stream_write(stream, "\r\n", 2);
}

void
exchange_write(struct exchange *exchange, const void *data, size_t len)
{
    struct http *http = exchange_connection(exchange);

    assert(exchange->open && exchange->status != 0);
    if (exchange->head || !exchange_head_has_body(exchange->status) || len == 0)
        return;
    exchange->body_bytes += len;
    if (exchange->chunked)
        write_chunk(http->stream, data, len);
    else
        stream_write(http->stream, data, len);
    http_arm(http);
}

size_t
exchange_pending(const struct exchange *exchange)
{
    return stream_pending(exchange_connection(exchange)->stream);
}

bool
exchange_is_lost(const struct exchange *exchange)
{
    return stream_is_broken(exchange_connection(exchange)->stream);
}

void
exchange_end(struct exchange *exchange)
{
    struct http *http = exchange_connection(exchange);
    bool sends_body = !exchange->head && exchange_head_has_body(exchange->status);

    assert(exchange->open && exchange->status != 0);
    if (sends_body && exchange->chunked)
        stream_write(http->stream, "0\r\n\r\n", 5);
    if (sends_body && exchange->length >= 0 && exchange->body_bytes != (uint64_t)exchange->length)
        exchange->close_after = true; /* the end comes before the announced length: it shows */
    http_exchange_over(http);
}

void
exchange_break(struct exchange *exchange)
{
    exchange->owner = NULL;
    http_client_gone(exchange_connection(exchange));
}

/* ---- errors ---- */

/* In these cases it is not sure where the next request begins. */
static bool
framing_in_doubt(int status)
{
    return status == 400 || status == 408 || status == 413 || status == 414 || status == 417 ||
           status == 431 || status == 501 || status == 505;
}

static void
count_refusal(const struct exchange *exchange, int status)
{
    struct metrics_worker *worker = loop_metrics(exchange_loop(exchange));
    enum metrics_refusal reason = exchange->reason;

    if (status < 400)
        return;
    if (reason == METRICS_REFUSED_BY_STATUS)
        reason = metrics_refusal_of(status, exchange->metrics != NULL);
    metrics_add(exchange->metrics != NULL ? &exchange->metrics->refusals[reason]
                                          : &worker->refusals[reason],
                1);
}

/* `why` may quote what came from outside: it must not leave its string. */
static void
escape_json(const char *why, char *out, size_t size)
{
    size_t n = 0;

    for (; *why != '\0' && n + 7 < size; why++) {
        if ((unsigned char)*why < 0x20) {
            n += (size_t)snprintf(out + n, size - n, "\\u%04x", (unsigned)*why);
            continue;
        }
        if (*why == '"' || *why == '\\')
            out[n++] = '\\';
        out[n++] = *why;
    }
    out[n] = '\0';
}

void
exchange_error(struct exchange *exchange, int status, const char *headers, const char *why)
{
    char escaped[WHY_MAX];
    char body[WHY_MAX + 64];
    const char *type = exchange->json ? "Content-Type: application/json\r\n"
                                      : "Content-Type: text/plain; charset=utf-8\r\n";
    int len;

    count_refusal(exchange, status);
    if (framing_in_doubt(status))
        exchange->close_after = true;
    if (exchange->json) {
        escape_json(why, escaped, sizeof escaped);
        len = snprintf(body, sizeof body, "{\"status\":%d,\"error\":\"%s\"}\n", status, escaped);
    } else {
        len = snprintf(body, sizeof body, "%.*s\n", WHY_MAX, why);
    }
    log_debug(loop_log(exchange_loop(exchange)), exchange_name(exchange), "%d: %s", status, why);
    begin(exchange, status, type, headers, len);
    exchange_write(exchange, body, (size_t)len);
    exchange_end(exchange);
}

/* ---- leaving HTTP ---- */

void
exchange_take(struct exchange *exchange, struct stream_owner *owner, struct exchange_taken *taken)
{
    struct http *http = exchange_connection(exchange);

    memset(taken, 0, sizeof *taken);
    taken->stream = http->stream;
    taken->ended = http->client_ended;
    taken->early_len = http->held_len - http->head_len;
    if (taken->early_len > 0) {
        memmove(http->held, http->held + http->head_len, taken->early_len);
        taken->early = http->held;
        http->held = NULL;
    }
    stream_want_read(http->stream, false);
    stream_set_owner(http->stream, owner);
    http->stream = NULL;
    if (exchange->status == 0)
        exchange->status = 101;
    http_close_exchange(http);
    http_end(http);
}
