/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws_session -- the frames of a session (PROTOCOL.md section 3), each sent as a binary message over a
 * WebSocket.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_CLIENT_WS_SESSION_H
#define CULVERT_CLIENT_WS_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "proto/session_frame.h"

struct blob;
struct session;
struct stream;

/* The first that a client gets; it tells what was consumed. heartbeat: seconds. */
void ws_session_open(struct stream *stream, struct session *session, double heartbeat);

/* In place: headers go into the blob's headroom. Its tag is the type of frame. */
void ws_session_message(struct stream *stream, struct blob *blob, uint64_t seq);

void ws_session_ack(struct stream *stream, uint64_t seq);

/* type: PING or PONG; payload: at most what one may hold. */
void ws_session_ping(struct stream *stream, enum session_frame_type type, const void *payload,
                     size_t len);

void ws_session_close(struct stream *stream, uint16_t code, const char *reason);

#endif
