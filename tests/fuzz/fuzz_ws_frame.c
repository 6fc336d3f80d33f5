/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames, decoded whole, cut in two, and by a second decoder that is as simple as can be: one frame
 * after another, byte by byte, nothing in place. All see the same. Input: options, where to cut,
 * the stream.
 */
#include "fuzz.h"
#include "proto/ws_frame.h"

struct options {
    enum ws_role role;
    bool per_message;
    bool bare_pong;
    uint64_t message_max;
};

/* ---- the log: data with its type in front where that changes, and events ---- */

struct record {
    struct fuzz_log log;
    int type;
    size_t n_messages; /* that have ended */
};

static void
record_data(struct record *record, int type, const uint8_t *at, size_t len)
{
    if (len == 0)
        return;
    if (record->type != type)
        fuzz_log_number(&record->log, 0xd000 + type);
    record->type = type;
    fuzz_log(&record->log, at, len);
}

static void
record_event(struct record *record, int kind, int value)
{
    fuzz_log_number(&record->log, 0xe0000000 + kind * 65536 + value);
    record->type = 0;
}

/* ---- the simple decoder ---- */

struct simple {
    const struct options *options;
    const uint8_t *in;
    size_t len, at;
    bool in_message;
    int type;
    uint64_t message_len;
    uint8_t text[4]; /* of an unfinished code point */
    size_t text_len;
};

static bool
text_is_whole(const uint8_t *t, size_t n, bool *possible)
{
    static const struct {
        uint8_t lead_from, lead_to, second_from, second_to, len;
    } rows[] = {
        /* RFC 3629 section 4 */
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (t[0] < rows[i].lead_from || t[0] > rows[i].lead_to)
            continue;
        *possible = n < 2 || (t[1] >= rows[i].second_from && t[1] <= rows[i].second_to);
        for (size_t k = 2; k < n; k++)
            *possible = *possible && t[k] >= 0x80 && t[k] <= 0xbf;
        return *possible && n == rows[i].len;
    }
    *possible = false;
    return false;
}

/* False if the byte cannot go on the text. */
static bool
simple_text(struct simple *s, uint8_t byte)
{
    bool possible;

    s->text[s->text_len++] = byte;
    if (text_is_whole(s->text, s->text_len, &possible))
        s->text_len = 0;
    return possible;
}

static int
simple_header(struct simple *s, uint64_t *payload, uint8_t *opcode, bool *fin, const uint8_t **key)
{
    const uint8_t *h = s->in + s->at;
    size_t left = s->len - s->at, size = 2;
    bool masked;

    if (left < 2)
        return -1;
    *opcode = h[0] & 15;
    *fin = h[0] >> 7;
    masked = h[1] >> 7;
    *payload = h[1] & 127;
    if ((h[0] >> 4 & 7) != 0)
        return 1002;
    if (masked != (s->options->role == WS_FROM_CLIENT) &&
        !(s->options->bare_pong && *opcode == WS_PONG && !masked))
        return 1002;
    if (*opcode >= 8 ? *opcode > 10 || !*fin || *payload > 125
                     : *opcode > 2 || (*opcode == 0) != s->in_message)
        return 1002;
    size += (*payload == 126 ? 2 : *payload == 127 ? 8 : 0) + (masked ? 4 : 0);
    if (left < size)
        return -1;
    if (*payload >= 126) {
        unsigned bytes = *payload == 126 ? 2 : 8;
        *payload = 0;
        for (unsigned i = 0; i < bytes; i++)
            *payload = *payload * 256 + h[2 + i];
        if (*payload < (bytes == 2 ? 126 : 65536) || *payload > INT64_MAX)
            return 1002;
    }
    *key = masked ? h + size - 4 : NULL;
    s->at += size;
    return 0;
}

static int
simple_begin(struct simple *s, uint8_t opcode, uint64_t payload)
{
    if (opcode >= 8)
        return 0;
    if (opcode != 0) {
        s->type = opcode;
        s->message_len = 0;
    }
    s->in_message = true;
    if (s->options->message_max &&
        (unsigned __int128)s->message_len + payload > s->options->message_max)
        return 1009;
    s->message_len += payload; /* fuzz inputs are too short for this to overflow twice */
    return 0;
}

static bool
simple_frame(struct simple *s, struct record *record)
{
    uint64_t payload;
    uint8_t opcode, control[125];
    const uint8_t *key;
    size_t n = 0;
    bool fin;
    int code = simple_header(s, &payload, &opcode, &fin, &key);

    if (code == 0)
        code = simple_begin(s, opcode, payload);
    if (code > 0)
        record_event(record, WS_STOP_ERROR, code);
    if (code != 0)
        return false;
    for (; n < payload && s->at < s->len; n++) {
        uint8_t byte = s->in[s->at++] ^ (key ? key[n % 4] : 0);

        if (opcode >= 8) {
            control[n] = byte;
        } else if (s->type == WS_TEXT && !simple_text(s, byte)) {
            record_event(record, WS_STOP_ERROR, 1007);
            return false;
        } else {
            record_data(record, s->type, &byte, 1);
        }
    }
    if (n < payload)
        return false;
    if (opcode >= 8) {
        record_event(record, WS_STOP_CONTROL, opcode);
        fuzz_log(&record->log, control, n);
    } else if (fin) {
        s->in_message = false;
        if (s->text_len > 0) {
            record_event(record, WS_STOP_ERROR, 1007);
            return false;
        }
        record->n_messages++;
        if (s->options->per_message)
            record_event(record, WS_STOP_MESSAGE, s->type);
    }
    return true;
}

