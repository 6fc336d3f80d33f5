/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mailbox -- the one way between threads: many senders, one receiver, no lock.
 *
 * Senders push onto a stack with one compare-and-swap; the receiver takes the whole stack with one
 * exchange and turns it round. What is pushed meanwhile waits for the next take.
 *
 * Thread:    mailbox_push() from any; mailbox_take() from the receiver's.
 */
#ifndef CULVERT_EVENT_MAILBOX_H
#define CULVERT_EVENT_MAILBOX_H

#include <stdbool.h>

struct loop_message;

struct mailbox {
    struct loop_message *top; /* atomic */
};

/* Returns true if the mailbox was empty: the receiver has to be woken. */
bool mailbox_push(struct mailbox *mailbox, struct loop_message *message);

/* All messages, oldest first, linked by next; NULL if there are none. */
struct loop_message *mailbox_take(struct mailbox *mailbox);

#endif
