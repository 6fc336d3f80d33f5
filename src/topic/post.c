/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "base/list.h"
#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "topic/hub.h"
#include "topic/publication.h"
#include "topic/rules.h"

struct post {
    struct exchange_owner owner;
    struct publication publication;
    struct exchange *exchange; /* NULL: answered, or gone */
    struct loop *loop;
    struct hub *hub;
    const struct conf_route *route;
    struct metrics_route *metrics;
    const char *headers, *refusal;
    struct post_owner *post_owner;
    struct gather body;
    bool retain;
    bool publishing; /* publication_start() was called, and done() has not come yet */
    struct loop_deferred free_later;
    size_t topic_len;
    char topic[];
};

static void
on_free(struct loop_deferred *deferred)
{
    struct post *post = container_of(deferred, struct post, free_later);
    struct post_owner *owner = post->post_owner;

    gather_clear(&post->body);
    free(post);
    owner->gone(owner);
}

/* Before the exchange is answered: whoever answers may close. */
static struct exchange *
release(struct post *post)
{
    struct exchange *exchange = post->exchange;

    post->exchange = NULL;
    if (!post->publishing)
        loop_defer(post->loop, &post->free_later, on_free);
    return exchange;
}

static void
refuse(struct post *post, int status, const char *headers, const char *why)
{
    char lines[256];

    snprintf(lines, sizeof lines, "%s%s", headers, post->refusal);
    exchange_error(release(post), status, lines, why);
}

/* ---- the bus's answer ---- */

static void
answer(struct post *post)
{
    char id[CURSOR_MAX + 1], json[CURSOR_MAX + 16];
    const char *cursor = publication_id(&post->publication, hub_bus(post->hub), id);
    int len = cursor == NULL ? sprintf(json, "{\"id\":null}\n")
                             : sprintf(json, "{\"id\":\"%s\"}\n", cursor);

    exchange_answer(release(post), 200, post->headers, json, (size_t)len);
}

static void
on_done(struct publication *publication)
{
    struct post *post = container_of(publication, struct post, publication);
    const char *why = publication_failure(publication);

    post->publishing = false;
    publication_count(publication, post->metrics);
    if (post->exchange == NULL)
        (void)release(post); /* the client has not waited */
    else if (why != NULL)
        refuse(post, 503, "Retry-After: 1\r\n", why);
    else
        answer(post);
}

/* ---- the body ---- */

static void
on_body(struct exchange_owner *owner, uint8_t *data, size_t len)
{
    struct post *post = container_of(owner, struct post, owner);

    if (gather_len(&post->body) + len > post->route->message_max)
        refuse(post, 413, "", "the payload is over message_max");
    else if (gather_add(&post->body, data, len) != 0)
        refuse(post, 503, "Retry-After: 1\r\n", "out of memory");
}

static void
on_body_end(struct exchange_owner *owner, const struct http1_error *error)
{
    struct post *post = container_of(owner, struct post, owner);
    struct span topic = {post->topic, post->topic_len};
    size_t len = gather_len(&post->body);
    const uint8_t *data = len > 0 ? gather_data(&post->body) : (const uint8_t *)"";
    const char *why;

    if (error != NULL) {
        refuse(post, error->status, "", error->why);
        return;
    }
    why = rules_publish(post->route, post->hub, topic, len, post->retain);
    if (why != NULL) {
        refuse(post, 503, "Retry-After: 1\r\n", why);
        return;
    }
    post->publishing = true;
    if (publication_start(&post->publication, post->hub, topic, data, len, post->retain, on_done) !=
        0) {
        post->publishing = false;
        refuse(post, 503, "Retry-After: 1\r\n", "out of memory");
        return;
    }
    gather_clear(&post->body);
}

static void
on_gone(struct exchange_owner *owner)
{
    (void)release(container_of(owner, struct post, owner));
}

void
post_start(const struct post_options *options)
{
    static const struct exchange_events events = {
        .gone = on_gone, .body = on_body, .body_end = on_body_end};
    struct post *post = calloc(1, sizeof *post + options->topic.len + 1);

    if (post == NULL) {
        exchange_set_reason(options->exchange, METRICS_REFUSED_MEMORY);
        exchange_error(options->exchange, 503, options->refusal, "out of memory");
        options->owner->gone(options->owner);
        return;
    }
    post->owner.events = &events;
    post->exchange = options->exchange;
    post->loop = hub_loop(options->hub);
    post->hub = options->hub;
    post->route = options->route;
    post->metrics = options->metrics;
    post->headers = options->headers;
    post->refusal = options->refusal;
    post->post_owner = options->owner;
    post->retain = options->retain;
    post->topic_len = options->topic.len;
    memcpy(post->topic, options->topic.at, options->topic.len);
    exchange_set_owner(options->exchange, &post->owner);
    exchange_read_body(options->exchange, options->route->message_timeout);
}
