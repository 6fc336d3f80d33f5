/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * framing -- where messages begin and end on the target's side: lines, or units behind a big-endian
 * length (PROTOCOL.md section 2, `framing`).
 *
 *     line       H E L L O \r \n     or ended by \n alone; neither is part of the message
 *     length16   00 05 H E L L O
 *     length32   00 00 00 05 H E L L O
 *
 * The decoder hands out pieces of the caller's input, without line ends and prefixes. A unit that
 * one chunk holds is one piece and needs no copy. Of a unit that chunks cut, the caller collects
 * the pieces: each byte is copied once, and never more than unit_max of them wait.
 *
 *     do {
 *         used = framing_decode(&decoder, at, left, &piece);
 *         FRAMING_PART   append the piece to what was collected
 *         FRAMING_UNIT   piece.first: the piece is the message
 *                        else: append it; what was collected is the message
 *         at += used, left -= used;
 *     } while (left > 0);
 *
 * Thread:    any; no state outside the structs.
 * Ownership: pieces point into the caller's input, or at a constant.
 * Errors:    FRAMING_ERROR with a sentence (static text); the decoder is spent then.
 */
#ifndef CULVERT_PROTO_FRAMING_H
#define CULVERT_PROTO_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing {
    FRAMING_NONE, /* the encoder adds nothing; not for the decoder */
    FRAMING_LINE,
    FRAMING_LENGTH16,
    FRAMING_LENGTH32,
};

/* ---- the target's bytes ---- */

struct framing_decoder {
    uint64_t unit_max;  /* bytes of a message; 0 is no limit */
    uint64_t given;     /* of the current unit */
    const char *why;    /* set when spent */
    uint32_t left;      /* of the current unit, where a prefix has told its length */
    uint8_t framing;    /* enum framing */
    uint8_t prefix_len; /* bytes of the prefix so far */
    bool cr;            /* the last chunk ended in a \r that may belong to a line end */
};

enum framing_stop {
    FRAMING_PART,  /* the piece (perhaps empty) belongs to a unit that is not complete yet */
    FRAMING_UNIT,  /* the piece (perhaps empty) ends a unit */
    FRAMING_ERROR, /* .why */
};

struct framing_piece {
    const uint8_t *at;
    size_t len;
    bool first; /* no byte of this unit was handed out before */
    enum framing_stop stop;
    const char *why;
};

void framing_decoder_init(struct framing_decoder *decoder, enum framing framing, uint64_t unit_max);

/*
 * Decodes up to the first stop; returns how many bytes were consumed. At FRAMING_PART and
 * FRAMING_UNIT call again with the rest while there is any; each call consumes something or hands
 * something out. A unit over unit_max is an error as soon as that can be known: at its prefix, or
 * at the first byte of a line that is too much.
 */
size_t framing_decode(struct framing_decoder *decoder, const uint8_t *in, size_t len,
                      struct framing_piece *piece);

/*
 * The target has ended (FIN). FRAMING_UNIT: a last line without its end, to be handled as one from
 * framing_decode(). FRAMING_PART with an empty piece: all was complete. FRAMING_ERROR: cut inside a
 * unit.
 */
void framing_decode_end(struct framing_decoder *decoder, struct framing_piece *piece);

/* Whether the target stopped between two units. */
static inline bool
framing_between(const struct framing_decoder *decoder)
{
    return decoder->given == 0 && decoder->prefix_len == 0 && !decoder->cr;
}

/* ---- a client's message ---- */

enum {
    FRAMING_PREFIX_MAX = 4,
    FRAMING_SUFFIX_MAX = 1,
};

struct framing_encoder {
    uint64_t left; /* of the current message, where its length was written */
    uint8_t framing;
    bool ended; /* the last byte of the current message so far is a line end */
};

void framing_encoder_init(struct framing_encoder *encoder, enum framing framing);

/* Whether a message must be complete before its first byte can be sent. */
static inline bool
framing_needs_length(enum framing framing)
{
    return framing == FRAMING_LENGTH16 || framing == FRAMING_LENGTH32;
}

/*
 * Begins a message of len bytes; len is ignored where framing_needs_length() is false. Writes what
 * goes before it to prefix. Returns that many bytes, or -1 if the prefix cannot tell that length.
 */
int framing_encode_begin(struct framing_encoder *encoder, uint64_t len,
                         uint8_t prefix[FRAMING_PREFIX_MAX]) __attribute__((warn_unused_result));

/* Looks at the next bytes of the message, which are sent as they are. */
void framing_encode_piece(struct framing_encoder *encoder, const uint8_t *data, size_t len);

/* Ends the message. Writes what goes behind it to suffix: a line end, if it has none of its own.
 * Returns that many bytes. */
size_t framing_encode_end(struct framing_encoder *encoder, uint8_t suffix[FRAMING_SUFFIX_MAX]);

#endif
