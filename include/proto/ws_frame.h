/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws_frame -- WebSocket frames (RFC 6455 section 5), decoded in place and encoded into room before
 * the data.
 *
 * The decoder unmasks and moves together the payloads of all data frames that one read brought, so
 * that they leave with one write. It stops only where its caller has something to do: at a control
 * frame, at the end of a message (if asked), at an error, at the end of the input. Frames are of
 * any length to 2^63-1 and are never collected.
 *
 * Thread:    any.
 * Ownership: chunks point into the caller's input, and the payload of a control frame that a read
 *            cut into the decoder.
 * Memory:    none, but for a control frame that a read cut, until the next one begins.
 * Errors:    WS_STOP_ERROR with a close code (1002, 1007, 1009; 1011 without memory) and a sentence;
 *            the decoder is spent then.
 */
#ifndef CULVERT_PROTO_WS_FRAME_H
#define CULVERT_PROTO_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/utf8.h"

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

enum {
    WS_CONTROL_MAX = 125,      /* payload of a control frame (section 5.5) */
    WS_HEADER_MAX = 14,        /* a masked header with a 64-bit length */
    WS_SERVER_HEADER_MAX = 10, /* an unmasked one */
};

/* Who sends the frames that the decoder reads; clients mask, servers must not (section 5.1). */
enum ws_role {
    WS_FROM_CLIENT,
    WS_FROM_SERVER,
};

struct ws_decoder {
    uint64_t left;        /* payload bytes of the current frame still to come */
    uint64_t message_len; /* payload bytes of the current message so far, whole frames announced
                             included */
    uint64_t message_max; /* over it: 1009; 0 is no limit */
    uint8_t role;
    bool bare_pong;         /* a PONG of a client need not be masked: libraries of MQTT send such */
    bool per_message;       /* stop at the end of each message */
    bool in_message;        /* a data message has begun and not ended */
    bool fin;               /* of the current frame */
    uint8_t opcode;         /* of the current frame */
    uint8_t message_opcode; /* WS_TEXT or WS_BINARY, of the current or last message */
    uint8_t phase;          /* position in the masking key */
    uint8_t header_len;     /* bytes in header */
    uint8_t control_len;    /* bytes in control */
    struct utf8 utf8;       /* of the current text message */
    uint8_t key[4];
    uint8_t header[WS_HEADER_MAX]; /* a header that a read cut */
    uint8_t *control; /* the payload of a control frame that a read cut, WS_CONTROL_MAX bytes; NULL:
                         none was */
};

enum ws_stop {
    WS_STOP_INPUT,   /* all input is consumed */
    WS_STOP_MESSAGE, /* per_message: the chunk ends a message (perhaps with no bytes) */
    WS_STOP_TYPE, /* the next message's type differs from the chunk's: text and binary never share a
                     chunk */
    WS_STOP_CONTROL, /* a control frame: .opcode, .control, .control_len */
    WS_STOP_ERROR,   /* .code, .why */
};

struct ws_chunk {
    uint8_t *data; /* unmasked payload bytes of the message type .type, in order; those before the
                      stop */
    size_t len;
    size_t n_messages;   /* that ended, those without any bytes too */
    enum ws_opcode type; /* WS_TEXT or WS_BINARY, meaningful if len > 0 or at WS_STOP_MESSAGE */
    enum ws_stop stop;
    enum ws_opcode opcode;
    const uint8_t *control; /* its payload, unmasked, never NULL; until the next ws_decode() */
    uint8_t control_len;
    uint16_t code;
    const char *why;
};

void ws_decoder_init(struct ws_decoder *decoder, enum ws_role role, uint64_t message_max,
                     bool per_message);
void ws_decoder_deinit(struct ws_decoder *decoder);

/*
 * Decodes from in, up to the first stop; returns how many bytes were consumed (all at
 * WS_STOP_INPUT). Call again with the rest. Text is checked as it comes: bytes before an invalid
 * one are in the chunk, the invalid ones are not (1007). Checked, each with 1002: RSV bits, unknown
 * opcodes, masking against the role, non-minimal lengths (section 5.2), the top bit of a 64-bit
 * length, fragmented or long control frames, a continuation of nothing, a new message inside
 * another. A length above message_max is 1009 as soon as its header is read; no sum overflows.
 */
size_t ws_decode(struct ws_decoder *decoder, uint8_t *in, size_t len, struct ws_chunk *chunk);

/*
 * Writes an unmasked frame's header so that it ends right before payload; the caller has
 * WS_SERVER_HEADER_MAX bytes of room there. Returns the header's length: the frame begins at
 * payload - that.
 */
size_t ws_encode_before(uint8_t *payload, uint64_t len, enum ws_opcode opcode, bool fin);

/* Writes a header to out, with fin and (role WS_FROM_CLIENT) a masking key. out has WS_HEADER_MAX
 * bytes. Returns its length. */
size_t ws_encode_header(uint8_t *out, uint64_t len, enum ws_opcode opcode, bool fin,
                        const uint8_t *key);

/* Of the message that has begun only a header has come so far. */
static inline bool
ws_decoder_awaits_payload(const struct ws_decoder *decoder)
{
    return decoder->in_message && decoder->left == decoder->message_len;
}

/* ---- Close (section 7.4) ---- */

enum {
    WS_CODE_NONE = 1005, /* a Close without a code; never sent */
    WS_CODE_LOST = 1006, /* no Close at all; never sent */
};

/*
 * Reads the payload of a Close. *code is WS_CODE_NONE for an empty one. Codes taken from a peer:
 * 1000-1003, 1007-1014, 3000-4999. Returns 0, or the code to fail the connection with: 1002 (one
 * byte, other codes) or 1007 (reason not UTF-8).
 */
uint16_t ws_close_parse(const uint8_t *payload, size_t len, uint16_t *code, const char **reason,
                        size_t *reason_len);

/* Writes the payload of a Close to out (WS_CONTROL_MAX bytes): code, then reason cut at a code
 * point to fit. Returns its length. */
size_t ws_close_build(uint8_t *out, uint16_t code, const char *reason);

#endif
