/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue -- what waits for one subscriber: references to messages, and in the place of those that were
 * dropped how many.
 *
 *      first → [ dropped 3 | m7 | m8 | bus down | m9 ] → last
 *
 * Thread:    one worker's.
 * Memory:    none while it is empty.
 */
#ifndef CULVERT_TOPIC_QUEUE_H
#define CULVERT_TOPIC_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "topic/message.h"

enum queue_kind {
    QUEUE_MESSAGE,
    QUEUE_DROPPED, /* count: how many were lost here */
    QUEUE_RESET,
    QUEUE_DOWN,
    QUEUE_UP,
};

struct queue_item {
    union {
        struct topic_message *message; /* of QUEUE_MESSAGE */
        uint64_t number; /* of all else: its place on the bus; of losses that of the first */
    };
    uint32_t kind;
    uint32_t count;
};

struct queue_rule {
    size_t messages_max;
    size_t bytes_max; /* but for one message that waits alone */
    enum conf_overflow overflow;
};

/* All zero is an empty one. */
struct queue {
    struct queue_item *ring;
    uint32_t room; /* a power of two, or 0 */
    uint32_t first, n;
    uint32_t n_messages;
    bool distinct; /* no two messages are of the same topic */
    size_t bytes;  /* of its messages */
};

enum queue_result {
    QUEUE_TAKEN,
    QUEUE_LOST, /* something was: a message, this one or another; the queue holds how many */
    QUEUE_OVER, /* CONF_OVERFLOW_DISCONNECT: it does not fit */
    QUEUE_NO_MEMORY,
};

void queue_clear(struct queue *queue);

/* Takes a reference where the message is kept. */
enum queue_result queue_add(struct queue *queue, const struct queue_rule *rule,
                            struct topic_message *message);

/* number: its place on the bus. Marks bound themselves: of the same kind none follows another. -1 without
 * memory. */
int queue_mark(struct queue *queue, enum queue_kind kind, uint64_t number)
    __attribute__((warn_unused_result));

/* Index 0 is the first. */
static inline struct queue_item *
queue_at(const struct queue *queue, uint32_t index)
{
    return &queue->ring[(queue->first + index) & (queue->room - 1)];
}

/* The place of an item on the bus. They rise along the queue. */
static inline uint64_t
queue_number(const struct queue_item *item)
{
    return item->kind == QUEUE_MESSAGE ? item->message->number : item->number;
}

/* Takes n away from the beginning. */
void queue_drop(struct queue *queue, uint32_t n);

#endif
