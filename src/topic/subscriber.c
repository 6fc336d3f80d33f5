/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/subscriber.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "net/linger.h"
#include "topic/bus.h"
#include "topic/cursor.h"
#include "topic/envelope.h"
#include "topic/subscriber_state.h"

enum {
    PIECES_MAX = 64, /* messages in one call to the kernel */
    EVENT_MAX = 256, /* bytes of an event that names no filters */
};

static struct subscriber *
from_member(struct hub_member *member)
{
    return container_of(member, struct subscriber, member);
}

/* ---- ending ---- */

static void
on_free(struct loop_deferred *deferred)
{
    struct subscriber *subscriber = container_of(deferred, struct subscriber, free_later);

    subscriber->kind->free(subscriber);
}

static void
drop_filters(struct subscriber *subscriber)
{
    struct subscriber_filter *filter;

    while ((filter = subscriber->filters) != NULL) {
        subscriber->filters = filter->next;
        hub_unsubscribe(&filter->filter);
        free(filter);
    }
    subscriber->n_filters = 0;
}

static void
drop_backlog(struct subscriber *subscriber)
{
    struct backlog *backlog = subscriber->backlogs;

    subscriber->backlogs = backlog->next;
    subscriber->n_backlogs--;
    backlog_free(backlog);
}

void
subscriber_discard(struct subscriber *subscriber)
{
    drop_filters(subscriber);
    hub_leave(&subscriber->member);
    while (subscriber->backlogs != NULL)
        drop_backlog(subscriber);
    queue_clear(&subscriber->queue);
    timer_deinit(&subscriber->timer);
    loop_defer(subscriber->loop, &subscriber->free_later, on_free);
}

/* gently: what the stream holds is sent. */
static void
release(struct subscriber *subscriber, bool gently)
{
    const struct conf_route *route = subscriber->route;

    if (gently)
        linger_start(subscriber->lingers, subscriber->stream, route->write_timeout,
                     route->close_timeout);
    else
        stream_close(subscriber->stream);
    subscriber->stream = NULL;
    subscriber_discard(subscriber);
}

void
subscriber_end(struct subscriber *subscriber, bool gently, enum ender by, uint16_t code,
               const char *reason)
{
    struct ending ending = {.by = by, .code = code, .reason = reason};
    struct subscriber_owner *owner = subscriber->owner;

    if (subscriber_is_over(subscriber))
        return;
    release(subscriber, gently);
    owner->gone(owner, &ending, subscriber->in, subscriber->out);
}

void
subscriber_close(struct subscriber *subscriber)
{
    if (!subscriber_is_over(subscriber))
        release(subscriber, false);
}

/* ---- sending ---- */

static void
count(struct subscriber *subscriber, size_t bytes, unsigned messages)
{
    struct metrics_flow *flow = &subscriber->metrics->flows[subscriber->kind->transport];

    subscriber->out += bytes;
    metrics_add(&flow->bytes[METRICS_OUT], bytes);
    metrics_add(&flow->messages[METRICS_OUT], messages);
}

/* On TLS records are made here, of as many messages as fit. Returns how many messages were taken. */
static unsigned
write_each(struct subscriber *subscriber, const struct iovec *pieces, unsigned n)
{
    unsigned done = 0;

    stream_hold(subscriber->stream, true);
    while (done < n && stream_pending(subscriber->stream) < SUBSCRIBER_PENDING_MAX) {
        if (stream_write(subscriber->stream, pieces[done].iov_base, pieces[done].iov_len) != 0)
            break;
        done++;
    }
    stream_hold(subscriber->stream, false);
    return done;
}

/* Of what the socket did not take the rest of one message is kept, so that the stream tells when it takes
 * more. */
static unsigned
keep_rest(struct subscriber *subscriber, const struct iovec *pieces, unsigned n, size_t taken)
{
    unsigned i = 0;

    while (i < n && taken >= pieces[i].iov_len)
        taken -= pieces[i++].iov_len;
    if (i == n)
        return n;
    stream_write(subscriber->stream, (char *)pieces[i].iov_base + taken, pieces[i].iov_len - taken);
    return i + 1;
}

/* Returns how many messages were taken. */
static unsigned
send_pieces(struct subscriber *subscriber, struct iovec *pieces, unsigned n)
{
    size_t bytes = 0;
    unsigned done;

    if (!stream_is_plain(subscriber->stream)) {
        done = write_each(subscriber, pieces, n);
    } else {
        ssize_t taken = stream_offer(subscriber->stream, pieces, n);

        done = taken < 0 ? 0 : keep_rest(subscriber, pieces, n, (size_t)taken);
    }
    for (unsigned i = 0; i < done; i++)
        bytes += pieces[i].iov_len;
    count(subscriber, bytes, done);
    return done;
}

