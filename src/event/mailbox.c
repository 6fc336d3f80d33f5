/* SPDX-License-Identifier: BSD-2-Clause */
#include "event/mailbox.h"

#include <stddef.h>

#include "event/loop.h"

bool
mailbox_push(struct mailbox *mailbox, struct loop_message *message)
{
    struct loop_message *top = __atomic_load_n(&mailbox->top, __ATOMIC_RELAXED);

    do
        message->next = top;
    while (!__atomic_compare_exchange_n(&mailbox->top, &top, message, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
    return top == NULL;
}

struct loop_message *
mailbox_take(struct mailbox *mailbox)
{
    struct loop_message *newest = __atomic_exchange_n(&mailbox->top, NULL, __ATOMIC_ACQUIRE);
    struct loop_message *oldest = NULL;
    struct loop_message *next;

    for (; newest != NULL; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    return oldest;
}