/* ---- the decoder ---- */

static void
record_chunk(struct record *record, const struct ws_chunk *chunk)
{
    record->n_messages += chunk->n_messages;
    record_data(record, chunk->type, chunk->data, chunk->len);
    if (chunk->stop == WS_STOP_CONTROL) {
        record_event(record, WS_STOP_CONTROL, chunk->opcode);
        fuzz_log(&record->log, chunk->control, chunk->control_len);
    }
    if (chunk->stop == WS_STOP_MESSAGE)
        record_event(record, WS_STOP_MESSAGE, chunk->type);
    if (chunk->stop == WS_STOP_ERROR)
        record_event(record, WS_STOP_ERROR, chunk->code);
}

/* False at an error. */
static bool
decode(struct ws_decoder *decoder, const uint8_t *piece, size_t len, struct record *record)
{
    uint8_t *copy = fuzz_copy(piece, len);
    size_t at = 0;
    struct ws_chunk chunk = {.stop = WS_STOP_INPUT};

    while (at < len && chunk.stop != WS_STOP_ERROR) {
        size_t used = ws_decode(decoder, copy + at, len - at, &chunk);

        CHECK(used <= len - at);
        CHECK(used > 0 || chunk.stop == WS_STOP_ERROR);
        CHECK(chunk.stop != WS_STOP_INPUT || used == len - at);
        CHECK(chunk.stop != WS_STOP_ERROR || chunk.why);
        CHECK(chunk.stop != WS_STOP_MESSAGE || decoder->per_message);
        CHECK(chunk.stop != WS_STOP_TYPE || chunk.len > 0);
        CHECK(chunk.data >= copy + at && chunk.data + chunk.len <= copy + len);
        record_chunk(record, &chunk);
        at += used;
    }
    free(copy);
    return chunk.stop != WS_STOP_ERROR;
}

static struct record
decode_cut(const struct options *options, struct fuzz in, size_t cut)
{
    struct record record = {0};
    struct ws_decoder decoder;

    ws_decoder_init(&decoder, options->role, options->message_max, options->per_message);
    decoder.bare_pong = options->bare_pong;
    if (decode(&decoder, in.at, cut, &record))
        decode(&decoder, in.at + cut, in.len - cut, &record);
    ws_decoder_deinit(&decoder);
    return record;
}

static void
check_close(struct fuzz in)
{
    size_t len = in.len < WS_CONTROL_MAX ? in.len : WS_CONTROL_MAX, reason_len;
    uint8_t *payload = fuzz_copy(in.at, len), out[WS_CONTROL_MAX];
    const char *reason;
    uint16_t code, fault = ws_close_parse(payload, len, &code, &reason, &reason_len);

    CHECK(fault == 0 || fault == 1002 || fault == 1007);
    if (len >= 2) {
        unsigned sent = payload[0] * 256u + payload[1];
        bool reserved = sent < 1000 || (sent > 1003 && sent < 1007) ||
                        (sent > 1014 && sent < 3000) || sent > 4999;

        CHECK((fault == 1002) == reserved);
        CHECK(fault != 0 || code == sent);
    }
    if (fault == 0 && code != WS_CODE_NONE) {
        char text[WS_CONTROL_MAX] = "";

        memcpy(text, reason, reason_len);
        if (strlen(text) == reason_len) {
            CHECK(ws_close_build(out, code, text) == len);
            CHECK(memcmp(out, payload, len) == 0);
        }
    }
    free(payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint64_t limits[] = {0, 1, 5, 125, 126, 65536, INT64_MAX, UINT64_MAX};
    struct fuzz in = {data, len};
    unsigned flags = fuzz_byte(&in), cut = fuzz_u16(&in);
    struct options options = {
        .role = flags & 1 ? WS_FROM_SERVER : WS_FROM_CLIENT,
        .per_message = flags & 2,
        .bare_pong = flags & 32,
        .message_max = limits[flags >> 2 & 7],
    };
    struct simple simple = {.options = &options, .in = in.at, .len = in.len};
    struct record whole = decode_cut(&options, in, in.len);
    struct record parts = decode_cut(&options, in, in.len ? cut % in.len : 0);
    struct record expected = {0};

    while (simple.at < simple.len && simple_frame(&simple, &expected))
        ;
    CHECK(fuzz_log_same(&whole.log, &expected.log));
    CHECK(fuzz_log_same(&parts.log, &expected.log));
    CHECK(whole.n_messages == expected.n_messages);
    CHECK(parts.n_messages == expected.n_messages);
    check_close(in);
    free(whole.log.at);
    free(parts.log.at);
    free(expected.log.at);
    return 0;
}
