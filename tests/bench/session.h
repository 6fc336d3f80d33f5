/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session -- what one client of a session does (PROTOCOL.md section 3), whatever carries it.
 *
 *     over_ws.c    a WebSocket, one frame in each message
 *     over_sse.c   events down, POST up
 *     over_poll.c  long polls down, POST up
 *
 * Echo: messages differ by their number and the client's; what comes back is compared byte by byte,
 * numbers too. Lines: those of lines.h. The client acknowledges what it has got
 * at most a quarter of the window or 100 ms later.
 *
 * Thread:    one.
 * Lifetime:  session_start() to the end of the process.
 * Ownership: borrows the crowd.
 * Errors:    what should not be ends the process, with a sentence.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "eventstream.h"
#include "frames.h"
#include "http.h"
#include "link.h"
#include "traffic.h"
#include "uplink.h"

struct session;

enum {
    SESSION_MESSAGE_MIN = 12, /* bytes that tell messages and clients from each other */
};

struct transport {
    void (*start)(struct session *session);

    /* So many messages more, and an ACK when one is due. */
    void (*send)(struct session *session, uint64_t count);

    /* An ACK alone. */
    void (*tell)(struct session *session);

    /* The connections break, as when a client goes out of reach. */
    void (*drop)(struct session *session);

    /* It has nothing to do for long. */
    void (*rest)(struct session *session);

    /* Ends the session: crowd->n_left counts when the server knows. */
    void (*leave)(struct session *session);

    /* Of what leads down and, if that is another connection, of what leads up. */
    void (*traffic)(const struct session *session, struct traffic *down, struct traffic *up);
};

extern const struct transport over_ws, over_sse, over_poll;

struct session {
    struct crowd *crowd;
    const struct transport *transport;
    unsigned number; /* among the clients */
    char id[64];
    size_t window;
    bool begun;   /* the first messages are sent */
    bool parked;  /* it has no connections */
    bool leaving; /* what comes now does not matter */

    uint64_t sent;    /* messages */
    uint64_t acked;   /* of these, by the server */
    uint64_t sent_at; /* ns */

    uint64_t received;     /* messages */
    uint64_t at;           /* bytes of the echo */
    size_t untold;         /* bytes, as the window counts them, that are not acknowledged */
    uint64_t untold_since; /* ns */

    struct link down; /* WebSocket */
    uint8_t *kept;    /* of a message or a body that is not complete */
    size_t kept_len, kept_size;
    struct http http; /* SSE, polls */
    struct eventstream events;
    struct uplink up;
    uint64_t attaches;
};

/* Sets the block that messages are made of. 0, or -1 without memory. */
int session_prepare(struct crowd *crowd);

void session_start(struct session *session, struct crowd *crowd, const struct transport *transport,
                   unsigned number);

/* The crowd has started: sends the first messages. */
void session_begin(struct session *session);

/* Every few milliseconds. */
void session_tick(struct session *session, uint64_t now);

void session_leave(struct session *session);
void session_traffic(const struct session *session, struct traffic *down, struct traffic *up);

/* ---- for the transports ---- */

/* What OPEN or the 201 tells, as text that ends with NUL. */
void session_opened(struct session *session, const char *json);

/* It can send and receive. */
void session_is_ready(struct session *session);

/* The payload of the next message, of crowd->size bytes. */
void session_fill(struct session *session, uint8_t *out);

void session_take(struct session *session, const struct frame *frame);

/* The ACK of all that has been received, written out as a frame; then nothing is untold. */
size_t session_ack(struct session *session, uint8_t *out);

/* Adds to kept. */
void session_keep(struct session *session, const uint8_t *data, size_t len);

/* Drops the first bytes of kept. */
void session_used(struct session *session, size_t len);

#endif
