/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/framing.h"

#include <assert.h>
#include <string.h>

static const char too_large[] = "the target's message is too large";
static const char cut[] = "the target ended inside a message";

static size_t
prefix_size(uint8_t framing)
{
    return framing == FRAMING_LENGTH16 ? 2 : 4;
}

static bool
exceeds(const struct framing_decoder *decoder, uint64_t len)
{
    return decoder->unit_max > 0 && len > decoder->unit_max;
}

static void
fail(struct framing_decoder *decoder, struct framing_piece *piece, const char *why)
{
    piece->stop = FRAMING_ERROR;
    piece->why = decoder->why = why;
}

static void
give(struct framing_decoder *decoder, struct framing_piece *piece, const uint8_t *at, size_t len)
{
    piece->at = at;
    piece->len = len;
    decoder->given += len;
}

/* What was given so far ends the unit. */
static void
finish(struct framing_decoder *decoder, struct framing_piece *piece)
{
    piece->stop = FRAMING_UNIT;
    decoder->given = 0;
    decoder->prefix_len = 0;
}

void
framing_decoder_init(struct framing_decoder *decoder, enum framing framing, uint64_t unit_max)
{
    assert(framing != FRAMING_NONE);
    memset(decoder, 0, sizeof *decoder);
    decoder->framing = framing;
    decoder->unit_max = unit_max;
}

/* ---- lines ---- */

/*
 * A \r at the end of a chunk is kept back, as it is part of the line only if no \n follows. If it
 * turns out to be, its place in the caller's input is gone: a constant stands in for it.
 */
static bool
give_cr(struct framing_decoder *decoder, struct framing_piece *piece)
{
    decoder->cr = false;
    if (exceeds(decoder, decoder->given + 1)) {
        fail(decoder, piece, too_large);
        return false;
    }
    give(decoder, piece, (const uint8_t *)"\r", 1);
    return true;
}

static size_t
decode_line(struct framing_decoder *decoder, const uint8_t *in, size_t len,
            struct framing_piece *piece)
{
    const uint8_t *end = memchr(in, '\n', len);
    size_t content = end ? (size_t)(end - in) : len;

    if (decoder->cr && end != in) {
        give_cr(decoder, piece);
        return 0;
    }
    decoder->cr = false;
    if (content > 0 && in[content - 1] == '\r') {
        content--;
        decoder->cr = !end;
    }
    if (exceeds(decoder, decoder->given + content)) {
        fail(decoder, piece, too_large);
        return 0;
    }
    give(decoder, piece, in, content);
    if (!end)
        return len;
    finish(decoder, piece);
    return (size_t)(end - in) + 1;
}

/* ---- lengths ---- */

/* Takes bytes of the prefix. Returns how many. */
static size_t
take_prefix(struct framing_decoder *decoder, const uint8_t *in, size_t len)
{
    size_t size = prefix_size(decoder->framing), at = 0;

    while (decoder->prefix_len < size && at < len) {
        decoder->left = decoder->left << 8 | in[at++];
        decoder->prefix_len++;
    }
    return at;
}

static size_t
decode_length(struct framing_decoder *decoder, const uint8_t *in, size_t len,
              struct framing_piece *piece)
{
    size_t at = take_prefix(decoder, in, len), content = len - at;

    if (decoder->prefix_len < prefix_size(decoder->framing))
        return at;
    if (exceeds(decoder, decoder->given + decoder->left)) {
        fail(decoder, piece, too_large);
        return 0;
    }
    if (content > decoder->left)
        content = decoder->left;
    give(decoder, piece, in + at, content);
    decoder->left -= (uint32_t)content;
    if (decoder->left == 0)
        finish(decoder, piece);
    return at + content;
}

size_t
framing_decode(struct framing_decoder *decoder, const uint8_t *in, size_t len,
               struct framing_piece *piece)
{
    *piece = (struct framing_piece){.at = in, .first = decoder->given == 0, .stop = FRAMING_PART};
    if (decoder->why) {
        fail(decoder, piece, decoder->why);
        return 0;
    }
    if (len == 0)
        return 0;
    return decoder->framing == FRAMING_LINE ? decode_line(decoder, in, len, piece)
                                            : decode_length(decoder, in, len, piece);
}

void
framing_decode_end(struct framing_decoder *decoder, struct framing_piece *piece)
{
    *piece = (struct framing_piece){
        .at = (const uint8_t *)"", .first = decoder->given == 0, .stop = FRAMING_PART};
    if (decoder->why) {
        fail(decoder, piece, decoder->why);
        return;
    }
    if (framing_between(decoder))
        return;
    if (decoder->framing != FRAMING_LINE) {
        fail(decoder, piece, cut);
        return;
    }
    if (decoder->cr && !give_cr(decoder, piece))
        return;
    finish(decoder, piece);
}

/* ---- a client's message ---- */

void
framing_encoder_init(struct framing_encoder *encoder, enum framing framing)
{
    memset(encoder, 0, sizeof *encoder);
    encoder->framing = framing;
}

int
framing_encode_begin(struct framing_encoder *encoder, uint64_t len,
                     uint8_t prefix[FRAMING_PREFIX_MAX])
{
    size_t size = prefix_size(encoder->framing);

    encoder->ended = false;
    if (!framing_needs_length(encoder->framing))
        return 0;
    if (len >> 8 * size)
        return -1;
    for (size_t i = 0; i < size; i++)
        prefix[i] = (uint8_t)(len >> 8 * (size - 1 - i));
    encoder->left = len;
    return (int)size;
}

void
framing_encode_piece(struct framing_encoder *encoder, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    encoder->ended = data[len - 1] == '\n';
    if (framing_needs_length(encoder->framing)) {
        assert(len <= encoder->left);
        encoder->left -= len;
    }
}

size_t
framing_encode_end(struct framing_encoder *encoder, uint8_t suffix[FRAMING_SUFFIX_MAX])
{
    assert(encoder->left == 0);
    if (encoder->framing != FRAMING_LINE || encoder->ended)
        return 0;
    suffix[0] = '\n';
    return 1;
}
