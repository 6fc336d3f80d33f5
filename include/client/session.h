/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session -- the client's endpoint of a stream route for a client that may lose its connection and come
 * back: two numbered sequences of messages that outlive what carries them (PROTOCOL.md section 3).
 *
 *                   replay: what the client has not acknowledged
 *      bridge ──send()──→ [▓▓▓▓▓▓▓▓▓▓] ──→ carrier (carrier.h), perhaps none ──→ client
 *             ←─deliver()── intake: numbers, what the target took ←── carrier, POST
 *
 *      OPEN ──finish()──→ CLOSING: the CLOSE is repeated until it is answered ──┐
 *        └──the client's CLOSE, DELETE, a fault; resume_window without a client─┴─→ gone
 *
 * The window bounds what is kept each way. When the client does not acknowledge, the target is not read.
 * `resume_window` runs while there is neither a carrier nor a request.
 *
 * Thread, lifetime: see bridge/endpoint.h. Registered with its worker's sessions (sessions.h) until its
 * end.
 */
#ifndef CULVERT_CLIENT_SESSION_H
#define CULVERT_CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "client/carrier.h"
#include "client/sessions.h"
#include "event/loop.h"
#include "proto/span.h"

struct blob;
struct conf_route;
struct endpoint;
struct metrics_route;
struct session;
struct session_frame;
struct session_request;

enum {
    SESSION_OPEN_MAX = 512, /* bytes of an OPEN object */
};

struct session_options {
    struct loop *loop;
    struct sessions *sessions;
    const struct conf_route *route; /* borrowed; outlives the endpoint */
    struct metrics_route *metrics;  /* of this worker; outlives the endpoint */
    uint64_t number;                /* of the connection that opened it, for logs */
    const char *origin;             /* of its opener; empty: none; copied */
    const char *protocol;           /* the application's, chosen; copied */
};

/* Returns NULL without memory or random bytes, logged. It waits for its first carrier, or for ten
 * seconds. */
struct session *session_new(const struct session_options *options)
    __attribute__((warn_unused_result));

/* NULL if there is none of that id. */
struct session *session_find(const struct sessions *sessions, const char *id);

struct endpoint *session_endpoint(struct session *session);
/* For logs: the connection that opened it. The id is a secret. Returns out. */
const char *session_name(const struct session *session, char out[LOOP_NAME]);
const char *session_id(const struct session *session);
const struct conf_route *session_route_of(const struct session *session);
/* A carrier is to be told how its next life begins: PROTOCOL.md's object. Tells what was consumed.
 * heartbeat: the carrier's own, seconds. Returns its length. */
size_t session_open_text(struct session *session, double heartbeat, char out[SESSION_OPEN_MAX]);

/* Whether a page of that origin (at NULL: it says none) may use it: the first that is named is the
 * session's. */
bool session_is_for(struct session *session, struct span origin);

/* ---- carriers ---- */

struct session_attach {
    bool has_ack;
    bool has_n;
    bool explicit_ack; /* by `ack=`, as opposed to Last-Event-ID: it is no bare EventSource */
    uint64_t ack;
    uint64_t n;
};

enum session_attached {
    SESSION_ATTACHED,
    SESSION_STALE,  /* an older attach than one before, or an ACK below an earlier one */
    SESSION_UNSENT, /* acknowledges what was never sent */
};

/* Checks first and changes nothing if it cannot be. Then the older carrier, if any, is told that it is
 * detached, and this one is to send what session_next() hands out, after its own beginning. */
enum session_attached session_attach(struct session *session, struct carrier *carrier,
                                     const struct session_attach *attach)
    __attribute__((warn_unused_result));

/* Whether the CLOSE was told, and who attaches so has all that came before it: the answer of who cannot give
 * any other. */
bool session_is_answered_by(const struct session *session, const struct session_attach *attach);

/* The carrier is lost, or has done its work. */
void session_lost(struct session *session, struct carrier *carrier);

/* The next message that may be sent on it, its type as the blob's tag; NULL: none now. *seq: its
 * number. */
struct blob *session_next(struct session *session, struct carrier *carrier, uint64_t *seq);

/* How many may be sent on it now. */
size_t session_n_next(const struct session *session, const struct carrier *carrier);
bool session_has_next(const struct session *session, const struct carrier *carrier);

/* Whether all is sent on it and the CLOSE is to follow. */
bool session_close_is_due(struct session *session, const struct carrier *carrier, uint16_t *code,
                          const char **reason);

/* Whether the client has never acknowledged but by Last-Event-ID: a bare EventSource. The second: and has
 * to come back to acknowledge, as the window is full. */
bool session_is_bare(const struct session *session);
bool session_is_stuck_bare(const struct session *session, const struct carrier *carrier);

/* Whether anything that was consumed is untold. */
bool session_has_ack(const struct session *session);
uint64_t session_tell_ack(struct session *session);

/*
 * A poll's answer may be lost. Whether the last ACK was told by one alone, and the client has come back
 * by another connection than that: then it is told again, once. number: exchange_number().
 */
void session_doubt_ack(struct session *session, uint64_t number);
bool session_ack_is_in_doubt(struct session *session, uint64_t number);

/* When look() of its carrier is to come. */
void session_due(struct session *session, double due);

/* ---- what comes from the client ---- */

enum session_verdict {
    SESSION_TAKEN, /* or dropped, as a repetition is */
    SESSION_GAP,
    SESSION_OVERRUN,
    SESSION_TOO_LONG,
    SESSION_FAULT,   /* it says what cannot be */
    SESSION_NO_TEXT, /* a TEXT that is not UTF-8 */
    SESSION_ENDED,   /* by a CLOSE, or because the message itself is wrong: the session is gone */
};

/* Several are taken in a row: between on and off their messages wait for each other, to go to the target
 * together. Off in the same turn, also if the session has ended meanwhile. */
void session_hold(struct session *session, bool on);

/* BINARY, TEXT, ACK, CLOSE; others are the carrier's. What lies before a message's bytes is written
 * over, ENDPOINT_HEADROOM bytes at most. */
enum session_verdict session_take(struct session *session, struct session_frame *frame,
                                  const char **why) __attribute__((warn_unused_result));

/* The client ends it, by DELETE or a WebSocket's Close. */
void session_close(struct session *session, uint16_t code, const char *reason);

/* It broke a rule: CLOSE at once. */
void session_fail(struct session *session, uint16_t code, const char *reason);

/* ---- requests ---- */

enum {
    /* POSTs of a session at a time. A client has one; but those of connections that it has given up may still
     * look alive, and may come late. */
    SESSION_REQUESTS_MAX = 16,
};

/* Embedded in a POST that is under way: the client has not gone meanwhile. */
struct session_request {
    struct list link;
    /* Of too many it has been silent the longest: to be answered, without the session. */
    void (*replaced)(struct session_request *request);
    struct session *session; /* NULL: it has ended; how: */
    struct sessions_end end;
};

void session_enter(struct session *session, struct session_request *request);
/* Something has come of it. */
void session_go_on(struct session_request *request);
/* Also after the session's end. */
void session_leave(struct session_request *request);

#endif
