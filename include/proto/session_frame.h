/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_frame -- the frames of a session, `culvert.v1` (PROTOCOL.md section 3): a type, and what it
 * has to say.
 *
 *      WebSocket:   one frame in each binary message
 *      HTTP bodies: | length: varint | frame | length | frame | …
 *
 * Thread:    any; no state outside the structs.
 * Ownership: frames point into the caller's bytes.
 * Errors:    a sentence (static text) that says what is wrong.
 */
#ifndef CULVERT_PROTO_SESSION_FRAME_H
#define CULVERT_PROTO_SESSION_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gather.h"
#include "proto/varint.h"

#define SESSION_SUBPROTOCOL "culvert.v1"
#define SESSION_MEDIA_TYPE  "application/vnd.culvert.v1"

enum session_frame_type {
    SESSION_OPEN = 1,
    SESSION_BINARY = 2,
    SESSION_TEXT = 3,
    SESSION_ACK = 4,
    SESSION_CLOSE = 5,
    SESSION_PING = 6,
    SESSION_PONG = 7,
    SESSION_IGNORED = 128, /* and all above it */
};

enum {
    SESSION_PING_MAX = 125,
    SESSION_REASON_MAX = 123,
    SESSION_HEADER_MAX = 1 + VARINT_MAX,              /* before a message's bytes */
    SESSION_CONTROL_MAX = 1 + 2 + SESSION_REASON_MAX, /* bytes of any frame but OPEN and messages */
};

/* One that came. */
struct session_frame {
    enum session_frame_type type;
    uint64_t seq;  /* of BINARY, TEXT, ACK */
    uint8_t *data; /* a message's bytes, a PING's, a reason */
    size_t len;
    uint16_t code; /* of CLOSE */
};

/* Reads one whole frame of a client's. Text is not checked, a reason is. Returns NULL, or what is
 * wrong: a type that is not known or that clients do not send, number 0, an end too early. */
const char *session_frame_read(uint8_t *bytes, size_t len, struct session_frame *frame);

/* Writes what goes before a message's bytes, so that it ends where they begin. Returns its length, at
 * most SESSION_HEADER_MAX. */
size_t session_frame_before(uint8_t *bytes, enum session_frame_type type, uint64_t seq);

/* Write whole frames to out, of SESSION_CONTROL_MAX bytes. Return their length. The reason is cut at a
 * code point to fit. */
size_t session_frame_ack(uint8_t *out, uint64_t seq);
size_t session_frame_close(uint8_t *out, uint16_t code, const char *reason);
size_t session_frame_ping(uint8_t *out, enum session_frame_type type, const void *payload,
                          size_t len);

/* ---- bodies ---- */

enum {
    SESSION_BODY_CONTROL_MAX = 2 + SESSION_CONTROL_MAX, /* bytes of any but OPEN and messages */
};

/* The same, behind their lengths. out has SESSION_BODY_CONTROL_MAX bytes. */
size_t session_body_ack(uint8_t *out, uint64_t seq);
size_t session_body_close(uint8_t *out, uint16_t code, const char *reason);
size_t session_body_pong(uint8_t *out, const void *payload, size_t len);

/*
 * Finds the frames of a body as it comes. A frame that lies whole in the caller's bytes is handed out
 * there; of one that is cut, the pieces are collected, frame_max of them at most.
 */
struct session_body {
    size_t frame_max;
    uint64_t left; /* bytes of the frame that are to come */
    bool in_frame;
    uint8_t n; /* bytes of a length that was cut */
    uint8_t length[VARINT_MAX];
    struct gather kept; /* of a frame that was cut */
};

enum session_body_result {
    SESSION_BODY_MORE,     /* all was used */
    SESSION_BODY_FRAME,    /* *frame, *frame_len: until the next call */
    SESSION_BODY_TOO_LONG, /* a frame over frame_max */
    SESSION_BODY_NO_MEMORY,
};

/* All zero but frame_max is a new one. */
void session_body_deinit(struct session_body *body);

/* Takes bytes up to the end of a frame. *used: how many. A frame that is handed out has
 * GATHER_HEADROOM writable bytes before it if the caller's bytes have. */
enum session_body_result session_body_take(struct session_body *body, uint8_t *bytes, size_t len,
                                           size_t *used, uint8_t **frame, size_t *frame_len);

/* Whether it ended between two frames. */
static inline bool
session_body_is_whole(const struct session_body *body)
{
    return !body->in_frame && body->n == 0;
}

#endif
