/* SPDX-License-Identifier: BSD-2-Clause */
/* What a subscriber is sent next, and how much of it the socket takes. */
#include <stdlib.h>

#include "base/blob.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "topic/cursor.h"
#include "topic/envelope.h"
#include "topic/subscriber_state.h"

enum {
    PIECES_MAX = 64, /* messages in one call to the kernel */
    EVENT_MAX = 256, /* bytes of an event that names no filters */
};

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
    ssize_t taken;

    if (!stream_is_plain(subscriber->stream))
        return write_each(subscriber, pieces, n);
    taken = stream_offer(subscriber->stream, pieces, n);
    return taken < 0 ? 0 : keep_rest(subscriber, pieces, n, (size_t)taken);
}

/* Returns how many were taken; the subscriber has a fault without memory. */
static unsigned
send_messages(struct subscriber *subscriber, struct topic_message *const *messages, unsigned n,
              enum topic_form form)
{
    const char *epoch = hub_epoch(subscriber->member.hub);
    struct iovec pieces[PIECES_MAX];
    const struct blob *blobs[PIECES_MAX];
    size_t bytes = 0;
    unsigned done;

    for (unsigned i = 0; i < n; i++) {
        struct blob *blob = topic_message_form(messages[i], form, epoch);

        if (blob == NULL) {
            subscriber->fault = 1011;
            return 0;
        }
        pieces[i] = (struct iovec){blob->data, blob->len};
        blobs[i] = blob;
    }
    subscriber->told = loop_now(subscriber->loop);
    done = send_pieces(subscriber, pieces, n);
    for (unsigned i = 0; i < done && i < n; i++)
        bytes += blobs[i]->len - blobs[i]->tag;
    count(subscriber, bytes, done);
    return done;
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
    size_t len = topic_envelope_reset(json);

    send_event(subscriber, json, len, NULL);
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

/* What waited when a subscription began goes before it: it is older than what `subscribed` tells, and a cursor
 * must not pass what is not sent, nor a loss that is not told. */
static bool
queue_is_older(const struct subscriber *subscriber)
{
    const struct queue *queue = &subscriber->queue;

    return queue->n > 0 && queue_number(queue_at(queue, 0)) <= subscriber->backlogs->until;
}

/* The first item, or messages up to that number. */
static void
push_queue(struct subscriber *subscriber, uint64_t until)
{
    struct queue *queue = &subscriber->queue;
    struct topic_message *messages[PIECES_MAX];
    unsigned n = 0;

    if (queue_at(queue, 0)->kind != QUEUE_MESSAGE) {
        send_mark(subscriber, queue_at(queue, 0));
        queue_drop(queue, 1);
        return;
    }
    while (n < PIECES_MAX && n < queue->n && queue_at(queue, n)->kind == QUEUE_MESSAGE &&
           queue_at(queue, n)->message->number <= until) {
        messages[n] = queue_at(queue, n)->message;
        n++;
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
push_backlog(struct subscriber *subscriber, unsigned *work)
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
                        PIECES_MAX, work);
    if (n > 0) {
        n = (int)send_messages(subscriber, messages, (unsigned)n,
                               (enum topic_form)subscriber->form);
        if (n > 0)
            backlog_history_sent(backlog, messages[n - 1]->number);
        return;
    }
    if (n == 0 && *work > 0) {
        send_subscribed(subscriber, backlog);
        subscriber_drop_backlog(subscriber);
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
    unsigned work = BACKLOG_WORK;

    while (work > 0 && subscriber->fault == 0 && !subscriber->talked && has_something(subscriber) &&
           stream_pending(subscriber->stream) == 0 && !stream_is_broken(subscriber->stream)) {
        if (subscriber->backlogs == NULL)
            push_queue(subscriber, UINT64_MAX);
        else if (queue_is_older(subscriber))
            push_queue(subscriber, subscriber->backlogs->until);
        else
            push_backlog(subscriber, &work);
    }
    if (work == 0)
        hub_touch_next(&subscriber->member);
    if (subscriber->fault == 0 && subscriber->leave_code != 0 && !subscriber->talked &&
        !has_something(subscriber)) {
        subscriber->talked = true;
        subscriber->kind->goodbye(subscriber, subscriber->leave_code, subscriber->leave_reason);
    }
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
