/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * messages -- what a client's messages mean on a route: bytes, text or base64, as they come or
 * whole. A session's come whole, and are handled as a WebSocket's.
 *
 *      client → target    as it comes       framing = none and messages = binary, text
 *                         whole messages    otherwise: collected, message_max at most; base64 decoded
 *      target → client    binary, text      one frame each time, in place; a cut code point waits
 *                         base64            encoded in slices, one message each time
 *
 * Thread:    any; embedded in its owner: messages_init() to messages_deinit().
 * Errors:    a close code and a sentence (static text) to fail the connection with.
 */
#ifndef CULVERT_CLIENT_MESSAGES_H
#define CULVERT_CLIENT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gather.h"
#include "base/metrics.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"

struct conf_route;

struct messages {
    const struct conf_route *route;
    struct metrics_route *metrics; /* also for the owner */
    struct gather kept;            /* of a client's message that is not complete */
    uint8_t cut[3];                /* of the target's text: the beginning of a code point */
    uint8_t cut_len;
    uint8_t transport; /* enum metrics_transport; the owner may change it */
};

/*
 * Sends a message to the client, or, while fin is false, a part of one; the opcode of further parts is
 * WS_CONTINUATION. There are ENDPOINT_HEADROOM writable bytes before it. Embedding structs find
 * themselves from messages.
 */
typedef void messages_put_cb(struct messages *messages, uint8_t *data, size_t len,
                             enum ws_opcode opcode, bool fin);

struct messages_fault {
    uint16_t code; /* 0: none */
    const char *why;
};

/* metrics: where bytes and messages of both directions are counted, as the client sees them. */
void messages_init(struct messages *messages, const struct conf_route *route,
                   struct metrics_route *metrics);
void messages_deinit(struct messages *messages);

/* Whether messages of this route have to be whole: the decoder is to stop at the end of each. */
bool messages_are_whole(const struct conf_route *route);

/* Of everything that was decoded. */
void messages_count_in(struct messages *messages, const struct ws_chunk *chunk);

/*
 * Takes a decoded chunk. Returns true if *data, *len can go to the target now: the chunk itself, or
 * a whole message, perhaps empty. With whole messages call messages_sent() after. The data has
 * ENDPOINT_HEADROOM bytes before it.
 */
bool messages_from_client(struct messages *messages, const struct ws_chunk *chunk, uint8_t **data,
                          size_t *len, struct messages_fault *fault);
void messages_sent(struct messages *messages);

/* Sends the target's bytes as one message, or, where the code point at the end is cut, all
 * before it. */
void messages_to_client(struct messages *messages, messages_put_cb *put, uint8_t *data, size_t len,
                        struct messages_fault *fault);

/* Of what is put, before it is written: who has received it must find it counted. */
void messages_count_out(struct messages *messages, size_t bytes, size_t n);

/* Whether the target's bytes are passed on as they come, unseen. */
bool messages_may_be_piped(const struct conf_route *route);

/* The target has ended: nothing may be cut. */
void messages_end(struct messages *messages, struct messages_fault *fault);

#endif
