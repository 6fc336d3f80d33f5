/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * intake -- the messages from a session's client: which of them were received, which the target has
 * taken, and which of that the client was told (PROTOCOL.md section 3).
 *
 *        told           consumed         received
 *          │               │                │
 *      ····|···············|▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒|
 *            untold          wait for the target's socket
 *
 * How far the target is, is seen by how many bytes still wait for it. Where a message ends in them is
 * remembered for one message in each sixteenth of the window, and for the last one: fine enough to open
 * the window steadily.
 *
 * Thread:    one at a time; embedded in its owner, all zero but window at the beginning.
 * Memory:    none while nothing waits.
 */
#ifndef CULVERT_CLIENT_INTAKE_H
#define CULVERT_CLIENT_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intake_marks;

enum {
    INTAKE_OVERHEAD = 32, /* what a message counts beside its bytes */
    INTAKE_PARTS = 16,    /* of the window, with a mark each */
};

struct intake {
    uint64_t received;
    uint64_t consumed;
    uint64_t told;
    size_t window;
    uint64_t received_cost; /* of all so far: their bytes, and 32 each */
    uint64_t consumed_cost;
    uint64_t told_cost;
    uint64_t marked_cost;       /* at the last mark, or when all was consumed */
    uint64_t sent;              /* bytes of all so far, as they go to the target */
    struct intake_marks *marks; /* NULL: none */
};

enum intake_verdict {
    INTAKE_NEXT,
    INTAKE_REPEATED, /* it was received: drop it */
    INTAKE_GAP,
    INTAKE_OVERRUN, /* the client has sent more than the window allows */
};

void intake_deinit(struct intake *intake);

/* What a message of len bytes with this number is. */
enum intake_verdict intake_judge(const struct intake *intake, uint64_t seq, size_t len);

/* Remembers where the last one ends. */
void intake_mark(struct intake *intake);

/* The next one was handed on: len bytes as it came, sent bytes as it goes to the target. */
static inline void
intake_add(struct intake *intake, size_t len, size_t sent)
{
    intake->received++;
    intake->received_cost += len + INTAKE_OVERHEAD;
    intake->sent += sent;
    if (intake->received_cost - intake->marked_cost >= intake->window / INTAKE_PARTS)
        intake_mark(intake);
}

/* So many bytes wait for the target now, of all that was handed on; SIZE_MAX: it takes no more. */
void intake_taken(struct intake *intake, size_t waiting);

static inline bool
intake_is_untold(const struct intake *intake)
{
    return intake->told < intake->consumed;
}

/* Whether so much is untold that it should not wait. */
static inline bool
intake_is_urgent(const struct intake *intake)
{
    return intake->consumed_cost - intake->told_cost >= intake->window / 4;
}

/* The client is told now. Returns the number to tell. */
static inline uint64_t
intake_tell(struct intake *intake)
{
    intake->told = intake->consumed;
    intake->told_cost = intake->consumed_cost;
    return intake->told;
}

#endif
