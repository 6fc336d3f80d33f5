/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/poll.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "topic/backlog.h"
#include "topic/hub.h"
#include "topic/message.h"
#include "topic/poll_answer.h"

enum {
    TURN = 4 * POLL_ANSWER_PIECE, /* bytes of a streamed answer in one turn */
};

struct poll {
    struct hub_member member;
    struct exchange_owner exchange_owner;
    struct exchange *exchange; /* NULL: answered, or gone */
    struct loop *loop;
    const struct conf_route *route;
    struct metrics_route *metrics;
    const char *headers, *refusal;
    struct poll_owner *owner;
    struct backlog *backlog;      /* what is to be told */
    struct poll_answer *streamed; /* an answer on its way; NULL: it waits for one */
    unsigned n_filters;           /* those that are subscribed to */
    uint64_t first;               /* that came for it and is to be looked at; 0: none came */
    bool was_told[2];             /* of the bus: that it went, that it came */
    struct loop_deferred free_later;
    struct hub_filter filters[];
};

/* ---- ending ---- */

static void
on_free(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct poll, free_later));
}

static void
count(const struct poll *poll, const struct poll_answer *answer)
{
    struct metrics_flow *flow = &poll->metrics->flows[METRICS_LONGPOLL];

    metrics_add(&flow->messages[METRICS_OUT], answer->messages);
    metrics_add(&flow->bytes[METRICS_OUT], answer->message_bytes);
}

static void
release(struct poll *poll)
{
    for (unsigned i = 0; i < poll->n_filters; i++)
        hub_unsubscribe(&poll->filters[i]);
    hub_leave(&poll->member);
    backlog_free(poll->backlog);
    if (poll->streamed != NULL) {
        count(poll, poll->streamed);
        poll_answer_clear(poll->streamed);
    }
    free(poll->streamed);
    poll->exchange = NULL;
    loop_defer(poll->loop, &poll->free_later, on_free);
}

/* ---- the answer ---- */

static void
finish(struct poll *poll)
{
    struct poll_owner *owner = poll->owner;

    metrics_add(&poll->metrics->flows[METRICS_LONGPOLL].ended, 1);
    release(poll);
    owner->gone(owner);
}

/* All of it at once. */
static void
send_answer(struct poll *poll, struct poll_answer *answer)
{
    struct exchange *exchange = poll->exchange;

    poll_answer_end(answer);
    count(poll, answer);
    finish(poll);
    if (answer->failed)
        exchange_error(exchange, 503, poll->refusal, "out of memory");
    else
        exchange_answer(exchange, 200, poll->headers, gather_data(&answer->body),
                        gather_len(&answer->body));
}

/* Its last piece is written. Half an answer is none: the client sees the end of the connection. */
static void
end_stream(struct poll *poll)
{
    struct exchange *exchange = poll->exchange;
    bool failed = poll->streamed->failed;

    if (failed)
        exchange_lacks_memory(exchange);
    finish(poll);
    if (failed || exchange_is_lost(exchange))
        exchange_break(exchange);
    else
        exchange_end(exchange);
}

/* Writes as long as the client takes it, but leaves turns to others. */
static void
stream_on(struct poll *poll)
{
    struct poll_answer *answer = poll->streamed;
    size_t written = 0;
    bool last = false;

    while (!last && !answer->failed && written < TURN && !exchange_is_lost(poll->exchange) &&
           exchange_pending(poll->exchange) <= HTTP_ANSWER_HIGH) {
        last = poll_answer_next(answer);
        if (last)
            poll_answer_end(answer);
        written += gather_len(&answer->body);
        if (gather_len(&answer->body) > 0)
            exchange_write(poll->exchange, gather_data(&answer->body), gather_len(&answer->body));
        gather_clear(&answer->body);
    }
    if (last || answer->failed || exchange_is_lost(poll->exchange))
        end_stream(poll);
    else if (written >= TURN)
        exchange_call_at(poll->exchange, loop_now(poll->loop));
}

static void
on_turn(struct exchange_owner *owner)
{
    stream_on(container_of(owner, struct poll, exchange_owner));
}

static void
on_gone(struct exchange_owner *owner)
{
    finish(container_of(owner, struct poll, exchange_owner));
}

/* The first piece is made, and more is to come. */
static void
begin_stream(struct poll *poll, struct poll_answer *answer)
{
    static const struct exchange_events events = {
        .progress = on_turn, .due = on_turn, .gone = on_gone};

    poll->streamed = malloc(sizeof *poll->streamed);
    if (poll->streamed == NULL) {
        answer->failed = true;
        send_answer(poll, answer);
        return;
    }
    *poll->streamed = *answer;
    answer->body.block = NULL;
    exchange_call_at(poll->exchange, 0);
    poll->exchange_owner.events = &events;
    exchange_set_owner(poll->exchange, &poll->exchange_owner);
    exchange_expect_talk(poll->exchange, false); /* its end may be all that the client waits for */
    exchange_begin(poll->exchange, 200, poll->headers, -1);
    stream_on(poll);
}

