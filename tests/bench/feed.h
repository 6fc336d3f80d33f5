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

enum feed_kind {
    FEED_EVENTSOURCE,
    FEED_LONGPOLL,
    FEED_NONE, /* publishes alone, to nobody: a unit is a line that was taken */
};

struct feed {
    struct crowd *crowd;
    enum feed_kind kind;
    unsigned number;
    struct http http;
    struct eventstream events;
    uint64_t received; /* lines */
    char body[512];    /* of a poll's answer */
    size_t body_len;
    char etag[64], modified[64];
    bool was_open;
    uint64_t back_at; /* ns: the stream has ended; 0: it has not */

    struct http publisher; /* and what ends a session that it did not know it had */
    uint64_t published;    /* lines */
    bool leaving;
};

/* number: among the clients. */
void feed_start(struct feed *feed, struct crowd *crowd, enum feed_kind kind, unsigned number);
void feed_tick(struct feed *feed, uint64_t now);

/* crowd->n_left counts when no session of the server's is left. */
void feed_leave(struct feed *feed);
void feed_traffic(const struct feed *feed, struct traffic *down, struct traffic *up);

#endif
