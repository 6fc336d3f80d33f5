/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws_feed -- frames for the tests of proto/ws_frame: put together by hand, decoded in pieces
 * against a guard page, and compared as a text of what came out.
 */
#ifndef CULVERT_TESTS_WS_FEED_H
#define CULVERT_TESTS_WS_FEED_H

#include <stdarg.h>
#include <stdio.h>

#include "guard.h"
#include "proto/ws_frame.h"

enum { BYTES_MAX = 4096 };

static const uint8_t feed_key[4] = {0x92, 0xe4, 0x56, 0xb8};

/* ---- input: frames put together by hand ---- */

struct bytes {
    size_t len;
    uint8_t at[BYTES_MAX];
};

static inline void
put(struct bytes *bytes, const void *data, size_t len)
{
    assert_true(bytes->len + len <= sizeof bytes->at);
    if (len > 0)
        memcpy(bytes->at + bytes->len, data, len);
    bytes->len += len;
}

/* A header with its length in the form asked for: 7, 16 or 64 bits. */
static inline void
put_header(struct bytes *bytes, uint8_t first, bool masked, uint64_t len, unsigned form)
{
    uint8_t header[14] = {first, masked ? 0x80 : 0};
    size_t size = 2;

    header[1] |= form == 7 ? (uint8_t)len : form == 16 ? 126 : 127;
    if (form != 7)
        for (unsigned bits = form; bits > 0; bits -= 8)
            header[size++] = (uint8_t)(len >> (bits - 8));
    put(bytes, header, size);
    if (masked)
        put(bytes, feed_key, 4);
}

static inline void
put_frame(struct bytes *bytes, uint8_t first, const void *payload, size_t len)
{
    size_t begin;

    put_header(bytes, first, true, len, len < 126 ? 7 : 16);
    begin = bytes->len;
    put(bytes, payload, len);
    for (size_t i = 0; i < len; i++)
        bytes->at[begin + i] ^= feed_key[i % 4];
}

static inline void
put_text(struct bytes *bytes, uint8_t first, const char *payload)
{
    put_frame(bytes, first, payload, strlen(payload));
}

/* ---- output: what happened, as a text that does not depend on how the input was cut ---- */

struct events {
    size_t len;
    char at[2 * BYTES_MAX];
    char last; /* what kind of data the log ends with */
};

static inline void __attribute__((format(printf, 2, 3)))
note(struct events *events, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    events->len += (size_t)vsnprintf(events->at + events->len, sizeof events->at - events->len,
                                     format, arguments);
    va_end(arguments);
    assert_true(events->len < sizeof events->at);
}

static inline void
note_chunk(struct events *events, const struct ws_chunk *chunk)
{
    if (chunk->len > 0) {
        char kind = chunk->type == WS_TEXT ? 't' : 'b';

        if (events->last != kind)
            note(events, "%c:", kind);
        events->last = kind;
        note(events, "%.*s", (int)chunk->len, (const char *)chunk->data);
    }
    if (chunk->stop == WS_STOP_INPUT || chunk->stop == WS_STOP_TYPE)
        return;
    events->last = 0;
    if (chunk->stop == WS_STOP_MESSAGE)
        note(events, "[end %d]", chunk->type);
    if (chunk->stop == WS_STOP_CONTROL)
        note(events, "[%x %.*s]", chunk->opcode, chunk->control_len, (const char *)chunk->control);
    if (chunk->stop == WS_STOP_ERROR)
        note(events, "[%u]", chunk->code);
}

/* Feeds one piece to its end or an error; false at an error. */
static inline bool
feed(struct ws_decoder *decoder, struct guard *guard, const uint8_t *piece, size_t len,
     struct events *events)
{
    uint8_t *at = guard_end(guard, piece, len);
    struct ws_chunk chunk;

    do {
        size_t used = ws_decode(decoder, at, len, &chunk);

        assert_true(used <= len);
        note_chunk(events, &chunk);
        if (chunk.stop == WS_STOP_ERROR) {
            assert_non_null(chunk.why);
            return false;
        }
        if (chunk.stop == WS_STOP_INPUT)
            assert_int_equal(used, len);
        if (chunk.len > 0)
            assert_true(chunk.data >= at && chunk.data + chunk.len <= at + used);
        at += used;
        len -= used;
    } while (len > 0);
    return true;
}

struct setup {
    enum ws_role role;
    uint64_t message_max;
    bool per_message;
};

static inline void
feed_cut(const struct setup *setup, const struct bytes *in, size_t first, size_t step,
         struct events *events)
{
    struct guard guard = guard_open(BYTES_MAX);
    struct ws_decoder decoder;
    size_t at = 0, len = first;

    memset(events, 0, sizeof *events);
    ws_decoder_init(&decoder, setup->role, setup->message_max, setup->per_message);
    while (at < in->len) {
        if (len > in->len - at)
            len = in->len - at;
        if (!feed(&decoder, &guard, in->at + at, len, events))
            break;
        at += len;
        len = step;
    }
    ws_decoder_deinit(&decoder);
    guard_close(&guard);
}

static inline void
expect_cuts(const struct setup *setup, const struct bytes *in, const char *expected)
{
    struct events events;

    feed_cut(setup, in, in->len, 1, &events);
    assert_string_equal(events.at, expected);
    for (size_t cut = 1; cut < in->len; cut++) {
        feed_cut(setup, in, cut, in->len, &events);
        assert_string_equal(events.at, expected);
    }
    for (size_t step = 1; step < 20; step++) {
        feed_cut(setup, in, step, step, &events);
        assert_string_equal(events.at, expected);
    }
}

/* What is left of a log of messages when nobody asks where they end. */
static inline void
without_ends(const char *log, char *out)
{
    char last = 0;

    while (*log) {
        if (strncmp(log, "[end ", 5) == 0) {
            log += 7;
        } else if ((log[0] == 't' || log[0] == 'b') && log[1] == ':') {
            if (last != log[0])
                out += sprintf(out, "%.2s", log);
            last = log[0];
            log += 2;
        } else {
            if (*log == '[')
                last = 0;
            *out++ = *log++;
        }
    }
    *out = '\0';
}

/*
 * The same events whole, in two pieces cut anywhere, byte by byte, and in pieces of some other
 * sizes. Where ends of messages are expected, once more without asking for them: the decoder has a
 * shorter way for that.
 */
static inline void
expect(const struct setup *setup, const struct bytes *in, const char *expected)
{
    struct setup joined = {setup->role, setup->message_max, false};
    char out[2 * BYTES_MAX];

    expect_cuts(setup, in, expected);
    if (!setup->per_message)
        return;
    without_ends(expected, out);
    expect_cuts(&joined, in, out);
}

#endif
