/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic -- what the kernel counted on a TCP socket: all that was in the stream, headers and frames
 * with it, and the segments that it went in.
 *
 * Errors: a socket that cannot be asked counts as nothing.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdint.h>

struct traffic {
    uint64_t up, down; /* bytes */
    uint64_t segments_up, segments_down;
};

void traffic_add(struct traffic *traffic, int fd);

#endif
