/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audience -- subscribers to one topic, and what they have got of each round.
 *
 * A round is so many messages to each of them. A message ends with a letter that tells its number and a
 * mark that stands nowhere else in what a server sends: counting marks costs the load next to nothing,
 * whatever frames or events they come in, and a loss, a repetition or a wrong order is seen.
 *
 *     audience_start() one by one → n_ready is all → audience_round() → n_done is all → …
 *
 * Thread:    one.
 * Lifetime:  audience_init() to the end of the process.
 * Ownership: borrows the options.
 * Errors:    a subscriber that is refused or thrown out ends the process, with a sentence.
 */
#ifndef BENCH_AUDIENCE_H
#define BENCH_AUDIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "poll_answer.h"
#include "wire.h"

enum {
    MARK = '|',
    LETTERS = 26,
};

enum listening {
    LISTEN_RAW,     /* bytes of a TCP connection */
    LISTEN_ASK,     /* the same, and each message is asked for, as a long poll's */
    LISTEN_WS,      /* a WebSocket */
    LISTEN_SSE,     /* an EventSource */
    LISTEN_POLL,    /* long polls, each of which asks for what is behind the one before */
    LISTEN_MQTT,    /* a client of a broker */
    LISTEN_MQTT_WS, /* the same over a WebSocket */
};

struct subscriber;

struct audience {
    struct wire_options wire;
    enum listening listening;
    const char *topic;   /* LISTEN_MQTT, LISTEN_MQTT_WS */
    const char *headers; /* LISTEN_SSE, LISTEN_POLL: more of them, with CR LF, or "" */
    int epoll;
    unsigned count;
    struct subscriber *subscribers;
    unsigned n_ready;
    bool ordered;        /* messages come in the order of their numbers */
    unsigned due;        /* messages of this round for each */
    uint64_t began;      /* of this round, ns */
    uint64_t last;       /* when the last one of all came */
    unsigned n_done;     /* have all of this round */
    uint64_t delivered;  /* of all rounds */
    uint64_t odd;        /* of them not the one that was next */
    uint32_t *latencies; /* ns, one for each delivery, or NULL */
    uint64_t n_latencies, max_latencies;
};

/* listening, wire, topic, headers and epoll are set. 0, or -1 without memory. */
int audience_init(struct audience *audience, unsigned count);
void audience_start(struct audience *audience, unsigned i);

/* The next messages are of a new round; first is the number of its first one. */
void audience_round(struct audience *audience, unsigned due, uint64_t first);

/* Messages that this round lacks. */
uint64_t audience_lacks(const struct audience *audience);

/* len bytes of text with the letter and the mark at the end, not terminated; at least two. */
void audience_message(char *out, size_t len, uint64_t number);

#endif
