/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   input    H payload  H payload  H pay|            what one read brought; H is a header
 *              └──┬──┘    │          │
 *   chunk      payload ◄──┘◄─────────┘               the first stays, the others move down to it
 *
 * Unmasking writes every byte anyhow, so the move costs nothing. Encoding is in ws_encode.c.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mask.h"
#include "proto/ws_frame.h"

enum {
    FIN = 0x80,
    CONTROL_BIT = 0x08,
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126,
};

static bool
fail(struct ws_chunk *chunk, uint16_t code, const char *why)
{
    chunk->stop = WS_STOP_ERROR;
    chunk->code = code;
    chunk->why = why;
    return false;
}

/* Why the first two bytes of a header are refused; called only when they are. */
static __attribute__((cold, noinline)) const char *
why_refused(const struct ws_decoder *decoder, uint8_t first, uint8_t second)
{
    uint8_t opcode = first & 0x0f;

    if (first & 0x70)
        return "reserved bits set without an extension";
    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return "unknown opcode";
    if (!(second & MASKED) != (decoder->role != WS_FROM_CLIENT))
        return decoder->role == WS_FROM_CLIENT ? "frame not masked" : "frame masked by the server";
    if (opcode & CONTROL_BIT)
        return first & FIN ? "control frame longer than 125 bytes" : "control frame in fragments";
    return opcode == WS_CONTINUATION ? "continuation of nothing" : "new message inside another";
}

/* Of a client that is let do what it must not (section 5.1). */
static inline bool
is_bare_pong(const struct ws_decoder *decoder, uint8_t first, uint8_t second)
{
    return decoder->bare_pong && (first & 0x0f) == WS_PONG && !(second & MASKED);
}

static inline bool
first_bytes_allowed(const struct ws_decoder *decoder, uint8_t first, uint8_t second)
{
    enum {
        CONTROL = 1 << WS_CLOSE | 1 << WS_PING | 1 << WS_PONG,
        INSIDE = CONTROL | 1 << WS_CONTINUATION,
        BETWEEN = CONTROL | 1 << WS_TEXT | 1 << WS_BINARY,
    };
    unsigned allowed = decoder->in_message ? INSIDE : BETWEEN;

    if (first & 0x70 || !(allowed >> (first & 0x0f) & 1))
        return false;
    if ((second >> 7) != (decoder->role == WS_FROM_CLIENT) && !is_bare_pong(decoder, first, second))
        return false;
    return !(first & CONTROL_BIT) || (first & FIN && (second & LENGTH) <= WS_CONTROL_MAX);
}

static inline uint8_t
header_size(uint8_t second)
{
    uint8_t size = second & MASKED ? 6 : 2;

    if ((second & LENGTH) < LENGTH_16)
        return size;
    return size + ((second & LENGTH) == LENGTH_16 ? 2 : 8);
}

/* The payload length of a complete header; false if it is refused. */
static inline bool
read_length(const uint8_t *at, uint64_t *len, struct ws_chunk *chunk)
{
    uint16_t len16;
    uint64_t len64;

    *len = at[1] & LENGTH;
    if (*len < LENGTH_16)
        return true;
    if (*len == LENGTH_16) {
        memcpy(&len16, at + 2, sizeof len16);
        *len = be16toh(len16);
        return *len >= LENGTH_16 || fail(chunk, 1002, "length not in its shortest form");
    }
    memcpy(&len64, at + 2, sizeof len64);
    *len = be64toh(len64);
    if (*len >> 63)
        return fail(chunk, 1002, "length with its top bit set");
    return *len > UINT16_MAX || fail(chunk, 1002, "length not in its shortest form");
}

static inline void
forget_control(struct ws_decoder *decoder)
{
    if (decoder->control == NULL)
        return;
    free(decoder->control);
    decoder->control = NULL;
}

/* Counts a data frame into its message; false if the message gets too long. */
static inline bool
add_to_message(struct ws_decoder *decoder, uint8_t opcode, uint64_t len, struct ws_chunk *chunk)
{
    uint64_t before = opcode == WS_CONTINUATION ? decoder->message_len : 0;

    if (decoder->message_max && (len > decoder->message_max || before > decoder->message_max - len))
        return fail(chunk, 1009, "message too long");
    /* Nobody lives to see 2^64 bytes of one message, but an announcement is quickly made. */
    if (__builtin_add_overflow(before, len, &decoder->message_len))
        decoder->message_len = UINT64_MAX;
    if (opcode != WS_CONTINUATION)
        decoder->message_opcode = opcode;
    decoder->in_message = true;
    return true;
}

