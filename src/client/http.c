/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/http.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "client/http_connection.h"
#include "conf/conf.h"
#include "net/linger.h"
#include "net/tls.h"
#include "proto/query_mask.h"

#define LINGER_SECONDS        5.0
#define WRITE_TIMEOUT_DEFAULT 60.0 /* until a route has said otherwise */

enum {
    STATUS_CLIENT_GONE = 499, /* in the access log: it left before there was an answer */
    READ_MAX = 16384, /* bytes read at once: a head is rarely longer, and who has not asked yet gets
                         little */
};

static void process(struct http *http);

/* ---- lifetime ---- */

static void
free_http(struct loop_deferred *deferred)
{
    struct http *http = container_of(deferred, struct http, free_later);

    free(http->held);
    free(http->destination);
    free(http);
}

void
http_end(struct http *http)
{
    if (http->over)
        return;
    http->over = true;
    http_look_at_greeting(http, true);
    metrics_add(&loop_metrics(http->loop)->http_ended, 1);
    timer_deinit(&http->timer);
    stream_close(http->stream);
    http->stream = NULL;
    list_remove(&http->link);
    http->set->n_members--;
    half_open_end(&http->set->half_open, http);
    loop_defer(http->loop, &http->free_later, free_http);
}

/* Lets what was written reach the client first. */
static void
end_gently(struct http *http)
{
    struct stream *stream = http->stream;

    http->stream = NULL;
    http_end(http);
    linger_start(http->lingers, stream, http->exchange.write_timeout, LINGER_SECONDS);
}

void
http_drop(struct http *http)
{
    stream_shutdown(http->stream); /* close_notify, on TLS */
    http_end(http);
}

void
http_end_unasked(struct http *http)
{
    if (http->held_len > 0 || !stream_flushed(http->stream)) {
        end_gently(http);
        return;
    }
    http_drop(http);
}

void
http_close_exchange(struct http *http)
{
    struct metrics_worker *metrics = loop_metrics(http->loop);
    unsigned kind = (unsigned)http->exchange.status / 100;

    metrics_add(&metrics->exchanges_ended, 1);
    metrics_add(&metrics->answers[kind < 6 ? kind : 0], 1);
    http->set->n_open--;
    http->exchange.open = http->exchange.reads_body = false;
    http->exchange.route = NULL;
    free(http->exchange.lines);
    http->exchange.lines = NULL;
    free(http->exchange.client);
    http->exchange.client = NULL;
    conf_unref(http->exchange.conf);
    http->exchange.conf = NULL;
}

void
http_client_gone(struct http *http)
{
    struct exchange *exchange = &http->exchange;

    log_debug(loop_log(http->loop), http_name(http), "client gone: %s",
              http->client_ended ? "end of stream" : stream_why(http->stream));
    http_look_at_greeting(http, true);
    if (exchange->open) {
        if (exchange->status == 0)
            exchange->status = STATUS_CLIENT_GONE;
        if (http->log_access)
            http_log_exchange(http);
        http_close_exchange(http);
        if (exchange->owner != NULL)
            exchange->owner->events->gone(exchange->owner);
    }
    http_end(http);
}

void
http_begin_exchange(struct http *http)
{
    struct exchange *exchange = &http->exchange;

    memset(exchange, 0, sizeof *exchange);
    exchange->began = loop_now(http->loop);
    exchange->write_timeout = WRITE_TIMEOUT_DEFAULT;
    exchange->open = true;
    http->set->n_open++;
    exchange->close_after = http->draining;
    half_open_end(&http->set->half_open, http);
    metrics_add(&loop_metrics(http->loop)->exchanges_begun, 1);
}

/* ---- requests ---- */

static void
describe(struct exchange *exchange, const struct http *http, const struct http1_request *request)
{
    exchange->method_at = (size_t)(request->method_name.at - http->held);
    exchange->method_len = request->method_name.len;
    exchange->path_at = (size_t)(request->path.at - http->held);
    exchange->path_len = request->path.len;
    exchange->query_len = request->query.len;
    if (request->query.len > 0)
        exchange->query_at = (size_t)(request->query.at - http->held);
    exchange->head = request->method == HTTP1_HEAD;
    exchange->http10 = request->minor == 0;
    exchange->unread = request->content_length > 0 || request->chunked;
    if (!request->keep_alive)
        exchange->close_after = true;
}

