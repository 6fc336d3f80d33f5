/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history -- the last messages of a bus, as one worker refers to them, for who comes back.
 *
 *      oldest → [ m7 | m8 | m11 | m12 | … ] → newest         evicted: 6, head: 12
 *
 * Thread:    one worker's.
 */
#ifndef CULVERT_TOPIC_HISTORY_H
#define CULVERT_TOPIC_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topic_message;

struct history {
    struct topic_message **ring; /* NULL: nothing was kept yet */
    size_t room;                 /* a power of two, or 0 */
    size_t first, n;
    size_t bytes;
    size_t messages_max, bytes_max;
    uint64_t evicted; /* who has seen all up to it has missed nothing */
};

void history_init(struct history *history, size_t messages_max, size_t bytes_max);
void history_deinit(struct history *history);

/* Takes a reference. Numbers only grow. What does not fit, be it the message itself, is evicted. */
void history_add(struct history *history, struct topic_message *message);

/* Nothing up to that number can be told any more. */
void history_break(struct history *history, uint64_t number);

/* The first one after a number: its index; n if there is none. */
size_t history_after(const struct history *history, uint64_t number);

/* Index: 0 is the oldest. Borrowed. */
static inline struct topic_message *
history_at(const struct history *history, size_t index)
{
    return history->ring[(history->first + index) & (history->room - 1)];
}

/* Whether all messages after a number are there. */
static inline bool
history_reaches(const struct history *history, uint64_t number)
{
    return number >= history->evicted;
}

#endif