/* Answers if there is something to tell, or if it has to. */
static void
look(struct poll *poll, bool must)
{
    struct poll_answer answer = {
        .hub = poll->member.hub,
        .backlog = poll->backlog,
        .route = poll->route,
        .was_told = {poll->was_told[0], poll->was_told[1]},
    };

    if (!poll_answer_next(&answer))
        begin_stream(poll, &answer);
    else if (answer.n > 0 || answer.partial || answer.failed || must)
        send_answer(poll, &answer);
    poll_answer_clear(&answer);
}

/* ---- waiting ---- */

static void
op_message(struct hub_member *member, struct topic_message *message)
{
    struct poll *poll = container_of(member, struct poll, member);

    if (poll->first == 0)
        poll->first = message->number;
}

static void
op_note(struct hub_member *member, enum hub_note note)
{
    struct poll *poll = container_of(member, struct poll, member);

    if (note == HUB_RESET)
        poll->first = 1; /* whatever it has missed begins there */
    else
        poll->was_told[note == HUB_UP] = true;
}

/* From what was told to what there is now. What passed it by meanwhile may have left history. */
static void
widen(struct poll *poll)
{
    struct backlog *backlog = poll->backlog;
    uint64_t head = hub_head(poll->member.hub);
    uint64_t passed = poll->first == 0 ? head : poll->first - 1;

    if (backlog->after < passed)
        backlog->after = passed;
    poll->first = 0;
    backlog->until = head;
    if (backlog->since < head)
        backlog->since = head;
}

static void
op_flush(struct hub_member *member)
{
    struct poll *poll = container_of(member, struct poll, member);

    if (poll->streamed != NULL)
        return;
    widen(poll);
    look(poll, false);
}

/* It has waited long enough. */
static void
on_due(struct exchange_owner *owner)
{
    struct poll *poll = container_of(owner, struct poll, exchange_owner);

    widen(poll);
    look(poll, true);
}

/* Returns -1 without memory. */
static int
subscribe(struct poll *poll, const struct span *filters, unsigned n)
{
    for (; poll->n_filters < n; poll->n_filters++) {
        const struct span *filter = &filters[poll->n_filters];

        if (hub_subscribe(&poll->member, &poll->filters[poll->n_filters], filter->at,
                          filter->len) != 0)
            return -1;
    }
    return 0;
}

static struct poll *
make(const struct poll_options *options)
{
    static const struct hub_ops ops = {op_message, op_note, op_flush};
    const struct backlog_options backlog = {
        .hub = options->hub,
        .filters = options->filters,
        .n_filters = options->n_filters,
        .since = options->since,
        .retained = options->route->retain,
    };
    struct poll *poll = calloc(1, sizeof *poll + options->n_filters * sizeof poll->filters[0]);

    if (poll == NULL)
        return NULL;
    poll->exchange = options->exchange;
    poll->loop = hub_loop(options->hub);
    poll->route = options->route;
    poll->metrics = options->metrics;
    poll->headers = options->headers;
    poll->refusal = options->refusal;
    poll->owner = options->owner;
    hub_join(options->hub, &poll->member, &ops);
    poll->backlog = backlog_new(&backlog);
    if (poll->backlog != NULL)
        return poll;
    release(poll);
    return NULL;
}

static void
no_memory(const struct poll_options *options)
{
    exchange_lacks_memory(options->exchange);
    exchange_set_reason(options->exchange, METRICS_REFUSED_MEMORY);
    exchange_error(options->exchange, 503, options->refusal, "out of memory");
}

struct poll *
poll_open(const struct poll_options *options)
{
    static const struct exchange_events events = {.gone = on_gone, .due = on_due};
    struct poll *poll = make(options);

    if (poll == NULL) {
        no_memory(options);
        options->owner->gone(options->owner);
        return NULL;
    }
    metrics_add(&poll->metrics->flows[METRICS_LONGPOLL].opened, 1);
    look(poll, options->since == NULL || exchange_is_draining(options->exchange));
    if (poll->exchange == NULL)
        return NULL;
    if (poll->streamed != NULL)
        return poll;
    if (subscribe(poll, options->filters, options->n_filters) != 0) {
        finish(poll);
        no_memory(options);
        return NULL;
    }
    poll->member.seen = poll->backlog->since;
    poll->exchange_owner.events = &events;
    exchange_set_owner(options->exchange, &poll->exchange_owner);
    exchange_expect_talk(options->exchange, true);
    exchange_call_at(options->exchange, loop_now(poll->loop) + poll->route->poll_wait);
    return poll;
}

void
poll_leave(struct poll *poll)
{
    if (poll->exchange == NULL || poll->streamed != NULL)
        return;
    widen(poll);
    look(poll, true);
}

void
poll_close(struct poll *poll)
{
    struct exchange *exchange = poll->exchange;

    if (exchange == NULL)
        return;
    release(poll);
    exchange_break(exchange);
}
