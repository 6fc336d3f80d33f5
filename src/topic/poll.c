/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/poll.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/gather.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/timer.h"
#include "topic/backlog.h"
#include "topic/cursor.h"
#include "topic/envelope.h"
#include "topic/hub.h"
#include "topic/message.h"

#define BEGINNING "{\"messages\":["

enum {
    SLICE = 32, /* messages that are looked up at a time */
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
    struct backlog *backlog; /* what is to be told */
    unsigned n_filters;      /* those that are subscribed to */
    uint64_t first;          /* that came for it and is to be looked at; 0: none came */
    bool was_told[2];        /* of the bus: that it went, that it came */
    struct timer timer;
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
release(struct poll *poll)
{
    for (unsigned i = 0; i < poll->n_filters; i++)
        hub_unsubscribe(&poll->filters[i]);
    hub_leave(&poll->member);
    backlog_free(poll->backlog);
    timer_deinit(&poll->timer);
    poll->exchange = NULL;
    loop_defer(poll->loop, &poll->free_later, on_free);
}

/* ---- the answer ---- */

struct answer {
    struct gather body;
    size_t bytes; /* of topics and payloads */
    unsigned messages;
    size_t message_bytes; /* as the client gets them */
    unsigned n;
    bool partial; /* there may be more in history */
    bool failed;
};

static void
add(struct answer *answer, const void *bytes, size_t len)
{
    if (gather_add(&answer->body, bytes, len) != 0)
        answer->failed = true;
}

static void
add_element(struct answer *answer, const void *json, size_t len)
{
    if (answer->n == 0)
        add(answer, BEGINNING, strlen(BEGINNING));
    else
        add(answer, ",", 1);
    answer->n++;
    add(answer, json, len);
}

static void
add_message(struct answer *answer, struct poll *poll, struct topic_message *message,
            enum topic_form form)
{
    struct blob *blob = topic_message_form(message, form, hub_epoch(poll->member.hub));

    if (blob == NULL) {
        answer->failed = true;
        return;
    }
    add_element(answer, blob->data + blob->tag, blob->len - blob->tag);
    answer->bytes += message->topic_len + message->payload_len;
    answer->messages++;
    answer->message_bytes += blob->len - blob->tag;
}

static bool
is_full(const struct answer *answer, const struct poll *poll)
{
    return answer->failed || answer->n >= poll->route->queue_messages ||
           answer->bytes >= poll->route->queue_bytes;
}

/* Those that come in any case, whatever their number: nobody could ask for the rest. */
static void
add_retained(struct answer *answer, struct poll *poll)
{
    struct topic_message *messages[SLICE];
    unsigned n;

    while (!answer->failed && (n = backlog_retained(poll->backlog, messages, SLICE)) > 0) {
        for (unsigned i = 0; i < n; i++)
            add_message(answer, poll, messages[i], TOPIC_FORM_FRAME_RETAINED);
        backlog_retained_sent(poll->backlog, n);
    }
}

/* Returns the number up to which all was told. Where history is too long for one turn, the client asks for the
 * rest. */
static uint64_t
add_history(struct answer *answer, struct poll *poll)
{
    struct backlog *backlog = poll->backlog;
    struct topic_message *messages[SLICE];
    unsigned work = BACKLOG_WORK;
    int n;

    while ((n = backlog_history(backlog, poll->member.hub, poll->route->retain, messages, SLICE,
                                &work)) > 0) {
        for (int i = 0; i < n; i++) {
            if (is_full(answer, poll))
                return backlog->after;
            add_message(answer, poll, messages[i], TOPIC_FORM_FRAME);
            backlog_history_sent(backlog, messages[i]->number);
        }
    }
    answer->partial = work == 0 && backlog->after < backlog->until;
    return answer->partial ? backlog->after : backlog->since;
}

static void
add_reset(struct answer *answer, struct poll *poll)
{
    char json[64];
    size_t len = topic_envelope_reset(json);

    if (!poll->backlog->reset)
        return;
    poll->backlog->reset = false;
    add_element(answer, json, len);
}

static void
add_states(struct answer *answer, const struct poll *poll)
{
    char json[64];

    for (unsigned up = 0; up < 2; up++) {
        size_t len = topic_envelope_bus(json, up == 1);

        if (poll->was_told[up])
            add_element(answer, json, len);
    }
}

static void
finish(struct poll *poll)
{
    struct poll_owner *owner = poll->owner;

    metrics_add(&poll->metrics->flows[METRICS_LONGPOLL].ended, 1);
    release(poll);
    owner->gone(owner);
}

static void
send_answer(struct poll *poll, struct answer *answer, uint64_t number)
{
    struct exchange *exchange = poll->exchange;
    struct metrics_flow *flow = &poll->metrics->flows[METRICS_LONGPOLL];
    char since[CURSOR_MAX + 1];

    cursor_write(since, hub_epoch(poll->member.hub), number);
    if (answer->n == 0)
        add(answer, BEGINNING, strlen(BEGINNING));
    add(answer, "],\"since\":\"", 11);
    add(answer, since, strlen(since));
    add(answer, "\"}\n", 3);
    metrics_add(&flow->messages[METRICS_OUT], answer->messages);
    metrics_add(&flow->bytes[METRICS_OUT], answer->message_bytes);
    finish(poll);
    if (answer->failed)
        exchange_error(exchange, 503, poll->refusal, "out of memory");
    else
        exchange_answer(exchange, 200, poll->headers, gather_data(&answer->body),
                        gather_len(&answer->body));
    gather_clear(&answer->body);
}

/* Answers if there is something to tell, or if it has to. */
static void
look(struct poll *poll, bool must)
{
    struct answer answer = {.n = 0};
    uint64_t number;

    add_reset(&answer, poll);
    add_retained(&answer, poll);
    number = add_history(&answer, poll);
    add_reset(&answer, poll); /* history was lost meanwhile: it begins anew */
    add_retained(&answer, poll);
    if (answer.n == 0)
        add_states(&answer, poll);
    if (answer.n > 0 || answer.partial || answer.failed || must)
        send_answer(poll, &answer, number);
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

    widen(poll);
    look(poll, false);
}

static void
on_timer(struct timer *timer)
{
    struct poll *poll = container_of(timer, struct poll, timer);

    widen(poll);
    look(poll, true);
}

static void
on_gone(struct exchange_owner *owner)
{
    finish(container_of(owner, struct poll, exchange_owner));
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
    timer_init(&poll->timer, poll->loop, on_timer);
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
    log_error(loop_log(exchange_loop(options->exchange)), exchange_name(options->exchange),
              "out of memory");
    exchange_set_reason(options->exchange, METRICS_REFUSED_MEMORY);
    exchange_error(options->exchange, 503, options->refusal, "out of memory");
}

struct poll *
poll_open(const struct poll_options *options)
{
    static const struct exchange_events events = {.gone = on_gone};
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
    if (subscribe(poll, options->filters, options->n_filters) != 0) {
        finish(poll);
        no_memory(options);
        return NULL;
    }
    poll->member.seen = poll->backlog->since;
    poll->exchange_owner.events = &events;
    exchange_set_owner(options->exchange, &poll->exchange_owner);
    exchange_expect_talk(options->exchange);
    timer_set(&poll->timer, loop_now(poll->loop) + poll->route->poll_wait);
    return poll;
}

void
poll_leave(struct poll *poll)
{
    if (poll->exchange == NULL)
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
