/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/queue.h"

#include <stdlib.h>
#include <string.h>

enum {
    RING_MIN = 4,
    RING_MAX = 1 << 24,
};

static size_t
cost(const struct topic_message *message)
{
    return message->topic_len + message->payload_len;
}

static void
let_go(struct queue *queue, struct queue_item *item)
{
    if (item->kind != QUEUE_MESSAGE)
        return;
    queue->n_messages--;
    queue->bytes -= cost(item->message);
    topic_message_unref(item->message);
}

/* An empty one owns nothing. */
static void
settle(struct queue *queue)
{
    if (queue->n > 0)
        return;
    free(queue->ring);
    *queue = (struct queue){.ring = NULL};
}

void
queue_drop(struct queue *queue, uint32_t n)
{
    for (; n > 0; n--) {
        let_go(queue, queue_at(queue, 0));
        queue->first = (queue->first + 1) & (queue->room - 1);
        queue->n--;
    }
    settle(queue);
}

void
queue_clear(struct queue *queue)
{
    queue_drop(queue, queue->n);
}

static int
grow(struct queue *queue)
{
    uint32_t room = queue->room == 0 ? RING_MIN : 2 * queue->room;
    struct queue_item *ring = room > RING_MAX ? NULL : malloc(room * sizeof *ring);

    if (ring == NULL)
        return -1;
    for (uint32_t i = 0; i < queue->n; i++)
        ring[i] = *queue_at(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->room = room;
    queue->first = 0;
    return 0;
}

/* At the end. Returns -1 without memory. */
static int
append(struct queue *queue, struct queue_item item)
{
    if (queue->n == queue->room && grow(queue) != 0)
        return -1;
    queue->n++;
    *queue_at(queue, queue->n - 1) = item;
    return 0;
}

/* The item is that of a loss now. count 0: of nothing, which compact() removes. */
static void
empty(struct queue *queue, struct queue_item *item, uint32_t count)
{
    uint64_t number = queue_number(item);

    let_go(queue, item);
    *item = (struct queue_item){.kind = QUEUE_DROPPED, .number = number, .count = count};
}

/* Closes the gaps that others have left as items of no count; neighbouring losses become one. */
static void
compact(struct queue *queue)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < queue->n; i++) {
        struct queue_item item = *queue_at(queue, i);

        if (item.kind == QUEUE_DROPPED && item.count == 0)
            continue;
        if (item.kind == QUEUE_DROPPED && kept > 0 &&
            queue_at(queue, kept - 1)->kind == QUEUE_DROPPED)
            queue_at(queue, kept - 1)->count += item.count;
        else
            *queue_at(queue, kept++) = item;
    }
    queue->n = kept;
}

/* ---- drop-oldest ---- */

/* Where no message waits one of any length does: else nobody would get one that is larger than queues are,
 * however fast it is read. */
static bool
is_full(const struct queue *queue, const struct queue_rule *rule, size_t more)
{
    return queue->n_messages > 0 &&
           (queue->n_messages >= rule->messages_max || queue->bytes + more > rule->bytes_max);
}

/* Of a queue that is full. */
static void
drop_oldest(struct queue *queue, const struct queue_rule *rule, size_t more)
{
    uint64_t number = queue_number(queue_at(queue, 0));
    uint32_t at = 0, count = 0;

    /* Losses at the beginning are told as one, whatever marks lie between: they stay behind it. */
    while (at < queue->n && is_full(queue, rule, more)) {
        struct queue_item *item = queue_at(queue, at++);

        if (item->kind != QUEUE_MESSAGE && item->kind != QUEUE_DROPPED) {
            at--;
            break;
        }
        count += item->kind == QUEUE_MESSAGE ? 1 : item->count;
        empty(queue, item, 0);
    }
    if (at == 0)
        return;
    /* The last one that was emptied is where they are told. */
    *queue_at(queue, at - 1) =
        (struct queue_item){.kind = QUEUE_DROPPED, .number = number, .count = count};
    queue->first = (queue->first + at - 1) & (queue->room - 1);
    queue->n -= at - 1;
}

/* With a mark in the way, the oldest message behind it. */
static void
make_room(struct queue *queue, const struct queue_rule *rule, size_t more)
{
    if (is_full(queue, rule, more))
        drop_oldest(queue, rule, more);
    if (!is_full(queue, rule, more))
        return;
    for (uint32_t i = 0; i < queue->n && is_full(queue, rule, more); i++) {
        if (queue_at(queue, i)->kind == QUEUE_MESSAGE)
            empty(queue, queue_at(queue, i), 1);
    }
    compact(queue);
}

