/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * liveness -- the deadlines of a WebSocket's client: heartbeat, write_timeout, message_timeout,
 * close_timeout.
 *
 *      silent for `heartbeat` ──→ PING ──→ silent for heartbeat_timeout ──→ lost
 *                                   └─ but it takes the bytes before the PING: more time
 *
 * The heartbeat stands still while the client is not read (it could not answer) and while bytes
 * wait for its socket (write_timeout watches then).
 *
 * Thread:    on the loop's thread; embedded in its owner. Times are those of loop_now().
 */
#ifndef CULVERT_CLIENT_LIVENESS_H
#define CULVERT_CLIENT_LIVENESS_H

#include <stdbool.h>
#include <stddef.h>

struct conf_route;
struct stream;

struct liveness {
    double heard;    /* when the client last sent anything, or its socket took something */
    double asked;    /* when the last PING was sent; 0: its PONG has come */
    double pinged;   /* when the unanswered PING was sent; 0: none is under way */
    size_t behind;   /* bytes that the client had to take before it, at the last look */
    double message;  /* when the unfinished message last got bytes */
    double close_by; /* when to stop waiting for the client's Close; 0: not waiting */
};

/* What the deadlines depend on. */
struct liveness_view {
    const struct conf_route *route;
    struct stream *stream;
    double now;
    double heartbeat; /* the route's, or what the client asked for; 0: never */
    bool open;        /* no Close was sent */
    bool reading;
    bool in_message; /* an unfinished message */
};

enum liveness_verdict {
    LIVENESS_FINE,
    LIVENESS_PING,       /* send a PING, then call liveness_pinged() */
    LIVENESS_STALLED,    /* its socket takes nothing */
    LIVENESS_NO_CLOSE,   /* it does not answer our Close */
    LIVENESS_UNFINISHED, /* a message that it does not go on with */
    LIVENESS_LOST,       /* no answer to a PING */
};

/* The client has sent something, or begins to be read. Returns whether a PING was under way: then the
 * next deadline may be nearer than the one for its answer was. */
bool liveness_heard(struct liveness *liveness, double now);

/* Its socket has taken bytes. */
void liveness_progress(struct liveness *liveness, double now);

void liveness_pinged(struct liveness *liveness, const struct liveness_view *view);

/* A PONG has come. Returns the seconds since the PING, or -1 if it answers none. */
double liveness_ponged(struct liveness *liveness, double now);

/* When to look next; 0: never. */
double liveness_due(const struct liveness *liveness, const struct liveness_view *view);

enum liveness_verdict liveness_look(struct liveness *liveness, const struct liveness_view *view);

#endif