/* Returns how many were taken; the subscriber has a fault without memory. */
static unsigned
send_messages(struct subscriber *subscriber, struct topic_message *const *messages, unsigned n,
              enum topic_form form)
{
    const char *epoch = hub_epoch(subscriber->member.hub);
    struct iovec pieces[PIECES_MAX];

    for (unsigned i = 0; i < n; i++) {
        struct blob *blob = topic_message_form(messages[i], form, epoch);

        if (blob == NULL) {
            subscriber->fault = 1011;
            return 0;
        }
        pieces[i] = (struct iovec){blob->data, blob->len};
    }
    subscriber->told = loop_now(subscriber->loop);
    return send_pieces(subscriber, pieces, n);
}

static void
send_event(struct subscriber *subscriber, const char *json, size_t len, const char *id)
{
    if (subscriber->events)
        subscriber->kind->event(subscriber, json, len, id);
}

static void
send_reset(struct subscriber *subscriber)
{
    char json[EVENT_MAX];

    send_event(subscriber, json, topic_envelope_reset(json), NULL);
}

static void
send_mark(struct subscriber *subscriber, const struct queue_item *item)
{
    char json[EVENT_MAX];
    size_t len = 0;

    switch ((enum queue_kind)item->kind) {
    case QUEUE_DROPPED:
        len = topic_envelope_dropped(json, item->count);
        break;
    case QUEUE_RESET:
        len = topic_envelope_reset(json);
        break;
    case QUEUE_DOWN:
    case QUEUE_UP:
        len = topic_envelope_bus(json, item->kind == QUEUE_UP);
        break;
    case QUEUE_MESSAGE:
        return;
    }
    send_event(subscriber, json, len, NULL);
}

/* ---- what is sent next ---- */

static void
push_queue(struct subscriber *subscriber)
{
    struct queue *queue = &subscriber->queue;
    struct topic_message *messages[PIECES_MAX];
    unsigned n = 0;

    while (n < PIECES_MAX && n < queue->n && queue_at(queue, n)->kind == QUEUE_MESSAGE) {
        messages[n] = queue_at(queue, n)->message;
        n++;
    }
    if (n == 0) {
        send_mark(subscriber, queue_at(queue, 0));
        queue_drop(queue, 1);
        return;
    }
    n = send_messages(subscriber, messages, n, (enum topic_form)subscriber->form);
    if (n > 0)
        queue_drop(queue, n);
}

/* It has begun: from here on an id moves the client's cursor. */
static void
send_subscribed(struct subscriber *subscriber, const struct backlog *backlog)
{
    char since[CURSOR_MAX + 1];
    char *json;
    size_t len;

    cursor_write(since, hub_epoch(subscriber->member.hub), backlog->since);
    if (!subscriber->events) {
        subscriber->kind->cursor(subscriber, since);
        return;
    }
    len = topic_envelope_subscribed(NULL, backlog->filters, backlog->n_filters, since);
    json = malloc(len);
    if (json == NULL) {
        subscriber->fault = 1011;
        return;
    }
    (void)topic_envelope_subscribed(json, backlog->filters, backlog->n_filters, since);
    send_event(subscriber, json, len, since);
    free(json);
}

static void
push_backlog(struct subscriber *subscriber)
{
    struct backlog *backlog = subscriber->backlogs;
    struct topic_message *messages[PIECES_MAX];
    int n;

    if (backlog->reset) {
        backlog->reset = false;
        send_reset(subscriber);
        return;
    }
    n = (int)backlog_retained(backlog, messages, PIECES_MAX);
    if (n > 0) {
        backlog_retained_sent(backlog, send_messages(subscriber, messages, (unsigned)n,
                                                     (enum topic_form)subscriber->form_retained));
        return;
    }
    n = backlog_history(backlog, subscriber->member.hub, subscriber->route->retain, messages,
                        PIECES_MAX);
    if (n > 0) {
        n = (int)send_messages(subscriber, messages, (unsigned)n,
                               (enum topic_form)subscriber->form);
        if (n > 0)
            backlog_history_sent(backlog, messages[n - 1]->number);
        return;
    }
    if (n == 0) {
        send_subscribed(subscriber, backlog);
        drop_backlog(subscriber);
    }
}

static bool
has_something(const struct subscriber *subscriber)
{
    return subscriber->backlogs != NULL || subscriber->queue.n > 0;
}

bool
subscriber_is_even(const struct subscriber *subscriber)
{
    return !has_something(subscriber) && stream_pending(subscriber->stream) == 0;
}

