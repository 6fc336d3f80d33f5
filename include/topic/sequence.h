/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_sequence -- the one place of a bus that numbers what happens on it, and hands it to every worker
 * in that order.
 *
 *      publisher ──put──→ [mutex: next number, every worker's inbox] ──wake──→ worker 1: its hub
 *      the bus's thread ─→                                           └──wake──→ worker 2: its hub
 *
 * A worker is woken when its empty inbox gets something: by a message to its loop, or, if it is the
 * publisher's own, at the end of the turn, so that a burst costs one wake-up or none. An inbox that grows
 * over SEQUENCE_INBOX_MAX bytes takes no more messages: in their place stands a break.
 *
 * Thread:    sequence_put() any; readers join and leave on their loops' threads, or while those do not run.
 * Lifetime:  outlives its readers and buses.
 */
#ifndef CULVERT_TOPIC_SEQUENCE_H
#define CULVERT_TOPIC_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

struct loop;
struct sequence;
struct sequence_reader;
struct topic_message;

enum {
    SEQUENCE_INBOX_MAX = 64 << 20, /* bytes that wait for one worker */
    SEQUENCE_EPOCH = 17,           /* of an epoch's text, NUL included */
};

enum sequence_kind {
    SEQUENCE_MESSAGE,
    SEQUENCE_RETAINED, /* what a broker kept, told when we subscribe: fills the table of retained values,
                          and is news only where it differs from it */
    SEQUENCE_BREAK, /* something may be missing here: who was before it begins anew */
    SEQUENCE_DOWN,  /* the broker is away */
    SEQUENCE_UP,
};

struct sequence_item {
    enum sequence_kind kind;
    uint64_t number;
    struct topic_message *message; /* NULL but for messages; the receiver's */
};

/* Embedded in who reads; on its loop. */
struct sequence_owner {
    /* In order, none left out. Takes the items' messages. */
    void (*items)(struct sequence_owner *owner, const struct sequence_item *items, size_t n);
};

/* Returns NULL without memory or random bytes. */
struct sequence *sequence_new(void) __attribute__((warn_unused_result));
/* After the last reader has left. NULL is fine. */
void sequence_free(struct sequence *sequence);

/* Begins with the item behind *head. Returns NULL without memory. */
struct sequence_reader *sequence_join(struct sequence *sequence, struct loop *loop,
                                      struct sequence_owner *owner, uint64_t *head)
    __attribute__((warn_unused_result));
/* What waits is dropped. On the reader's loop's thread, or when it does not run any more. NULL is fine. */
void sequence_leave(struct sequence_reader *reader);

/* Numbers an item and hands it on. message: a reference is taken; its number is set here; NULL for the
 * other kinds. mine: the loop that the caller runs on, if it is one that may read; NULL else. Returns the
 * number. */
uint64_t sequence_put(struct sequence *sequence, enum sequence_kind kind,
                      struct topic_message *message, struct loop *mine);

/* The last number that was given. */
uint64_t sequence_head(const struct sequence *sequence);

/* Of this start: 16 hex digits. */
const char *sequence_epoch(const struct sequence *sequence);

#endif
