/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_state -- what a session is made of, and what its parts (session.c: the endpoint; session_take.c:
 * what comes from the client; session_attach.c: carriers and requests) share. Nobody else includes it.
 */
#ifndef CULVERT_CLIENT_SESSION_STATE_H
#define CULVERT_CLIENT_SESSION_STATE_H

#include "base/gather.h"
#include "bridge/endpoint.h"
#include "client/intake.h"
#include "client/messages.h"
#include "client/replay.h"
#include "client/session.h"

enum session_state {
    SESSION_STATE_OPEN,
    SESSION_STATE_CLOSING, /* nothing more comes from the target: the CLOSE is told until it is answered */
    SESSION_STATE_OVER,
};

/* In front what every message looks at. */
struct session {
    struct endpoint endpoint;
    struct carrier *carrier; /* NULL: none now */
    struct loop *loop;
    uint8_t state;   /* enum session_state */
    bool parked;     /* nobody is there */
    bool attached;   /* somebody has been */
    bool told_close; /* on some carrier */
    bool holds;      /* session_hold() */
    bool nobody;     /* the target takes nothing any more, as of the last look */
    bool told_ended; /* the bridge knows that nothing more comes from the client */
    bool draining;   /* drained_later is under way */
    bool full;       /* the window was, and half of it is not free yet: the target is not read */
    bool bare;       /* the client has never acknowledged in any way but Last-Event-ID */
    uint16_t code;   /* of the CLOSE */
    uint64_t sent;   /* number of the last message that any carrier was given */
    struct messages messages;
    struct replay replay;
    struct intake intake;
    double ack_by;       /* when to tell what was consumed; 0: nothing to tell, or nobody */
    double park_by;      /* when to stop waiting for the client; 0: it is there */
    struct gather parts; /* of a message to the client that is put in parts */
    struct sessions *sessions;
    struct sessions_member member;
    struct list requests; /* POSTs that are under way, those that were silent the longest first */
    unsigned n_requests;
    struct loop_deferred drained_later;
    uint64_t attach_n; /* the highest so far */
    uint64_t told_on;  /* number of the connection that told the last ACK by a poll's answer */
    bool doubts_ack;   /* nothing has shown since that it came */
    uint64_t number;
    char *origin; /* empty: none */
    char *protocol;
    char *reason; /* of the CLOSE; NULL: none */
    struct loop_deferred free_later;
};

static inline const struct conf_route *
session_conf(const struct session *session)
{
    return session->messages.route;
}

/* What is kept for the client has become more, or less. */
void session_note_kept(struct session *session);

/* Something may have become ready for the carrier. */
void session_pump(struct session *session);

/* The client has all up to seq, which was sent. */
void session_acknowledge(struct session *session, uint64_t seq);

/* The target may have taken something: the client will be told. */
void session_note_consumed(struct session *session);

/* Whoever was there has gone, or has come. */
void session_look_whether_parked(struct session *session);

#endif
