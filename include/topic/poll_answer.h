/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll_answer -- the JSON that answers a long poll, piece by piece (PROTOCOL.md section 4):
 *
 *      {"messages":[ reset?, retained values …, history …, states of the bus? ],"since":"…"}
 *
 * History and what waited are bounded by the route's queue; retained values are not, as nobody could ask
 * for the rest of them: so they come in pieces, each made when the one before it has left.
 *
 * Thread:    one worker's.
 * Lifetime:  zeroed with its borrowed fields set; poll_answer_clear() when it is done.
 */
#ifndef CULVERT_TOPIC_POLL_ANSWER_H
#define CULVERT_TOPIC_POLL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gather.h"

struct backlog;
struct conf_route;
struct hub;

enum {
    POLL_ANSWER_PIECE = 65536, /* bytes after which retained values wait for the next piece */
};

struct poll_answer {
    struct hub *hub;
    struct backlog *backlog;
    const struct conf_route *route;
    bool was_told[2]; /* of the bus: that it went, that it came */

    struct gather body; /* the piece */
    unsigned n;         /* of elements, in all pieces */
    size_t bytes;       /* of topics and payloads in history */
    unsigned messages;
    size_t message_bytes; /* as the client gets them */
    bool has_history;     /* it was told, up to `number` */
    uint64_t number;
    bool partial; /* there may be more in history: the client asks for it */
    bool failed;  /* for want of memory */
};

/* Makes the next piece. Returns whether it was the last but for poll_answer_end(). */
bool poll_answer_next(struct poll_answer *answer);
void poll_answer_end(struct poll_answer *answer);

void poll_answer_clear(struct poll_answer *answer);

#endif