/* Reads the header at at. Returns its size, or 0 if it is cut or if it is a reason to stop. */
static inline size_t
read_header(struct ws_decoder *decoder, const uint8_t *at, size_t avail, struct ws_chunk *chunk)
{
    uint8_t opcode, size;
    uint64_t len;

    if (avail < 2)
        return 0;
    if (!first_bytes_allowed(decoder, at[0], at[1]))
        return fail(chunk, 1002, why_refused(decoder, at[0], at[1]));
    size = header_size(at[1]);
    if (avail < size || !read_length(at, &len, chunk))
        return 0;
    opcode = at[0] & 0x0f;
    if (opcode & CONTROL_BIT) {
        decoder->control_len = 0;
        forget_control(decoder);
    } else {
        if (chunk->len > 0 && opcode != WS_CONTINUATION && opcode != chunk->type) {
            chunk->stop = WS_STOP_TYPE;
            return 0;
        }
        if (!add_to_message(decoder, opcode, len, chunk))
            return 0;
    }
    decoder->opcode = opcode;
    decoder->fin = at[0] & FIN;
    decoder->left = len;
    decoder->phase = 0;
    if (at[1] & MASKED)
        memcpy(decoder->key, at + size - sizeof decoder->key, sizeof decoder->key);
    else
        memset(decoder->key, 0, sizeof decoder->key);
    return size;
}

/* Goes on with a header that an earlier read, or this one, cut. Happens at most once per read: byte
 * by byte will do. */
static __attribute__((noinline)) size_t
collect_header(struct ws_decoder *decoder, const uint8_t *at, size_t avail, struct ws_chunk *chunk)
{
    size_t used = 0;

    while (used < avail && chunk->stop == WS_STOP_INPUT) {
        decoder->header[decoder->header_len++] = at[used++];
        if (read_header(decoder, decoder->header, decoder->header_len, chunk)) {
            decoder->header_len = 0;
            break;
        }
    }
    return used;
}

/* Takes the header at at. Returns how many bytes were used; if it is not complete, header_len
 * tells. */
static inline size_t
begin_frame(struct ws_decoder *decoder, const uint8_t *at, size_t avail, struct ws_chunk *chunk)
{
    size_t size = 0;

    if (decoder->header_len == 0)
        size = read_header(decoder, at, avail, chunk);
    if (size == 0 && chunk->stop == WS_STOP_INPUT)
        size = collect_header(decoder, at, avail, chunk);
    return size;
}

static inline void
unmask(const struct ws_decoder *decoder, uint8_t *to, const uint8_t *from, size_t len)
{
    if (decoder->role == WS_FROM_SERVER)
        memmove(to, from, len);
    else if (len <= MASK_SHORT_MAX)
        mask_short(to, from, len, mask_word(decoder->key, decoder->phase));
    else
        mask_copy(to, from, len, decoder->key, decoder->phase);
}

static inline void
take_data(struct ws_decoder *decoder, uint8_t *at, size_t len, struct ws_chunk *chunk)
{
    uint8_t *to = at;

    if (chunk->len > 0)
        to = chunk->data + chunk->len;
    else
        chunk->data = at;
    if (to != at || decoder->role == WS_FROM_CLIENT)
        unmask(decoder, to, at, len);
    chunk->type = decoder->message_opcode;
    if (decoder->message_opcode == WS_TEXT) {
        size_t valid = utf8_take(&decoder->utf8, to, len);

        if (valid < len)
            fail(chunk, 1007, "text is not UTF-8");
        len = valid;
    }
    chunk->len += len;
}

/* Most control frames lie wholly in the input, and stay there. */
static __attribute__((noinline)) void
take_control(struct ws_decoder *decoder, uint8_t *at, size_t len, struct ws_chunk *chunk)
{
    if (len == decoder->left && decoder->control == NULL) {
        unmask(decoder, at, at, len);
        chunk->control = at;
        decoder->control_len = (uint8_t)len;
        return;
    }
    if (decoder->control == NULL)
        decoder->control = malloc(WS_CONTROL_MAX);
    if (decoder->control == NULL) {
        fail(chunk, 1011, "out of memory");
        return;
    }
    unmask(decoder, decoder->control + decoder->control_len, at, len);
    decoder->control_len += len;
    chunk->control = decoder->control;
}

/* Takes what there is of the current frame's payload. Returns how many bytes that was. */
static inline size_t
take_payload(struct ws_decoder *decoder, uint8_t *at, size_t avail, struct ws_chunk *chunk)
{
    size_t len = decoder->left < avail ? decoder->left : avail;

    if (len == 0)
        return 0;
    if (decoder->opcode & CONTROL_BIT) {
        take_control(decoder, at, len, chunk);
    } else {
        take_data(decoder, at, len, chunk);
    }
    decoder->left -= len;
    decoder->phase = (decoder->phase + len) & 3;
    return len;
}

