/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/replay.h"

#include <assert.h>
#include <stdlib.h>

#include "base/blob.h"

enum {
    SIZE_MIN = 8,
};

static struct blob **
slot(const struct replay *replay, uint64_t seq)
{
    return &replay->ring[(replay->head + (unsigned)(seq - replay->acked - 1)) & (replay->size - 1)];
}

static size_t
cost(const struct blob *blob)
{
    return blob->len + REPLAY_OVERHEAD;
}

static unsigned
count(const struct replay *replay)
{
    return (unsigned)(replay->last - replay->acked);
}

void
replay_deinit(struct replay *replay)
{
    while (replay->acked < replay->last)
        replay_ack(replay, replay->acked + 1);
}

static int
grow(struct replay *replay)
{
    unsigned n = count(replay), size = replay->size > 0 ? replay->size * 2 : SIZE_MIN;
    struct blob **ring = size > n ? malloc(size * sizeof(struct blob *)) : NULL;
    unsigned i;

    if (ring == NULL)
        return -1;
    for (i = 0; i < n; i++)
        ring[i] = *slot(replay, replay->acked + 1 + i);
    free(replay->ring);
    replay->ring = ring;
    replay->size = size;
    replay->head = 0;
    return 0;
}

/* Moves the end of what may be sent as far as the window goes. */
static void
allow(struct replay *replay)
{
    while (replay->allowed < replay->last) {
        size_t more = cost(*slot(replay, replay->allowed + 1));

        if (replay->allowed > replay->acked && replay->allowed_bytes + more > replay->window)
            return;
        replay->allowed_bytes += more;
        replay->allowed++;
    }
}

int
replay_add(struct replay *replay, struct blob *blob)
{
    if (count(replay) == replay->size && grow(replay) != 0)
        return -1;
    replay->last++;
    *slot(replay, replay->last) = blob;
    replay->bytes += cost(blob);
    allow(replay);
    return 0;
}

void
replay_ack(struct replay *replay, uint64_t seq)
{
    assert(seq <= replay->last);
    while (replay->acked < seq) {
        struct blob *blob = *slot(replay, replay->acked + 1);
        size_t less = cost(blob);

        replay->bytes -= less;
        if (replay->allowed > replay->acked)
            replay->allowed_bytes -= less;
        else
            replay->allowed++; /* never so: what is acknowledged was sent */
        replay->head = (replay->head + 1) & (replay->size - 1);
        replay->acked++;
        blob_unref(blob);
    }
    if (replay->acked == replay->last) {
        free(replay->ring);
        replay->ring = NULL;
        replay->size = replay->head = 0;
    }
    allow(replay);
}

struct blob *
replay_get(const struct replay *replay, uint64_t seq)
{
    assert(seq > replay->acked && seq <= replay->last);
    return *slot(replay, seq);
}
