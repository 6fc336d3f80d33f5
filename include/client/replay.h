/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay -- the messages to a client that it has not acknowledged, kept so that they can be sent again
 * (PROTOCOL.md section 3).
 *
 *        acked         allowed                 last
 *          │              │                      │
 *      ····|▓▓▓▓▓▓▓▓▓▓▓▓▓▓|░░░░░░░░░░░░░░░░░░░░░░|
 *           may be sent     wait for the window
 *
 * A message counts as its bytes and REPLAY_OVERHEAD. At most `window` of that may be under way, or a
 * single message of whatever size.
 *
 * Thread:    one at a time; embedded in its owner, all zero but window at the beginning.
 * Memory:    an empty one owns nothing.
 */
#ifndef CULVERT_CLIENT_REPLAY_H
#define CULVERT_CLIENT_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob;

enum {
    REPLAY_OVERHEAD = 32, /* what a message counts beside its bytes */
};

struct replay {
    struct blob **ring; /* of size entries, those from head on in use */
    unsigned size;      /* a power of two, or 0 */
    unsigned head;
    uint64_t acked;   /* the client has them up to this number */
    uint64_t allowed; /* they may be sent up to this one */
    uint64_t last;    /* and there are so many */
    size_t window;
    size_t bytes;         /* of all that are kept, as they count */
    size_t allowed_bytes; /* of those up to allowed */
};

void replay_deinit(struct replay *replay);

/* Takes a reference to the blob: the next message. Returns 0, or -1 without memory, with nothing
 * taken. */
int replay_add(struct replay *replay, struct blob *blob) __attribute__((warn_unused_result));

/* The client has all up to seq, which is at most `last`. */
void replay_ack(struct replay *replay, uint64_t seq);

/* One that is kept: acked < seq <= last. */
struct blob *replay_get(const struct replay *replay, uint64_t seq);

#endif
