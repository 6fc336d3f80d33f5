/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/sequence.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/list.h"
#include "event/loop.h"
#include "topic/message.h"

enum {
    INBOX_MIN = 64,   /* items */
    INBOX_KEEP = 512, /* an inbox larger than this is given back when it is empty */
};

struct inbox {
    struct sequence_item *items;
    size_t n, room;
    size_t bytes; /* of their messages */
};

struct sequence_reader {
    struct list link;
    struct sequence *sequence;
    struct loop *loop;
    struct sequence_owner *owner;
    struct inbox inbox; /* guarded by the sequence's mutex */
    struct inbox taken; /* by the reader, to be filled again later */
    bool broken;        /* guarded: the last item is a break for want of room */
    bool woken;         /* guarded: it will take what is there */
    bool left;
    struct loop_message message;
    struct loop_deferred deferred;
};

struct sequence {
    pthread_mutex_t mutex;
    struct list readers;
    uint64_t head; /* atomic for who does not hold the mutex */
    char epoch[SEQUENCE_EPOCH];
};

/* ---- the reader's side ---- */

static void
drop_items(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->n; i++)
        topic_message_unref(inbox->items[i].message);
    free(inbox->items);
    *inbox = (struct inbox){.items = NULL};
}

static void
free_reader(struct sequence_reader *reader)
{
    drop_items(&reader->inbox);
    drop_items(&reader->taken);
    free(reader);
}

/* Takes the whole inbox; what comes meanwhile wakes the reader again. */
static void
take(struct sequence_reader *reader)
{
    struct inbox empty = reader->taken;

    empty.n = empty.bytes = 0;
    pthread_mutex_lock(&reader->sequence->mutex);
    reader->taken = reader->inbox;
    reader->inbox = empty;
    reader->woken = reader->broken = false;
    pthread_mutex_unlock(&reader->sequence->mutex);
    reader->owner->items(reader->owner, reader->taken.items, reader->taken.n);
    reader->taken.n = 0;
    if (reader->taken.room > INBOX_KEEP)
        drop_items(&reader->taken);
}

static void
on_deferred(struct loop_deferred *deferred)
{
    struct sequence_reader *reader = container_of(deferred, struct sequence_reader, deferred);

    if (reader->left)
        free_reader(reader);
    else
        take(reader);
}

static void
on_message(struct loop_message *message)
{
    on_deferred(&container_of(message, struct sequence_reader, message)->deferred);
}

struct sequence_reader *
sequence_join(struct sequence *sequence, struct loop *loop, struct sequence_owner *owner,
              uint64_t *head)
{
    struct sequence_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return NULL;
    reader->sequence = sequence;
    reader->loop = loop;
    reader->owner = owner;
    reader->message.deliver = on_message;
    pthread_mutex_lock(&sequence->mutex);
    list_add(&sequence->readers, &reader->link);
    *head = sequence->head;
    pthread_mutex_unlock(&sequence->mutex);
    return reader;
}

void
sequence_leave(struct sequence_reader *reader)
{
    bool woken;

    if (reader == NULL)
        return;
    pthread_mutex_lock(&reader->sequence->mutex);
    list_remove(&reader->link);
    woken = reader->woken;
    pthread_mutex_unlock(&reader->sequence->mutex);
    reader->left = true;
    if (!woken)
        free_reader(reader); /* else what is under way frees it */
}

/* ---- the publishers' side ---- */

/* Returns -1 without memory. */
static int
append(struct inbox *inbox, const struct sequence_item *item)
{
    if (inbox->n == inbox->room) {
        size_t room = inbox->room == 0 ? INBOX_MIN : 2 * inbox->room;
        struct sequence_item *items = realloc(inbox->items, room * sizeof *items);

        if (items == NULL)
            return -1;
        inbox->items = items;
        inbox->room = room;
    }
    inbox->items[inbox->n++] = *item;
    return 0;
}

/* A worker that does not keep up loses messages, and is told so in their place. */
static void
hand_on(struct sequence_reader *reader, const struct sequence_item *item)
{
    struct sequence_item mark = {.kind = SEQUENCE_BREAK, .number = item->number};
    size_t size = item->message == NULL ? 0 : topic_message_size(item->message);
    struct inbox *inbox = &reader->inbox;

    if (inbox->bytes + size <= SEQUENCE_INBOX_MAX && append(inbox, item) == 0) {
        if (item->message != NULL)
            topic_message_ref(item->message);
        inbox->bytes += size;
        reader->broken = false;
        return;
    }
    if (reader->broken)
        inbox->items[inbox->n - 1].number = item->number;
    else if (append(inbox, &mark) == 0)
        reader->broken = true;
    else if (inbox->n > 0) { /* no memory for a mark: one of those that are there becomes it */
        topic_message_unref(inbox->items[inbox->n - 1].message);
        inbox->items[inbox->n - 1] = mark;
        reader->broken = true;
    }
}

/* Whether the caller has to wake it. */
static bool
offer(struct sequence_reader *reader, const struct sequence_item *item)
{
    bool woken = reader->woken;

    hand_on(reader, item);
    reader->woken = true;
    return !woken;
}

uint64_t
sequence_put(struct sequence *sequence, enum sequence_kind kind, struct topic_message *message,
             struct loop *mine)
{
    struct sequence_item item = {.kind = kind, .message = message};
    struct list *at;

    pthread_mutex_lock(&sequence->mutex);
    item.number = sequence->head + 1;
    if (message != NULL)
        message->number = item.number;
    for (at = sequence->readers.next; at != &sequence->readers; at = at->next) {
        struct sequence_reader *reader = container_of(at, struct sequence_reader, link);

        if (!offer(reader, &item))
            continue;
        if (reader->loop == mine)
            loop_defer(mine, &reader->deferred, on_deferred);
        else
            loop_post(reader->loop, &reader->message);
    }
    __atomic_store_n(&sequence->head, item.number, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&sequence->mutex);
    return item.number;
}

uint64_t
sequence_head(const struct sequence *sequence)
{
    return __atomic_load_n(&sequence->head, __ATOMIC_ACQUIRE);
}

const char *
sequence_epoch(const struct sequence *sequence)
{
    return sequence->epoch;
}

/* ---- lifetime ---- */

struct sequence *
sequence_new(void)
{
    struct sequence *sequence = calloc(1, sizeof *sequence);
    uint64_t random;

    if (sequence == NULL || getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        free(sequence);
        return NULL;
    }
    snprintf(sequence->epoch, sizeof sequence->epoch, "%016" PRIx64, random);
    pthread_mutex_init(&sequence->mutex, NULL);
    list_init(&sequence->readers);
    return sequence;
}

void
sequence_free(struct sequence *sequence)
{
    if (sequence == NULL)
        return;
    assert(sequence->readers.next == &sequence->readers);
    pthread_mutex_destroy(&sequence->mutex);
    free(sequence);
}