static void
handle_head(struct http *http)
{
    struct http1_request request;
    struct http1_error error;

    http_begin_exchange(http);
    if (http1_parse(http->held, http->head_len, &request, &error) != HTTP1_DONE) {
        exchange_error(&http->exchange, error.status, "", error.why);
        return;
    }
    describe(&http->exchange, http, &request);
    http->exchange.request = &request;
    http->exchange.json = exchange_accepts(&http->exchange, "application/json");
    http->handler->request(http->handler, &http->exchange);
    http->exchange.request = NULL;
    if (http->exchange.open && http->exchange.talk && http->exchange.status == 0)
        http_shed_headers(http);
}

/* Looks for a head in what is held from `from` on. Returns false if there is nothing to do before
 * more comes. */
static bool
scan(struct http *http)
{
    size_t seen = http->scan.seen;
    size_t used;

    switch (http1_scan(&http->scan, http->held + seen, http->held_len - seen, &used)) {
    case HTTP1_MORE:
        return false;
    case HTTP1_ERROR:
        http_begin_exchange(http);
        exchange_error(&http->exchange, http->scan.error.status, "", http->scan.error.why);
        return true;
    case HTTP1_DONE:
        break;
    }
    http->head_len = http->scan.seen;
    handle_head(http);
    return true;
}

/* Answers that the client does not read. */
static bool
is_behind(const struct http *http)
{
    return stream_pending(http->stream) > HTTP_ANSWER_HIGH;
}

/* Whether more may be read now. A head that is being scanned has its own limit, and is refused
 * over it. */
static bool
has_room(const struct http *http)
{
    if (http->exchange.open ? http->exchange.reads_body : !is_behind(http))
        return true;
    return http->held_len - http->head_len < HTTP_HELD_MAX;
}

/* Serves what is held, in order, one request at a time. */
static void
process(struct http *http)
{
    bool again = true;

    if (http->processing)
        return;
    http->processing = true;
    while (again && !http->over && !http->exchange.open && http->held_len > http->scan.seen &&
           !is_behind(http))
        again = scan(http);
    http->processing = false;
    if (!http->over && http->exchange.open)
        http_take_held_body(http);
    if (http->over)
        return;
    if (http->client_ended && !http->exchange.open && stream_flushed(http->stream)) {
        end_gently(http);
        return;
    }
    /* While its last answer is on its way, it is no client that only waits. */
    if (!http->exchange.open && stream_flushed(http->stream))
        half_open_begin(&http->set->half_open, http);
    stream_want_read(http->stream, has_room(http));
    http_arm(http);
}

static void
process_deferred(struct loop_deferred *deferred)
{
    struct http *http = container_of(deferred, struct http, process_later);

    http->deferred = false;
    if (!http->over)
        process(http);
}

/* The next request, if it is there already, waits for the end of the turn: whoever has ended the last one
 * is in the middle of something. */
static void
go_on(struct http *http)
{
    if (http->held_len == 0) {
        process(http);
    } else if (!http->processing && !http->deferred) {
        http->deferred = true;
        loop_defer(http->loop, &http->process_later, process_deferred);
    }
}

void
http_exchange_over(struct http *http)
{
    if (http->log_access)
        http_log_exchange(http);
    http_close_exchange(http);
    http->exchange.owner = NULL;
    http->served = true;
    if (exchange_closes(&http->exchange)) {
        end_gently(http);
        return;
    }
    http_drop_head(http);
    http1_scan_init(&http->scan, http->scan.head_max);
    http_expect_head(http);
    go_on(http);
}

/* ---- events ---- */

static void
came(struct http *http, uint8_t *data, size_t len)
{
    if (http->exchange.open && http->exchange.reads_body)
        http_take_body(http, data, len);
    else if (http_hold(http, data, len) != 0)
        http_client_gone(http);
    if (!http->over)
        process(http);
}

/* A client may close its side and still wait for its answer; who wants to talk on may not, and who was
 * about to send a body has not. */
static bool
may_be_ended(const struct http *http)
{
    const struct exchange *exchange = &http->exchange;

    if (!exchange->open)
        return !stream_flushed(http->stream);
    if (exchange->reads_body)
        return false;
    return !exchange->talk || (exchange->status == 0 && !stream_flushed(http->stream));
}

