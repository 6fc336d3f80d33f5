/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * messages -- what a WebSocket's messages mean on a route: bytes, text or base64, as they come or
 * whole.
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
#include "proto/utf8.h"

struct conf_route;
struct metrics_route;
struct pipe;
struct stream;
struct ws_chunk;

struct messages {
    const struct conf_route *route;
    struct metrics_route *metrics; /* also for the owner */
    struct gather kept;            /* of a client's message that is not complete */
    uint8_t cut[3];                /* of the target's text: the beginning of a code point */
    uint8_t cut_len;
};

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
void messages_to_client(struct messages *messages, struct stream *stream, uint8_t *data, size_t len,
                        struct messages_fault *fault);

/* Whether the target's bytes are passed on as they come, unseen. */
bool messages_may_be_piped(const struct conf_route *route);

/* The same for what is in a pipe, which is taken; only where they may be piped, and nothing waits. */
void messages_to_client_piped(struct messages *messages, struct stream *stream, struct pipe *pipe);

/* The target has ended: nothing may be cut. */
void messages_end(struct messages *messages, struct messages_fault *fault);

#endif