/* The current frame is complete. */
static inline void
end_frame(struct ws_decoder *decoder, struct ws_chunk *chunk)
{
    if (decoder->opcode & CONTROL_BIT) {
        chunk->stop = WS_STOP_CONTROL;
        chunk->opcode = decoder->opcode;
        chunk->control_len = decoder->control_len;
        return;
    }
    if (!decoder->fin)
        return;
    decoder->in_message = false;
    if (decoder->message_opcode == WS_TEXT && !utf8_complete(&decoder->utf8)) {
        fail(chunk, 1007, "text ends inside a code point");
        return;
    }
    chunk->n_messages++;
    if (!decoder->per_message)
        return;
    chunk->stop = WS_STOP_MESSAGE;
    chunk->type = decoder->message_opcode;
}

/* Puts the payload of a whole text or binary message behind the chunk; false if it is not the text
 * that it claims to be. */
static inline bool
take_message(struct ws_decoder *decoder, uint8_t *payload, size_t len, struct ws_chunk *chunk)
{
    uint8_t *to = chunk->len > 0 ? chunk->data + chunk->len : payload;

    chunk->data = to - chunk->len;
    if (len <= MASK_SHORT_MAX)
        mask_short(to, payload, len, mask_word(payload - 4, 0));
    else
        mask_copy(to, payload, len, payload - 4, 0);
    if (chunk->type == WS_TEXT) {
        size_t valid = utf8_take(&decoder->utf8, to, len);

        chunk->len += valid;
        if (valid < len)
            return fail(chunk, 1007, "text is not UTF-8");
        return utf8_complete(&decoder->utf8) || fail(chunk, 1007, "text ends inside a code point");
    }
    chunk->len += len;
    return true;
}

/*
 * The short way for what most of the traffic is: messages of one type, each in one masked frame
 * that lies wholly in the input. Nothing of them has to be remembered, so their headers need not go
 * through the decoder. Stops at whatever is different in any respect, faults included, and leaves
 * it to the long way. Returns how many bytes were used.
 */
static size_t
take_whole_messages(struct ws_decoder *decoder, uint8_t *in, size_t len, struct ws_chunk *chunk)
{
    const uint64_t max = decoder->message_max ? decoder->message_max : UINT64_MAX;
    struct ws_chunk out = *chunk;
    uint8_t *at = in, *end = in + len, first = in[0];

    if ((first != (FIN | WS_TEXT) && first != (FIN | WS_BINARY)) ||
        (out.len > 0 && out.type != (first & 0x0f)))
        return 0;
    out.type = first & 0x0f;
    /* Down to 8 bytes all of a header with a length of 7 or 16 bits can be read. */
    while (end - at >= 8 && at[0] == first && at[1] & MASKED) {
        size_t size = 6, n = at[1] & LENGTH;

        if (n >= LENGTH_16) {
            size = 8;
            n = at[1] == (MASKED | LENGTH_16) ? (size_t)at[2] << 8 | at[3] : 0;
            if (n < LENGTH_16)
                break;
        }
        if (n > (size_t)(end - at) - size || n > max)
            break;
        decoder->message_len = n;
        at += size + n;
        if (!take_message(decoder, at - n, n, &out))
            break;
        out.n_messages++;
    }
    if (at > in)
        decoder->message_opcode = out.type;
    *chunk = out;
    return at - in;
}

static inline bool
messages_may_be_whole(const struct ws_decoder *decoder)
{
    return decoder->left == 0 && decoder->header_len == 0 && !decoder->in_message &&
           !decoder->per_message && decoder->role == WS_FROM_CLIENT;
}

void
ws_decoder_init(struct ws_decoder *decoder, enum ws_role role, uint64_t message_max,
                bool per_message)
{
    memset(decoder, 0, sizeof *decoder);
    decoder->role = role;
    decoder->message_max = message_max;
    decoder->per_message = per_message;
}

void
ws_decoder_deinit(struct ws_decoder *decoder)
{
    forget_control(decoder);
}

size_t
ws_decode(struct ws_decoder *decoder, uint8_t *in, size_t len, struct ws_chunk *chunk)
{
    uint8_t *at = in, *end = in + len;

    *chunk = (struct ws_chunk){.data = in, .type = decoder->message_opcode, .control = in};
    while (at < end) {
        if (messages_may_be_whole(decoder)) {
            at += take_whole_messages(decoder, at, end - at, chunk);
            if (chunk->stop != WS_STOP_INPUT || at == end)
                break;
        }
        if (decoder->left == 0) {
            at += begin_frame(decoder, at, end - at, chunk);
            if (chunk->stop != WS_STOP_INPUT || decoder->header_len > 0)
                break;
        }
        at += take_payload(decoder, at, end - at, chunk);
        if (chunk->stop != WS_STOP_INPUT || decoder->left > 0)
            break;
        end_frame(decoder, chunk);
        if (chunk->stop != WS_STOP_INPUT)
            break;
    }
    return at - in;
}