static void
on_readable(struct stream_owner *owner)
{
    struct http *http = container_of(owner, struct http, stream_owner);
    uint8_t *scratch = loop_scratch(http->loop);
    ssize_t n = stream_read(http->stream, scratch, READ_MAX);

    http_look_at_greeting(http, false);
    if (n == STREAM_AGAIN)
        return;
    if (n > 0) {
        came(http, scratch, (size_t)n);
        return;
    }
    http->client_ended = n == STREAM_END;
    if (n != STREAM_END || !may_be_ended(http))
        http_client_gone(http);
}

void
http_read(struct http *http)
{
    on_readable(&http->stream_owner);
}

static void
on_progress(struct stream_owner *owner)
{
    struct http *http = container_of(owner, struct http, stream_owner);
    struct exchange *exchange = &http->exchange;

    if (exchange->open && exchange->owner != NULL && exchange->owner->events->progress != NULL)
        exchange->owner->events->progress(exchange->owner);
    if (!http->over)
        process(http);
}

/* ---- from outside ---- */

void
http_set_init(struct http_set *set, struct loop *loop)
{
    list_init(&set->members);
    set->n_members = set->n_open = 0;
    half_open_init(&set->half_open, loop);
}

void
http_set_deinit(struct http_set *set)
{
    half_open_deinit(&set->half_open);
}

static int
keep_destination(struct http *http, const struct addr *destination)
{
    if (destination == NULL)
        return 0;
    http->destination = malloc(sizeof *destination);
    if (http->destination == NULL)
        return -1;
    *http->destination = *destination;
    return 0;
}

int
http_accept(const struct http_options *options)
{
    static const struct stream_events events = {on_readable, on_progress};
    struct http *http = calloc(1, sizeof *http);

    if (http != NULL && keep_destination(http, options->destination) == 0) {
        http->stream_owner.events = &events;
        http->stream = stream_open(options->loop, options->fd, options->ssl, &http->stream_owner);
    }
    if (http == NULL || http->stream == NULL) {
        log_error(loop_log(options->loop), "http", "out of memory");
        tls_free(options->ssl);
        close(options->fd);
        if (http != NULL)
            free(http->destination);
        free(http);
        free(options->held);
        return -1;
    }
    http->loop = options->loop;
    http->set = options->set;
    http->lingers = options->lingers;
    http->handler = options->handler;
    http->header_timeout = options->header_timeout;
    http->peer = *options->peer;
    http->log_access = options->log_access;
    http->draining = options->draining;
    http->greeting = options->ssl != NULL && options->held == NULL;
    http->held = options->held;
    http->held_len = http->held_size = options->held_len;
    http->exchange.write_timeout = WRITE_TIMEOUT_DEFAULT;
    http->number = options->number;
    http1_scan_init(&http->scan, options->header_max);
    timer_init(&http->timer, http->loop, http_on_timeout);
    half_open_make_place(&http->set->half_open);
    list_add(&http->set->members, &http->link);
    http->set->n_members++;
    metrics_add(&loop_metrics(http->loop)->http_opened, 1);
    list_init(&http->waiting);
    half_open_begin(&http->set->half_open, http);
    http->head_due = options->since + http->header_timeout;
    http_arm(http);
    stream_want_read(http->stream, true);
    process(http);
    return 0;
}

/* Its request may be on the way: it came before it could know that we are leaving. */
static void
last_chance(struct http *http)
{
    double due = loop_now(http->loop) + HTTP_LAST_CHANCE;

    if (due < http->head_due)
        http->head_due = due;
    http_arm(http);
}

void
http_drain_all(struct http_set *set)
{
    struct list *at = set->members.next;

    while (at != &set->members) {
        struct http *http = container_of(at, struct http, link);

        at = at->next;
        http->draining = true;
        http->exchange.close_after = true;
        if (http->exchange.open)
            continue;
        if (http->served && http->held_len == 0)
            http_end_unasked(http);
        else
            last_chance(http);
    }
}

void
http_close_all(struct http_set *set)
{
    while (!list_empty(&set->members))
        http_client_gone(container_of(set->members.next, struct http, link));
}
