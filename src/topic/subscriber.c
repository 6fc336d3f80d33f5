/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/subscriber.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "client/http.h"
#include "conf/conf.h"
#include "net/linger.h"
#include "topic/levels.h"
#include "topic/subscriber_state.h"

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

/* Takes it out of its list, where *at is. */
static void
drop_filter(struct subscriber *subscriber, struct subscriber_filter **at)
{
    struct subscriber_filter *filter = *at;

    *at = filter->next;
    subscriber->n_filters--;
    subscriber->n_levels -= filter->n_levels;
    hub_unsubscribe(&filter->filter);
    free(filter);
}

/* Those before last, which came later. */
static void
drop_filters(struct subscriber *subscriber, const struct subscriber_filter *last)
{
    while (subscriber->filters != last)
        drop_filter(subscriber, &subscriber->filters);
}

void
subscriber_drop_backlog(struct subscriber *subscriber)
{
    struct backlog *backlog = subscriber->backlogs;

    subscriber->backlogs = backlog->next;
    subscriber->n_backlogs--;
    backlog_free(backlog);
}

void
subscriber_discard(struct subscriber *subscriber)
{
    drop_filters(subscriber, NULL);
    hub_leave(&subscriber->member);
    while (subscriber->backlogs != NULL)
        subscriber_drop_backlog(subscriber);
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

/* number: behind which message. */
static void
mark(struct subscriber *subscriber, enum queue_kind kind, uint64_t number)
{
    if (subscriber->events && subscriber->fault == 0 &&
        queue_mark(&subscriber->queue, kind, number) != 0)
        subscriber->fault = 1011;
}

static void
op_note(struct hub_member *member, enum hub_note note)
{
    static const enum queue_kind kinds[] = {
        [HUB_DOWN] = QUEUE_DOWN, [HUB_UP] = QUEUE_UP, [HUB_RESET] = QUEUE_RESET};

    mark(from_member(member), kinds[note], hub_head(member->hub));
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
    if (stream_is_broken(subscriber->stream))
        subscriber_end(subscriber, false, ENDER_CLIENT, 1006, stream_why(subscriber->stream));
    else if (subscriber->fault != 0)
        end_faulty(subscriber);
    else if (!waited && stream_pending(subscriber->stream) > 0)
        subscriber_tell_due(subscriber);
}

/* ---- for the stream ---- */

void
subscriber_progress(struct subscriber *subscriber)
{
    if (!stream_is_broken(subscriber->stream))
        subscriber->kind->progress(subscriber);
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

/* ---- subscribing ---- */

static struct subscriber_filter *
find_filter(const struct subscriber *subscriber, const struct span *text)
{
    struct subscriber_filter *filter = subscriber->filters;

    while (filter != NULL &&
           !topic_subscription_is(&filter->filter.subscription, text->at, text->len))
        filter = filter->next;
    return filter;
}

/* What the backlog brings of it is told; what comes after that is for it. Returns -1 without memory. */
static int
add_filter(struct subscriber *subscriber, const struct span *text, const struct backlog *backlog)
{
    struct subscriber_filter *filter = find_filter(subscriber, text);

    if (filter != NULL) {
        filter->from = filter->from < backlog->after ? filter->from : backlog->after;
        return 0;
    }
    filter = calloc(1, sizeof *filter);
    if (filter == NULL)
        return -1;
    filter->from = backlog->after;
    filter->filter.after =
        backlog->since; /* perhaps seen on another worker: it will come here yet */
    if (hub_subscribe(&subscriber->member, &filter->filter, text->at, text->len) != 0) {
        free(filter);
        return -1;
    }
    filter->next = subscriber->filters;
    subscriber->filters = filter;
    subscriber->n_filters++;
    filter->n_levels = topic_levels_count(text->at, text->len);
    subscriber->n_levels += filter->n_levels;
    return 0;
}

/* The filters that it has, for the caller to free. Returns NULL without memory. */
static struct backlog_older *
older_filters(const struct subscriber *subscriber)
{
    size_t bytes = 0;
    struct backlog_older *texts;
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

        texts[i++] = (struct backlog_older){.filter = {at, len}, .from = filter->from};
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
        .since = since,
        .retained = subscriber->route->retain,
    };
    struct backlog_older *older = NULL;
    struct backlog *backlog;

    if (since != NULL && subscriber->n_filters > 0) {
        older = older_filters(subscriber);
        if (older == NULL)
            return NULL;
        options.older = older;
        options.n_older = subscriber->n_filters;
    }
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

/* What it has already costs nothing more. What it begins with may be the route's own list, which is not
 * bounded so. */
static const char *
too_many(const struct subscriber *subscriber, const struct span *filters, unsigned n)
{
    unsigned n_new = 0, levels = 0;

    for (unsigned i = 0; i < n; i++) {
        if (find_filter(subscriber, &filters[i]) != NULL)
            continue;
        n_new++;
        levels += topic_levels_count(filters[i].at, filters[i].len);
    }
    if (subscriber->n_filters + n_new > SUBSCRIBER_FILTERS_MAX)
        return "too many filters";
    if (!subscriber_is_over(subscriber) && subscriber->n_levels + levels > TOPIC_LEVELS_CLIENT)
        return "too many levels in all filters together";
    return NULL;
}

const char *
subscriber_subscribe(struct subscriber *subscriber, const struct span *filters, unsigned n,
                     const char *since)
{
    struct subscriber_filter *had = subscriber->filters;
    struct backlog *backlog;
    const char *why = too_many(subscriber, filters, n);

    if (why != NULL)
        return why;
    if (subscriber->n_backlogs == SUBSCRIBER_BACKLOGS_MAX)
        return "too many subscriptions that have not begun yet";
    backlog = make_backlog(subscriber, filters, n, since);
    if (backlog == NULL)
        return "out of memory";
    subscriber->walked += backlog->walked;
    for (unsigned i = 0; i < n; i++) {
        if (add_filter(subscriber, &filters[i], backlog) != 0) {
            drop_filters(subscriber, had);
            backlog_free(backlog);
            return "out of memory";
        }
    }
    /* Its cursor does not go back to where this worker is. But other filters wait for what is between. */
    if (had == NULL && subscriber->member.seen < backlog->since)
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
        drop_filter(subscriber, at);
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
    const struct hub *hub = subscriber->member.hub;

    metrics_add(&subscriber->metrics->flows[subscriber->kind->transport].opened, 1);
    if (hub_is_down(hub))
        mark(subscriber, QUEUE_DOWN, hub_head(hub) + 1); /* behind what it begins with */
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
