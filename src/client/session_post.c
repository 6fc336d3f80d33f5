/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/session_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "client/http.h"
#include "client/session.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "proto/session_frame.h"

#define TOO_LONG "the body is longer than the window and 64 KiB"

enum {
    BODY_SPARE = 65536, /* bytes of a body over the window: headers, and what is no message */
    ANSWER_MAX = 3 * SESSION_BODY_CONTROL_MAX,
};

struct session_post {
    struct exchange_owner owner;
    struct session_request request;
    struct exchange *exchange; /* NULL: answered */
    struct loop *loop;
    const char *headers;
    struct session_body body;
    size_t left; /* bytes that may still come */
    bool gap;    /* what follows is dropped */
    bool pinged; /* the last PING is to be answered */
    uint8_t pong_len;
    uint8_t pong[SESSION_PING_MAX];
    struct loop_deferred free_later;
};

/* ---- the end ---- */

static void
free_post(struct loop_deferred *deferred)
{
    struct session_post *post = container_of(deferred, struct session_post, free_later);

    session_body_deinit(&post->body);
    free(post);
}

static void
release(struct session_post *post)
{
    session_leave(&post->request);
    post->exchange = NULL;
    loop_defer(post->loop, &post->free_later, free_post);
}

static void
refuse(struct session_post *post, int status, const char *why)
{
    struct exchange *exchange = post->exchange;

    release(post);
    exchange_error(exchange, status, post->headers, why);
}

/* ---- answers ---- */

static void
answer(struct exchange *exchange, int status, const char *headers, const uint8_t *body, size_t len)
{
    char lines[512];

    snprintf(lines, sizeof lines, "Content-Type: " SESSION_MEDIA_TYPE "\r\n%s", headers);
    exchange_answer(exchange, status, lines, body, len);
}

void
session_post_tell_end(struct exchange *exchange, const char *headers,
                      const struct sessions_end *end)
{
    uint8_t body[ANSWER_MAX];
    size_t len = session_body_ack(body, end->consumed);

    len += session_body_close(body + len, end->gone ? 4404 : end->code, "");
    answer(exchange, 200, headers, body, len);
}

static void
finish(struct session_post *post)
{
    struct session *session = post->request.session;
    struct exchange *exchange = post->exchange;
    uint8_t body[ANSWER_MAX];
    size_t len;

    if (session == NULL) {
        release(post);
        session_post_tell_end(exchange, post->headers, &post->request.end);
        return;
    }
    len = session_body_ack(body, session_tell_ack(session));
    if (post->pinged)
        len += session_body_pong(body + len, post->pong, post->pong_len);
    release(post);
    answer(exchange, post->gap ? 409 : 200, post->headers, body, len);
}

/* ---- frames ---- */

static void
take_frame(struct session_post *post, uint8_t *data, size_t len)
{
    struct session_frame frame;
    const char *why = session_frame_read(data, len, &frame);

    if (why != NULL) {
        refuse(post, 400, why);
        return;
    }
    if (frame.type == SESSION_PING) {
        post->pinged = true;
        post->pong_len = (uint8_t)frame.len;
        memcpy(post->pong, frame.data, frame.len);
        return;
    }
    switch (session_take(post->request.session, &frame, &why)) {
    case SESSION_GAP:
        post->gap = true;
        break;
    case SESSION_OVERRUN:
        refuse(post, 413, "more than the window allows");
        break;
    case SESSION_TOO_LONG:
        refuse(post, 413, "a message over message_max");
        break;
    case SESSION_NO_TEXT:
        refuse(post, 400, "text is not UTF-8");
        break;
    case SESSION_FAULT:
        refuse(post, 400, why);
        break;
    case SESSION_TAKEN:
    case SESSION_ENDED:
        break;
    }
}

static void
on_body(struct exchange_owner *owner, uint8_t *data, size_t len)
{
    struct session_post *post = container_of(owner, struct session_post, owner);
    struct session *session = post->request.session;
    size_t used, frame_len;
    uint8_t *frame;

    if (len > post->left) {
        refuse(post, 413, TOO_LONG);
        return;
    }
    post->left -= len;
    session_go_on(&post->request);
    if (session != NULL)
        session_hold(session, true);
    while (len > 0 && post->exchange != NULL && !post->gap && post->request.session != NULL) {
        switch (session_body_take(&post->body, data, len, &used, &frame, &frame_len)) {
        case SESSION_BODY_FRAME:
            take_frame(post, frame, frame_len);
            break;
        case SESSION_BODY_TOO_LONG:
            refuse(post, 413, "a message over message_max");
            break;
        case SESSION_BODY_NO_MEMORY:
            log_error(loop_log(post->loop), "session", "out of memory");
            refuse(post, 503, "out of memory");
            break;
        case SESSION_BODY_MORE:
            break;
        }
        data += used;
        len -= used;
    }
    if (session != NULL)
        session_hold(session, false);
}

static void
on_body_end(struct exchange_owner *owner, const struct http1_error *error)
{
    struct session_post *post = container_of(owner, struct session_post, owner);

    if (error != NULL)
        refuse(post, error->status, error->why);
    else if (!session_body_is_whole(&post->body) && !post->gap && post->request.session != NULL)
        refuse(post, 400, "the body ends inside a frame");
    else
        finish(post);
}

static void
on_replaced(struct session_request *request)
{
    refuse(container_of(request, struct session_post, request), 409, "too many POSTs at once");
}

static void
on_gone(struct exchange_owner *owner)
{
    release(container_of(owner, struct session_post, owner));
}

/* A message that is larger than the window may come alone. */
static size_t
body_max(const struct conf_route *route)
{
    size_t window = route->buffer > route->message_max ? route->buffer : route->message_max;

    return window + BODY_SPARE;
}

void
session_post_start(const struct session_post_options *options)
{
    static const struct exchange_events events = {
        .gone = on_gone, .body = on_body, .body_end = on_body_end};
    const struct conf_route *route = session_route_of(options->session);
    size_t max = body_max(route);
    struct session_post *post;

    if (exchange_request(options->exchange)->content_length > max) {
        exchange_error(options->exchange, 413, options->headers, TOO_LONG);
        return;
    }
    post = calloc(1, sizeof *post);

    if (post == NULL) {
        log_error(loop_log(exchange_loop(options->exchange)), "session", "out of memory");
        exchange_error(options->exchange, 503, options->headers, "out of memory");
        return;
    }
    post->owner.events = &events;
    post->request.replaced = on_replaced;
    post->exchange = options->exchange;
    post->loop = exchange_loop(options->exchange);
    post->headers = options->headers;
    post->body.frame_max = route->message_max + SESSION_HEADER_MAX;
    post->left = max;
    session_enter(options->session, &post->request);
    exchange_set_owner(options->exchange, &post->owner);
    exchange_read_body(options->exchange, route->message_timeout);
}
