/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client -- what one connection of the load does, event by event.
 *
 *     echo      keeps messages in flight; a unit is a message that came back
 *     download  reads; a unit is a byte of payload
 *     upload    sends as fast as it can; units are counted at the target
 *     churn     connects, sends a message, gets it back, closes, begins again: that is a unit
 *     idle      gets one message back, then does nothing; units are not counted
 *
 * Two more are those of sessions and feeds (session.h, feed.h):
 *
 *     lines     gets lines; a unit is a line
 *     park      gets one message back, acknowledges it, and loses its connection
 *
 * Thread:    one.
 * Lifetime:  client_start() to the end of the process.
 * Ownership: borrows the crowd.
 * Errors:    a connection that ends when it should not ends the process, with a sentence.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"
#include "traffic.h"
#include "wire.h"

enum scenario {
    ECHO,
    DOWNLOAD,
    UPLOAD,
    CHURN,
    IDLE,
    LINES,
    PARK,
};

/* What all clients share. */
struct crowd {
    enum scenario scenario;
    struct wire_options wire;
    unsigned in_flight;
    size_t size; /* of a message */
    int epoll;
    uint8_t *block; /* whole messages as they go over the wire, sent round and round */
    size_t message_len;
    size_t block_len;
    bool started; /* all are connected: begin */
    unsigned n_open;
    unsigned n_settled;  /* IDLE, PARK: have their message back */
    unsigned n_left;     /* sessions that the server knows to be over */
    const char *publish; /* path for a server that has to be told what to send, or NULL */
    unsigned n_connects;
    uint64_t units;
    uint32_t *latencies; /* ns, one for each message while counting, if in_flight is 1 */
    uint64_t n_latencies, max_latencies;
};

struct client {
    struct handler handler;
    struct wire wire;
    struct crowd *crowd;
    uint64_t to_send; /* bytes on the wire, from block_at on */
    size_t block_at;
    uint64_t got;     /* payload bytes of the message that is coming back */
    uint64_t sent_at; /* ns */
    bool wants_out;
    bool leaving; /* CHURN: the Close is sent */
};

/* For clients as these: sets block, message_len, block_len, and what has to come back. 0, or -1 without
 * memory. */
int crowd_init(struct crowd *crowd);

void client_start(struct client *client, struct crowd *crowd);

/* The crowd has started: sends the first messages. */
void client_begin(struct client *client);

void client_traffic(const struct client *client, struct traffic *traffic);

uint64_t now_ns(void);
void fail(const char *what) __attribute__((noreturn));

#endif
