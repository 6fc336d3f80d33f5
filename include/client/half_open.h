/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * half_open -- the clients of one worker that have no complete request before us: their first one
 * has not come (the TLS handshake included), or their next one.
 *
 *      accepted, or answered ─→ [ longest waiting … newest ] ─→ a complete head, or the end
 *                                      │
 *                                      └ closed, when one more comes than may be
 *
 * It is the longest waiting that goes and not the newest that is kept out: whoever opens any number
 * of connections and says nothing does not keep away a client that asks at once.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  embedded in the set of connections: half_open_init() to half_open_deinit(), when no
 *            connection is left.
 */
#ifndef CULVERT_CLIENT_HALF_OPEN_H
#define CULVERT_CLIENT_HALF_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "event/timer.h"

struct http;
struct loop;

struct half_open {
    struct list waiting; /* the longest waiting first */
    size_t n_waiting;
    size_t max;
    uint64_t n_evicted; /* closed to make room, since the beginning */
    uint64_t n_told;    /* of them those that stand in the log */
    const char *why;    /* the last of them; static */
    struct timer tell;  /* once a second at most */
};

void half_open_init(struct half_open *half_open, struct loop *loop);
void half_open_deinit(struct half_open *half_open);

/* It waits for a head; it keeps its place if it did already. */
void half_open_begin(struct half_open *half_open, struct http *http);
/* It does not; fine if it did not before. */
void half_open_end(struct half_open *half_open, struct http *http);

/*
 * Closes the client that has waited longest; but what it has sent is read first, and if that
 * completes a request, it is served instead. Only from where no other client is being served.
 * Returns whether there was one. why: static, for the log.
 */
bool half_open_evict(struct half_open *half_open, const char *why);

/* Evicts until there may be one more. */
void half_open_make_place(struct half_open *half_open);

#endif
