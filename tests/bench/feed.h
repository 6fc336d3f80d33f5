/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed -- one client that is only sent things, as any server may send them: an EventSource, or long
 * polls by Last-Modified and ETag, of the lines of lines.h. A line that is lost, repeated or wrong ends
 * the process.
 *
 * An EventSource whose answer ends comes back with Last-Event-ID. Where the server has to be told by
 * POST what to send (crowd->publish), each client also publishes a line of its own channel on every tick
 * of LINES_EVERY_MS, on a connection that is kept, if the one before is taken.
 *
 * Thread:    one.
 * Lifetime:  feed_start() to the end of the process.
 * Ownership: borrows the crowd.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "eventstream.h"
#include "http.h"
#include "traffic.h"

struct feed {
    struct crowd *crowd;
    unsigned number;
    bool polls;
    struct http http;
    struct eventstream events;
    uint64_t received; /* lines */
    char body[512];    /* of a poll's answer */
    size_t body_len;
    char etag[64], modified[64];
    bool was_open;
    uint64_t back_at; /* ns: the stream has ended; 0: it has not */

    struct http publisher;
    uint64_t published; /* lines */
};

/* polls: long polls, else an EventSource. number: among the clients. */
void feed_start(struct feed *feed, struct crowd *crowd, bool polls, unsigned number);
void feed_tick(struct feed *feed, uint64_t now);
void feed_traffic(const struct feed *feed, struct traffic *down, struct traffic *up);

#endif
