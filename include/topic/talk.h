/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * talk -- what a subscriber's client says: publish, subscribe, unsubscribe (PROTOCOL.md section 4), or with
 * payload = raw the payload of a publication.
 *
 *      message → request → rules → bus ──done──→ ack, error
 *
 * Thread:    on the loop's thread.
 * Lifetime:  embedded in the subscriber. A publication that the bus has not taken yet outlives it.
 */
#ifndef CULVERT_TOPIC_TALK_H
#define CULVERT_TOPIC_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct subscriber;

enum {
    TALK_PUBLISHING_MAX =
        64, /* publications of one client that wait for the bus: then it is not read */
};

struct talk {
    struct list publishing;
    unsigned n_publishing;
    /* There is room for publications again. Not once it is over. */
    void (*room)(struct subscriber *subscriber);
};

void talk_init(struct talk *talk, void (*room)(struct subscriber *subscriber));
/* The client will not be told what comes of its publications. */
void talk_deinit(struct talk *talk);

/* A whole message; text: of that type. Returns 0, or the code to close the connection with. */
uint16_t talk_take(struct subscriber *subscriber, struct talk *talk, const uint8_t *data,
                   size_t len, bool text);

static inline bool
talk_has_room(const struct talk *talk)
{
    return talk->n_publishing < TALK_PUBLISHING_MAX;
}

#endif
