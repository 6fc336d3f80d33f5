/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publisher -- those who publish what the audience gets.
 *
 *     press_start() → n_ready is count → press_publish() → pending is 0 → press_publish() …
 *
 * Posting, there is one request under way on a connection; publishers then are connections of one
 * burst. Pushpin takes a burst in one request, and each request on a connection of its own. Otherwise a
 * publisher sends its whole burst at once, and nothing answers (QoS 0).
 *
 * Thread:    one.
 * Lifetime:  press_start() to the end of the process.
 * Ownership: borrows the options.
 * Errors:    a refused publication or a lost connection ends the process, with a sentence.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdint.h>

#include "wire.h"

enum publishing {
    PUBLISH_RAW,     /* the bytes alone */
    PUBLISH_POST,    /* as the body of a POST */
    PUBLISH_GRIP,    /* in the JSON that Pushpin takes by POST */
    PUBLISH_WS,      /* text messages of a WebSocket */
    PUBLISH_MQTT,    /* to a broker */
    PUBLISH_MQTT_WS, /* the same over a WebSocket */
};

struct publisher;

/* All publishers. */
struct press {
    struct wire_options wire; /* path: of the POST or WebSocket */
    enum publishing publishing;
    const char *topic; /* MQTT's, and the channel of PUBLISH_GRIP */
    int epoll;
    unsigned count; /* of publishers */
    unsigned burst; /* messages of each in a round */
    size_t size;    /* of a message */
    struct publisher *publishers;
    unsigned n_ready;
    unsigned pending; /* answers */
    unsigned n_connects;
    uint64_t number; /* of the next message */
};

/* All from wire to size is set. */
void press_start(struct press *press);

/* Messages of a round, all publishers together. */
unsigned press_round_size(const struct press *press);

/* One round. All publishers are ready, and nothing is pending. */
void press_publish(struct press *press);

#endif
