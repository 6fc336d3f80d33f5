/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws_control -- what a server says on a WebSocket besides messages: the 101, and the control frames (RFC
 * 6455 section 5.5) PING, Close, and PONG, of which one waits at most while the client takes nothing; a
 * newer PING replaces it.
 *
 * Thread:    on the loop's thread.
 */
#ifndef CULVERT_CLIENT_WS_CONTROL_H
#define CULVERT_CLIENT_WS_CONTROL_H

#include <stddef.h>
#include <stdint.h>

struct stream;
struct ws_chunk;
struct ws_digest;
struct ws_handshake;
struct ws_pong; /* one that waits; freed with free() */

/* Reads a Close that has come, its reason as a string of at most WS_CONTROL_MAX bytes. Returns 0, or the code to
 * fail the connection with. */
uint16_t ws_control_read_close(const struct ws_chunk *chunk, uint16_t *code, char *reason);

/* Answers a handshake that was found good. */
void ws_control_accept(struct stream *stream, const struct ws_handshake *handshake,
                       struct ws_digest *digest);

void ws_control_ping(struct stream *stream);

/* code may be WS_CODE_NONE. */
void ws_control_close(struct stream *stream, uint16_t code, const char *reason);

/* Answers a PING now, or keeps the answer in *waiting (NULL: none yet). */
void ws_control_pong(struct stream *stream, struct ws_pong **waiting, const uint8_t *payload,
                     size_t len);

/* The client takes bytes again. */
void ws_control_progress(struct stream *stream, struct ws_pong **waiting);

#endif
