/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uplink -- the way up of a session that has none of its own: frames by POST, one POST under way at a
 * time, on a connection that is kept.
 *
 * Thread, lifetime, errors: those of its session.
 */
#ifndef BENCH_UPLINK_H
#define BENCH_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

struct session;

struct uplink {
    struct http http;
    struct session *session;
    uint64_t waiting; /* messages that wait for their POST */
    bool acks;        /* an ACK goes with what goes up; else others carry it */
    bool ack_waits;
    bool rests;                              /* closes when all is told */
    void (*opened)(struct session *session); /* for who opens a session by POST; else NULL */
    uint8_t answer[4096];
    size_t answer_len;
};

/* Opens the connection. opened: the session is opened by it, and that is called when it is. */
void uplink_start(struct uplink *up, struct session *session, bool acks,
                  void (*opened)(struct session *session));

void uplink_send(struct uplink *up, uint64_t count);
void uplink_tell(struct uplink *up);

/* Tells what is untold, then closes the connection. */
void uplink_rest(struct uplink *up);

/* DELETE. */
void uplink_leave(struct uplink *up);
void uplink_close(struct uplink *up);

/* The line that names the session, for any of its requests. */
const char *uplink_header(const struct session *session);

#endif