void
subscriber_push(struct subscriber *subscriber)
{
    while (subscriber->fault == 0 && !subscriber->talked && has_something(subscriber) &&
           stream_pending(subscriber->stream) == 0 && !stream_is_broken(subscriber->stream)) {
        if (subscriber->backlogs != NULL)
            push_backlog(subscriber);
        else
            push_queue(subscriber);
    }
    if (subscriber->fault == 0 && subscriber->leave_code != 0 && !subscriber->talked &&
        !has_something(subscriber)) {
        subscriber->talked = true;
        subscriber->kind->goodbye(subscriber, subscriber->leave_code, subscriber->leave_reason);
    }
}

/* ---- for the hub ---- */

static void
op_message(struct hub_member *member, struct topic_message *message)
{
    struct subscriber *subscriber = from_member(member);
    const struct conf_route *route = subscriber->route;
    const struct queue_rule rule = {route->queue_messages, route->queue_bytes, route->overflow};

    if (subscriber->fault != 0 || subscriber->leave_code != 0)
        return;
    switch (queue_add(&subscriber->queue, &rule, message)) {
    case QUEUE_TAKEN:
        break;
    case QUEUE_LOST:
        metrics_add(&subscriber->metrics->topics.dropped, 1);
        break;
    case QUEUE_OVER:
        subscriber->fault = 1013;
        break;
    case QUEUE_NO_MEMORY:
        subscriber->fault = 1011;
        break;
    }
}

static void
op_note(struct hub_member *member, enum hub_note note)
{
    static const enum queue_kind kinds[] = {
        [HUB_DOWN] = QUEUE_DOWN, [HUB_UP] = QUEUE_UP, [HUB_RESET] = QUEUE_RESET};
    struct subscriber *subscriber = from_member(member);

    if (subscriber->events && subscriber->fault == 0 &&
        queue_mark(&subscriber->queue, kinds[note]) != 0)
        subscriber->fault = 1011;
}

/* A client that is too slow, or for which there is no memory. */
static void
end_faulty(struct subscriber *subscriber)
{
    uint16_t code = subscriber->fault;
    const char *reason = code == 1013 ? "too slow: the queue is full" : "out of memory";

    subscriber->kind->goodbye(subscriber, code, reason);
    if (!subscriber_is_over(subscriber))
        subscriber_end(subscriber, true, ENDER_CULVERT, code, reason);
}

static void
op_flush(struct hub_member *member)
{
    struct subscriber *subscriber = from_member(member);
    bool waited = stream_pending(subscriber->stream) > 0;

    subscriber_push(subscriber);
    if (subscriber_is_over(subscriber))
        return;
    if (subscriber->fault != 0)
        end_faulty(subscriber);
    else if (!waited && stream_pending(subscriber->stream) > 0)
        subscriber_tell_due(subscriber);
}

/* ---- for the stream ---- */

void
subscriber_progress(struct subscriber *subscriber)
{
    if (stream_is_broken(subscriber->stream)) {
        subscriber_end(subscriber, false, ENDER_CLIENT, 1006, stream_why(subscriber->stream));
        return;
    }
    subscriber->kind->progress(subscriber);
    if (subscriber_is_over(subscriber))
        return;
    op_flush(&subscriber->member);
}

/* ---- time ---- */

void
subscriber_tell_due(struct subscriber *subscriber)
{
    double due = subscriber->kind->look(subscriber);

    if (!subscriber_is_over(subscriber))
        timer_set(&subscriber->timer, due);
}

static void
on_timer(struct timer *timer)
{
    subscriber_tell_due(container_of(timer, struct subscriber, timer));
}

void
subscriber_send_cursor(struct subscriber *subscriber)
{
    const struct hub *hub = subscriber->member.hub;
    char since[CURSOR_MAX + 1];
    uint64_t head = hub_head(hub), seen = subscriber->member.seen;

    subscriber->told = loop_now(subscriber->loop);
    if (!subscriber_is_even(subscriber))
        return;
    subscriber->kind->cursor(subscriber,
                             cursor_write(since, hub_epoch(hub), seen > head ? seen : head));
}

/* ---- subscribing ---- */

static bool
has_filter(const struct subscriber *subscriber, const struct span *text)
{
    const struct subscriber_filter *filter = subscriber->filters;

    while (filter != NULL &&
           !topic_subscription_is(&filter->filter.subscription, text->at, text->len))
        filter = filter->next;
    return filter != NULL;
}

/* Returns -1 without memory. */
static int
add_filter(struct subscriber *subscriber, const struct span *text)
{
    struct subscriber_filter *filter = calloc(1, sizeof *filter);

    if (filter == NULL)
        return -1;
    if (hub_subscribe(&subscriber->member, &filter->filter, text->at, text->len) != 0) {
        free(filter);
        return -1;
    }
    filter->next = subscriber->filters;
    subscriber->filters = filter;
    subscriber->n_filters++;
    return 0;
}

