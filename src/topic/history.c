/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/history.h"

#include <stdlib.h>
#include <string.h>

#include "topic/message.h"

enum {
    RING_MIN = 16,
};

void
history_init(struct history *history, size_t messages_max, size_t bytes_max)
{
    *history = (struct history){.messages_max = messages_max, .bytes_max = bytes_max};
}

static void
evict(struct history *history)
{
    struct topic_message *message = history_at(history, 0);

    history->evicted = message->number;
    history->bytes -= topic_message_cost(message);
    history->first = (history->first + 1) & (history->room - 1);
    history->n--;
    topic_message_unref(message);
}

void
history_deinit(struct history *history)
{
    while (history->n > 0)
        evict(history);
    free(history->ring);
    history->ring = NULL;
    history->room = 0;
}

/* Returns -1 without memory. */
static int
grow(struct history *history)
{
    size_t room = history->room == 0 ? RING_MIN : 2 * history->room;
    struct topic_message **ring = malloc(room * sizeof(struct topic_message *));

    if (ring == NULL)
        return -1;
    for (size_t i = 0; i < history->n; i++)
        ring[i] = history_at(history, i);
    free(history->ring);
    history->ring = ring;
    history->room = room;
    history->first = 0;
    return 0;
}

void
history_add(struct history *history, struct topic_message *message)
{
    size_t size = topic_message_cost(message);

    while (history->n > 0 &&
           (history->n >= history->messages_max || history->bytes + size > history->bytes_max))
        evict(history);
    if (history->messages_max == 0 || size > history->bytes_max) {
        history->evicted = message->number;
        return;
    }
    if (history->n == history->room && grow(history) != 0) {
        history_break(history, message->number);
        return;
    }
    history->ring[(history->first + history->n) & (history->room - 1)] = topic_message_ref(message);
    history->n++;
    history->bytes += size;
}

void
history_break(struct history *history, uint64_t number)
{
    while (history->n > 0)
        evict(history);
    history->evicted = number;
}

size_t
history_after(const struct history *history, uint64_t number)
{
    size_t low = 0, high = history->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (history_at(history, middle)->number <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
