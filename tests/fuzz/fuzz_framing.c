/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message boundaries: the target's bytes whole, cut in two and byte by byte, and as a reader that
 * has all of them sees them; then what came out, encoded and decoded again. Input: framing,
 * unit_max, where to cut, the bytes.
 */
#include "fuzz.h"
#include "proto/framing.h"

enum {
    END_GOOD = 1,
    END_ERROR,
};

struct messages {
    struct fuzz_log log; /* each a length and its bytes; then how it ended */
    struct fuzz_log collected;
    uint64_t unit_max;
    uint64_t end;
};

static void
put(struct messages *messages, const void *at, size_t len)
{
    CHECK(messages->unit_max == 0 || len <= messages->unit_max);
    fuzz_log_number(&messages->log, len);
    fuzz_log(&messages->log, at, len);
}

static void
take(struct messages *messages, const struct framing_piece *piece)
{
    if (piece->stop == FRAMING_ERROR) {
        CHECK(piece->why != NULL);
        messages->end = END_ERROR;
        return;
    }
    CHECK(!piece->first || messages->collected.len == 0);
    if (piece->stop == FRAMING_UNIT && piece->first) {
        put(messages, piece->at, piece->len);
        return;
    }
    fuzz_log(&messages->collected, piece->at, piece->len);
    CHECK(messages->unit_max == 0 || messages->collected.len <= messages->unit_max);
    if (piece->stop == FRAMING_UNIT) {
        put(messages, messages->collected.at, messages->collected.len);
        messages->collected.len = 0;
    }
}

static void
feed(struct messages *messages, struct framing_decoder *decoder, const uint8_t *data, size_t len)
{
    uint8_t *copy = fuzz_copy(data, len), *at = copy;
    struct framing_piece piece;

    do {
        size_t used = framing_decode(decoder, at, len, &piece);

        CHECK(used <= len);
        CHECK(used > 0 || len == 0 || piece.len > 0 || piece.stop == FRAMING_ERROR);
        at += used;
        len -= used;
        take(messages, &piece);
    } while (len > 0 && messages->end == 0);
    free(copy);
}

static struct messages
decode(struct fuzz in, enum framing framing, uint64_t unit_max, size_t first, size_t step)
{
    struct messages messages = {.unit_max = unit_max};
    struct framing_decoder decoder;
    struct framing_piece piece;
    size_t len = first;

    framing_decoder_init(&decoder, framing, unit_max);
    while (in.len > 0 && messages.end == 0) {
        len = len < in.len ? len : in.len;
        feed(&messages, &decoder, in.at, len);
        in.at += len;
        in.len -= len;
        len = step;
    }
    if (messages.end == 0) {
        bool between = framing_between(&decoder);

        framing_decode_end(&decoder, &piece);
        CHECK(between == (piece.stop == FRAMING_PART));
        take(&messages, &piece);
        CHECK(messages.end || framing_between(&decoder));
    }
    if (messages.end == 0)
        messages.end = END_GOOD;
    fuzz_log_number(&messages.log, messages.end);
    return messages;
}

static void
expect_lines(struct messages *messages, struct fuzz in)
{
    size_t begin = 0;

    for (size_t i = 0; i <= in.len && messages->end == 0; i++) {
        bool last = i == in.len;
        size_t end = i;

        if (!last && in.at[i] != '\n')
            continue;
        if (last && i == begin)
            return;
        if (!last && end > begin && in.at[end - 1] == '\r')
            end--;
        if (messages->unit_max > 0 && end - begin > messages->unit_max)
            messages->end = END_ERROR;
        else
            put(messages, in.at + begin, end - begin);
        begin = i + 1;
    }
}

static void
expect_units(struct messages *messages, struct fuzz in, size_t size)
{
    while (in.len > 0) {
        uint64_t len = 0;

        messages->end = END_ERROR;
        if (in.len < size)
            return;
        for (size_t i = 0; i < size; i++)
            len = len * 256 + in.at[i];
        if ((messages->unit_max > 0 && len > messages->unit_max) || len > in.len - size)
            return;
        put(messages, in.at + size, len);
        in.at += size + len;
        in.len -= size + len;
        messages->end = 0;
    }
}

static struct messages
expected(struct fuzz in, enum framing framing, uint64_t unit_max)
{
    struct messages messages = {.unit_max = unit_max};

    if (framing == FRAMING_LINE)
        expect_lines(&messages, in);
    else
        expect_units(&messages, in, framing == FRAMING_LENGTH16 ? 2 : 4);
    if (messages.end == 0)
        messages.end = END_GOOD;
    fuzz_log_number(&messages.log, messages.end);
    return messages;
}

static void
messages_free(struct messages *messages)
{
    free(messages->log.at);
    free(messages->collected.at);
}

/* The message as it goes to a target, cut in two. */
static struct fuzz_log
encode(enum framing framing, struct fuzz in, size_t cut)
{
    uint8_t prefix[FRAMING_PREFIX_MAX], suffix[FRAMING_SUFFIX_MAX];
    struct framing_encoder encoder;
    struct fuzz_log out = {0};
    int begin;

    framing_encoder_init(&encoder, framing);
    begin = framing_encode_begin(&encoder, in.len, prefix);
    CHECK(begin >= 0);
    fuzz_log(&out, prefix, (size_t)begin);
    framing_encode_piece(&encoder, in.at, cut);
    framing_encode_piece(&encoder, in.at + cut, in.len - cut);
    fuzz_log(&out, in.at, in.len);
    fuzz_log(&out, suffix, framing_encode_end(&encoder, suffix));
    return out;
}

static void
check_encoder(enum framing framing, struct fuzz in, size_t cut)
{
    struct fuzz_log sent = encode(framing, in, cut);
    struct messages back = decode((struct fuzz){sent.at, sent.len}, framing, 0, sent.len, 1);
    uint64_t number;

    CHECK(back.end == END_GOOD);
    CHECK(framing != FRAMING_LINE || sent.at[sent.len - 1] == '\n');
    memcpy(&number, back.log.at, sizeof number);
    if (framing == FRAMING_LINE && memchr(in.at ? in.at : (const uint8_t *)"", '\n', in.len))
        number = in.len; /* several messages, or one without its line end */
    else if (framing == FRAMING_LINE && in.len > 0 && in.at[in.len - 1] == '\r')
        number++; /* the \r became part of the line's end */
    CHECK(number == in.len);
    free(sent.at);
    messages_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    enum framing framing = FRAMING_LINE + fuzz_byte(&in) % 3;
    uint64_t unit_max = fuzz_u16(&in);
    size_t cut = fuzz_u16(&in), step = fuzz_byte(&in) + 1u;
    struct messages good, parts;

    cut = in.len ? cut % in.len : 0;
    good = expected(in, framing, unit_max);
    parts = decode(in, framing, unit_max, in.len, 1);
    CHECK(fuzz_log_same(&parts.log, &good.log));
    messages_free(&parts);
    parts = decode(in, framing, unit_max, cut, in.len);
    CHECK(fuzz_log_same(&parts.log, &good.log));
    messages_free(&parts);
    parts = decode(in, framing, unit_max, cut, step);
    CHECK(fuzz_log_same(&parts.log, &good.log));
    messages_free(&parts);
    parts = decode(in, framing, unit_max, 1, 1);
    CHECK(fuzz_log_same(&parts.log, &good.log));
    messages_free(&parts);
    messages_free(&good);
    check_encoder(framing, in, cut);
    return 0;
}