/* ---- coalesce ---- */

static bool
same_topic(const struct topic_message *a, const struct topic_message *b)
{
    return a->topic_len == b->topic_len &&
           memcmp(topic_message_topic(a), topic_message_topic(b), a->topic_len) == 0;
}

/* Removes what the message supersedes. */
static void
supersede(struct queue *queue, const struct topic_message *message)
{
    bool found = false;

    for (uint32_t i = 0; i < queue->n; i++) {
        struct queue_item *item = queue_at(queue, i);

        if (item->kind != QUEUE_MESSAGE || !same_topic(item->message, message))
            continue;
        empty(queue, item, 0);
        found = true;
    }
    if (found)
        compact(queue);
}

static int
by_topic(const void *a, const void *b)
{
    const struct topic_message *x = *(struct topic_message *const *)a;
    const struct topic_message *y = *(struct topic_message *const *)b;
    int order = strcmp(topic_message_topic(x), topic_message_topic(y));

    return order != 0 ? order : x->number < y->number ? -1 : x->number > y->number;
}

/* Keeps the latest message of each topic: the first time that the queue is full; from then on each new
 * one supersedes one at most. Returns -1 without memory. */
static int
keep_latest(struct queue *queue)
{
    struct topic_message **sorted = malloc(queue->n_messages * sizeof(struct topic_message *));
    uint32_t n = 0;

    if (sorted == NULL)
        return -1;
    for (uint32_t i = 0; i < queue->n; i++)
        if (queue_at(queue, i)->kind == QUEUE_MESSAGE)
            sorted[n++] = queue_at(queue, i)->message;
    qsort(sorted, n, sizeof *sorted, by_topic);
    for (uint32_t i = 0; i < queue->n; i++) {
        struct queue_item *item = queue_at(queue, i);
        struct topic_message **at;

        if (item->kind != QUEUE_MESSAGE)
            continue;
        at = bsearch(&item->message, sorted, n, sizeof *sorted, by_topic);
        if (at + 1 == sorted + n || !same_topic(at[0], at[1]))
            continue;
        item->count = 1; /* superseded; it is still compared with */
    }
    free(sorted);
    for (uint32_t i = 0; i < queue->n; i++) {
        struct queue_item *item = queue_at(queue, i);

        if (item->kind != QUEUE_MESSAGE || item->count == 0)
            continue;
        empty(queue, item, 0);
    }
    compact(queue);
    queue->distinct = true;
    return 0;
}

static void
coalesce(struct queue *queue, const struct topic_message *message)
{
    if (!queue->distinct)
        (void)keep_latest(queue); /* without memory the oldest go, which is told */
    supersede(queue, message);
}

/* ---- adding ---- */

static enum queue_result
lose_new(struct queue *queue, uint64_t number)
{
    const struct queue_item loss = {.kind = QUEUE_DROPPED, .number = number, .count = 1};

    if (queue->n > 0 && queue_at(queue, queue->n - 1)->kind == QUEUE_DROPPED)
        queue_at(queue, queue->n - 1)->count++;
    else if (append(queue, loss) != 0)
        return QUEUE_NO_MEMORY;
    return QUEUE_LOST;
}

enum queue_result
queue_add(struct queue *queue, const struct queue_rule *rule, struct topic_message *message)
{
    size_t size = cost(message);
    uint32_t before;
    bool lost = false;

    if (is_full(queue, rule, size)) {
        if (rule->overflow == CONF_OVERFLOW_DISCONNECT)
            return QUEUE_OVER;
        if (rule->overflow == CONF_OVERFLOW_DROP_NEWEST || size > rule->bytes_max)
            return lose_new(queue, message->number);
        if (rule->overflow == CONF_OVERFLOW_COALESCE)
            coalesce(queue, message);
        before = queue->n_messages;
        make_room(queue, rule, size);
        lost = queue->n_messages < before;
    } else {
        queue->distinct = false;
    }
    if (append(queue, (struct queue_item){.kind = QUEUE_MESSAGE, .message = message}) != 0) {
        settle(queue);
        return QUEUE_NO_MEMORY;
    }
    topic_message_ref(message);
    queue->n_messages++;
    queue->bytes += size;
    return lost ? QUEUE_LOST : QUEUE_TAKEN;
}

int
queue_mark(struct queue *queue, enum queue_kind kind, uint64_t number)
{
    if (queue->n > 0 && queue_at(queue, queue->n - 1)->kind == kind)
        return 0;
    return append(queue, (struct queue_item){.kind = kind, .number = number});
}