/* The filters that it has, as texts in *bytes, which the caller frees. Returns NULL without memory. */
static struct span *
filter_texts(const struct subscriber *subscriber)
{
    size_t bytes = 0;
    struct span *texts;
    unsigned i = 0;
    char *at;

    for (const struct subscriber_filter *filter = subscriber->filters; filter != NULL;
         filter = filter->next)
        bytes += topic_subscription_filter(&filter->filter.subscription, NULL, 0);
    texts = malloc(subscriber->n_filters * sizeof *texts + bytes + 1);
    if (texts == NULL)
        return NULL;
    at = (char *)&texts[subscriber->n_filters];
    for (const struct subscriber_filter *filter = subscriber->filters; filter != NULL;
         filter = filter->next) {
        size_t len = topic_subscription_filter(&filter->filter.subscription, at, bytes);

        texts[i++] = (struct span){at, len};
        at += len;
        bytes -= len;
    }
    return texts;
}

static struct backlog *
make_backlog(struct subscriber *subscriber, const struct span *filters, unsigned n,
             const char *since)
{
    struct backlog_options options = {
        .hub = subscriber->member.hub,
        .filters = filters,
        .n_filters = n,
        .n_older = subscriber->n_filters,
        .since = since,
        .retained = subscriber->route->retain,
    };
    struct span *older = since == NULL || options.n_older == 0 ? NULL : filter_texts(subscriber);
    struct backlog *backlog;

    if (older == NULL)
        options.n_older = 0;
    options.older = older;
    backlog = backlog_new(&options);
    free(older);
    return backlog;
}

static void
add_backlog(struct subscriber *subscriber, struct backlog *backlog)
{
    struct backlog **end = &subscriber->backlogs;

    while (*end != NULL)
        end = &(*end)->next;
    *end = backlog;
    subscriber->n_backlogs++;
}

const char *
subscriber_subscribe(struct subscriber *subscriber, const struct span *filters, unsigned n,
                     const char *since)
{
    struct backlog *backlog;

    if (subscriber->n_filters + n > SUBSCRIBER_FILTERS_MAX)
        return "too many filters";
    if (subscriber->n_backlogs == SUBSCRIBER_BACKLOGS_MAX)
        return "too many subscriptions that have not begun yet";
    backlog = make_backlog(subscriber, filters, n, since);
    if (backlog == NULL)
        return "out of memory";
    for (unsigned i = 0; i < n; i++) {
        if (!has_filter(subscriber, &filters[i]) && add_filter(subscriber, &filters[i]) != 0) {
            backlog_free(backlog);
            return "out of memory";
        }
    }
    /* What it has seen on another worker, which this one will get yet. */
    if (subscriber->member.seen < backlog->since)
        subscriber->member.seen = backlog->since;
    add_backlog(subscriber, backlog);
    return NULL;
}

void
subscriber_unsubscribe(struct subscriber *subscriber, const struct span *filters, unsigned n)
{
    struct subscriber_filter **at = &subscriber->filters;

    while (*at != NULL) {
        struct subscriber_filter *filter = *at;
        unsigned i = 0;

        while (i < n &&
               !topic_subscription_is(&filter->filter.subscription, filters[i].at, filters[i].len))
            i++;
        if (i == n) {
            at = &filter->next;
            continue;
        }
        *at = filter->next;
        hub_unsubscribe(&filter->filter);
        free(filter);
        subscriber->n_filters--;
    }
}

/* ---- lifetime ---- */

void
subscriber_init(struct subscriber *subscriber, const struct subscriber_kind *kind,
                const struct subscriber_options *options)
{
    static const struct hub_ops ops = {op_message, op_note, op_flush};

    subscriber->kind = kind;
    subscriber->loop = hub_loop(options->hub);
    subscriber->route = options->route;
    subscriber->lingers = options->lingers;
    subscriber->metrics = options->metrics;
    subscriber->owner = options->owner;
    subscriber->told = loop_now(subscriber->loop);
    timer_init(&subscriber->timer, subscriber->loop, on_timer);
    hub_join(options->hub, &subscriber->member, &ops);
}

void
subscriber_begin(struct subscriber *subscriber)
{
    metrics_add(&subscriber->metrics->flows[subscriber->kind->transport].opened, 1);
    op_flush(&subscriber->member);
    if (!subscriber_is_over(subscriber))
        subscriber_tell_due(subscriber);
}

void
subscriber_leave(struct subscriber *subscriber, uint16_t code, const char *reason)
{
    if (subscriber_is_over(subscriber) || subscriber->leave_code != 0)
        return;
    subscriber->leave_code = code;
    subscriber->leave_reason = reason;
    subscriber_push(subscriber);
    if (!subscriber_is_over(subscriber))
        subscriber_tell_due(subscriber);
}
