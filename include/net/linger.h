/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linger -- the gentle end of a stream that nobody owns any more.
 *
 * What waits is sent, then FIN; what the peer still sends is read and dropped, so that the kernel
 * has no reason to answer it with a reset that would destroy our last bytes on their way. It ends
 * with the peer's FIN, or after a time and a number of bytes.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  the set outlives its members; linger_close_all() ends them at once.
 */
#ifndef CULVERT_NET_LINGER_H
#define CULVERT_NET_LINGER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct loop;
struct stream;

enum {
    LINGER_BYTES_MAX = 1 << 20, /* dropped at most; who sends on after that is cut off */
};

struct linger_set {
    struct loop *loop;
    struct list members;
    size_t n_members;
};

void linger_init(struct linger_set *set, struct loop *loop);

/*
 * Takes the stream, from whatever owner. What waits is sent as long as the peer takes something
 * within write_timeout; from then on it lasts at most so many seconds.
 */
void linger_start(struct linger_set *set, struct stream *stream, double write_timeout,
                  double seconds);

/* Closes the longest one of those to which all is sent; false if there is none. */
bool linger_close_idle(struct linger_set *set);

void linger_close_all(struct linger_set *set);

#endif
