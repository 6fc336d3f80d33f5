/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/framing.h"

/* What came out, as text: each message in brackets, then '.' (all complete), '!' (an error) or '-'
 * (cut inside a unit). */
struct outcome {
    size_t len;
    char text[65536];
    unsigned copied; /* bytes that had to be collected */
    uint8_t collected[4096];
    size_t n_collected;
    bool ended;
};

static struct outcome whole, parts;

static void
write_out(struct outcome *out, const void *data, size_t len)
{
    assert_true(out->len + len < sizeof out->text);
    if (len > 0)
        memcpy(out->text + out->len, data, len);
    out->len += len;
    out->text[out->len] = '\0';
}

static void
collect(struct outcome *out, const struct framing_piece *piece, uint64_t unit_max)
{
    assert_true(out->n_collected + piece->len <= sizeof out->collected);
    if (piece->first)
        assert_int_equal(out->n_collected, 0);
    if (piece->len > 0)
        memcpy(out->collected + out->n_collected, piece->at, piece->len);
    out->n_collected += piece->len;
    out->copied += (unsigned)piece->len;
    if (unit_max > 0)
        assert_true(out->n_collected <= unit_max);
}

static void
take(struct outcome *out, const struct framing_piece *piece, uint64_t unit_max)
{
    if (piece->stop == FRAMING_ERROR) {
        assert_non_null(piece->why);
        write_out(out, "!", 1);
        out->ended = true;
        return;
    }
    if (piece->stop == FRAMING_PART) {
        collect(out, piece, unit_max);
        return;
    }
    write_out(out, "[", 1);
    if (piece->first) {
        write_out(out, piece->at, piece->len);
    } else {
        collect(out, piece, unit_max);
        write_out(out, out->collected, out->n_collected);
    }
    out->n_collected = 0;
    write_out(out, "]", 1);
}

static void
take_end(struct outcome *out, struct framing_decoder *decoder, uint64_t unit_max)
{
    struct framing_piece piece;
    bool between = framing_between(decoder);

    framing_decode_end(decoder, &piece);
    assert_int_equal(between, piece.stop == FRAMING_PART);
    if (piece.stop == FRAMING_ERROR && decoder->framing != FRAMING_LINE) {
        write_out(out, "-", 1);
        return;
    }
    take(out, &piece, unit_max);
    write_out(out, ".", 1);
    assert_true(piece.stop == FRAMING_ERROR || framing_between(decoder));
}

/* Feeds data in pieces: the first of `first` bytes, the second of `second`, the others of `step`.
 */
static void
feed(struct outcome *out, struct guard *guard, enum framing framing, uint64_t unit_max,
     const char *data, size_t len, size_t first, size_t second, size_t step)
{
    struct framing_decoder decoder;
    struct framing_piece piece;
    size_t at = 0, chunk = first, next = second;

    memset(out, 0, sizeof *out);
    framing_decoder_init(&decoder, framing, unit_max);
    assert_true(framing_between(&decoder));
    while (at < len && !out->ended) {
        size_t left = chunk < len - at ? chunk : len - at;
        const uint8_t *in = guard_end(guard, data + at, left);

        at += left;
        chunk = next;
        next = step;
        do {
            size_t used = framing_decode(&decoder, in, left, &piece);

            assert_true(used <= left);
            assert_true(used > 0 || left == 0 || piece.len > 0 || piece.stop == FRAMING_ERROR);
            in += used;
            left -= used;
            take(out, &piece, unit_max);
        } while (left > 0 && !out->ended);
    }
    if (!out->ended)
        take_end(out, &decoder, unit_max);
}

/* Whole, cut in two and in three at every place, and byte by byte: always the same outcome. */
static void
check_bytes(enum framing framing, uint64_t unit_max, const char *data, size_t len,
            const char *expected)
{
    struct guard guard = guard_open(len);

    feed(&whole, &guard, framing, unit_max, data, len, len, len, len);
    assert_string_equal(whole.text, expected);
    for (size_t first = 0; first <= len; first++)
        for (size_t second = 0; second <= len - first; second++) {
            feed(&parts, &guard, framing, unit_max, data, len, first, second, len);
            assert_string_equal(parts.text, expected);
        }
    feed(&parts, &guard, framing, unit_max, data, len, 1, 1, 1);
    assert_string_equal(parts.text, expected);
    guard_close(&guard);
}

#define CHECK(framing, max, data, expected)                                                        \
    check_bytes((framing), (max), (data), sizeof(data) - 1, (expected))

static void
test_lines(void **state)
{
    (void)state;
    CHECK(FRAMING_LINE, 0, "", ".");
    CHECK(FRAMING_LINE, 0, "a\nbc\r\n", "[a][bc].");
    CHECK(FRAMING_LINE, 0, "\n", "[].");
    CHECK(FRAMING_LINE, 0, "\r\n", "[].");
    CHECK(FRAMING_LINE, 0, "a\n\n\r\nb\n", "[a][][][b].");
    CHECK(FRAMING_LINE, 0, "\n\r\n\r\r\n", "[][][\r].");
}

static void
test_only_one_cr_right_before_the_end_is_dropped(void **state)
{
    (void)state;
    CHECK(FRAMING_LINE, 0, "a\r\r\n", "[a\r].");
    CHECK(FRAMING_LINE, 0, "a\rb\n", "[a\rb].");
    CHECK(FRAMING_LINE, 0, "\ra\n", "[\ra].");
    CHECK(FRAMING_LINE, 0, "\r\r\r\r\n", "[\r\r\r].");
    CHECK(FRAMING_LINE, 0, "a\n\rb\r\n", "[a][\rb].");
}

static void
test_last_line_needs_no_end(void **state)
{
    (void)state;
    CHECK(FRAMING_LINE, 0, "a", "[a].");
    CHECK(FRAMING_LINE, 0, "a\nb", "[a][b].");
    CHECK(FRAMING_LINE, 0, "a\r", "[a\r].");
    CHECK(FRAMING_LINE, 0, "\r", "[\r].");
    CHECK(FRAMING_LINE, 0, "a\r\r", "[a\r\r].");
    CHECK(FRAMING_LINE, 3, "abc", "[abc].");
}

static void
test_line_limit_counts_the_message_alone(void **state)
{
    (void)state;
    CHECK(FRAMING_LINE, 3, "abc\n", "[abc].");
    CHECK(FRAMING_LINE, 3, "abc\r\nabc\n", "[abc][abc].");
    CHECK(FRAMING_LINE, 3, "abcd\n", "!");
    CHECK(FRAMING_LINE, 3, "abcd", "!");
    CHECK(FRAMING_LINE, 3, "abc\r\r\n", "!");
    CHECK(FRAMING_LINE, 3, "abc\rd", "!");
    CHECK(FRAMING_LINE, 3, "ab\r\r\n", "[ab\r].");
    CHECK(FRAMING_LINE, 3, "a\nabcd\n", "[a]!");
    CHECK(FRAMING_LINE, 1, "\n\r\na\r\n\r\r\nab", "[][][a][\r]!");
}

/* A \r too much, at the end. */
static void
test_line_limit_at_the_end(void **state)
{
    (void)state;
    CHECK(FRAMING_LINE, 3, "abc\r", "!.");
    CHECK(FRAMING_LINE, 4, "abc\r", "[abc\r].");
}

/* Not only when the line ends: that may never come. */
static void
test_too_long_a_line_is_refused_at_once(void **state)
{
    struct framing_decoder decoder;
    struct framing_piece piece;

    (void)state;
    framing_decoder_init(&decoder, FRAMING_LINE, 4);
    assert_int_equal(framing_decode(&decoder, (const uint8_t *)"abcd", 4, &piece), 4);
    assert_int_equal(piece.stop, FRAMING_PART);
    framing_decode(&decoder, (const uint8_t *)"e", 1, &piece);
    assert_int_equal(piece.stop, FRAMING_ERROR);
    framing_decode(&decoder, (const uint8_t *)"\n", 1, &piece);
    assert_int_equal(piece.stop, FRAMING_ERROR);
    framing_decode_end(&decoder, &piece);
    assert_int_equal(piece.stop, FRAMING_ERROR);
}

static void
test_length16(void **state)
{
    (void)state;
    CHECK(FRAMING_LENGTH16, 0, "", ".");
    CHECK(FRAMING_LENGTH16, 0, "\0\3abc\0\1d", "[abc][d].");
    CHECK(FRAMING_LENGTH16, 0, "\0\0", "[].");
    CHECK(FRAMING_LENGTH16, 0, "\0\0\0\0\0\1\n", "[][][\n].");
    CHECK(FRAMING_LENGTH16, 3, "\0\3abc\0\0", "[abc][].");
    CHECK(FRAMING_LENGTH16, 3, "\0\1a\0\4abcd", "[a]!");
    CHECK(FRAMING_LENGTH16, 3, "\0\4", "!");
}

static void
test_length32(void **state)
{
    (void)state;
    CHECK(FRAMING_LENGTH32, 0, "\0\0\0\3abc\0\0\0\0", "[abc][].");
    CHECK(FRAMING_LENGTH32, 0x10003, "\0\0\0\1a\0\1\0\4", "[a]!");
    CHECK(FRAMING_LENGTH32, 0xfffffffe, "\xff\xff\xff\xff", "!");
}

static void
test_cut_inside_a_unit(void **state)
{
    (void)state;
    CHECK(FRAMING_LENGTH16, 0, "\0", "-");
    CHECK(FRAMING_LENGTH16, 0, "\0\1a\0\2b", "[a]-");
    CHECK(FRAMING_LENGTH16, 0, "\0\2", "-");
    CHECK(FRAMING_LENGTH32, 0, "\0\0\0", "-");
    CHECK(FRAMING_LENGTH32, 0, "\0\0\0\0\1\0\0\0abc", "[]-");
}

/* Longer units than any test string: 65535 bytes, 65536 and 2^24. */
static void
test_long_units(void **state)
{
    static const struct {
        enum framing framing;
        uint8_t prefix[4];
        uint32_t len;
    } cases[] = {
        {FRAMING_LENGTH16, {0xff, 0xff}, 65535},
        {FRAMING_LENGTH32, {0, 1, 0, 0}, 65536},
        {FRAMING_LENGTH32, {1, 0, 0, 1}, 0x1000001},
    };
    static uint8_t zeros[4096];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = cases[i].framing == FRAMING_LENGTH16 ? 2 : 4, sum = 0;
        struct framing_decoder decoder;
        struct framing_piece piece;

        framing_decoder_init(&decoder, cases[i].framing, cases[i].len);
        assert_int_equal(framing_decode(&decoder, cases[i].prefix, size, &piece), size);
        do {
            sum += framing_decode(&decoder, zeros, sizeof zeros, &piece);
        } while (piece.stop == FRAMING_PART);
        assert_int_equal(piece.stop, FRAMING_UNIT);
        assert_int_equal(sum, cases[i].len);
    }
}

/* A unit that lies whole in a chunk is not copied, and points into it. */
static void
test_whole_units_are_in_place(void **state)
{
    static const uint8_t lines[] = "ab\ncd\r\nef";
    static const uint8_t units[] = "\0\2ab\0\2cd\0\2e";
    struct framing_decoder decoder;
    struct framing_piece piece;

    (void)state;
    framing_decoder_init(&decoder, FRAMING_LINE, 10);
    assert_int_equal(framing_decode(&decoder, lines, 9, &piece), 3);
    assert_true(piece.stop == FRAMING_UNIT && piece.first && piece.at == lines && piece.len == 2);
    assert_int_equal(framing_decode(&decoder, lines + 3, 6, &piece), 4);
    assert_true(piece.stop == FRAMING_UNIT && piece.first && piece.at == lines + 3);
    assert_int_equal(framing_decode(&decoder, lines + 7, 2, &piece), 2);
    assert_true(piece.stop == FRAMING_PART && piece.first && piece.at == lines + 7);
    framing_decoder_init(&decoder, FRAMING_LENGTH16, 10);
    /* Nor is it if the prefix was cut off. */
    assert_int_equal(framing_decode(&decoder, units, 1, &piece), 1);
    assert_true(piece.stop == FRAMING_PART && piece.len == 0 && !framing_between(&decoder));
    assert_int_equal(framing_decode(&decoder, units + 1, 10, &piece), 3);
    assert_true(piece.stop == FRAMING_UNIT && piece.first && piece.at == units + 2);
    assert_true(framing_between(&decoder));
    assert_int_equal(framing_decode(&decoder, units + 4, 7, &piece), 4);
    assert_true(piece.stop == FRAMING_UNIT && piece.first && piece.at == units + 6);
    assert_int_equal(framing_decode(&decoder, units + 8, 3, &piece), 3);
    assert_true(piece.stop == FRAMING_PART && piece.first && piece.len == 1);
    assert_int_equal(framing_decode(&decoder, units + 2, 1, &piece), 1);
    assert_true(piece.stop == FRAMING_UNIT && !piece.first && piece.len == 1);
}

/* ---- the encoder ---- */

/* The message as it is sent, in pieces cut at `cut`; its length, or -1. */
static int
encode(struct framing_encoder *encoder, const char *message, size_t len, size_t cut, char *out)
{
    uint8_t prefix[FRAMING_PREFIX_MAX], suffix[FRAMING_SUFFIX_MAX];
    int begin = framing_encode_begin(encoder, len, prefix);
    size_t end;

    if (begin < 0)
        return -1;
    memcpy(out, prefix, (size_t)begin);
    framing_encode_piece(encoder, (const uint8_t *)message, cut);
    framing_encode_piece(encoder, (const uint8_t *)message + cut, len - cut);
    memcpy(out + begin, message, len);
    end = framing_encode_end(encoder, suffix);
    memcpy(out + begin + len, suffix, end);
    return begin + (int)len + (int)end;
}

static void
check_encode(enum framing framing, const char *message, size_t len, const char *expected,
             size_t expected_len)
{
    struct framing_encoder encoder;
    char out[64];

    framing_encoder_init(&encoder, framing);
    /* The same encoder, message after message. */
    for (size_t cut = 0; cut <= len; cut++) {
        assert_int_equal(encode(&encoder, message, len, cut, out), expected_len);
        assert_memory_equal(out, expected, expected_len);
    }
}

#define CHECK_ENCODE(framing, message, expected)                                                   \
    check_encode((framing), (message), sizeof(message) - 1, (expected), sizeof(expected) - 1)

static void
test_encode(void **state)
{
    (void)state;
    CHECK_ENCODE(FRAMING_NONE, "abc", "abc");
    CHECK_ENCODE(FRAMING_LINE, "abc", "abc\n");
    CHECK_ENCODE(FRAMING_LINE, "abc\n", "abc\n");
    CHECK_ENCODE(FRAMING_LINE, "abc\r\n", "abc\r\n");
    CHECK_ENCODE(FRAMING_LINE, "abc\n\n", "abc\n\n");
    CHECK_ENCODE(FRAMING_LINE, "a\nb", "a\nb\n");
    CHECK_ENCODE(FRAMING_LINE, "", "\n");
    CHECK_ENCODE(FRAMING_LINE, "\n", "\n");
    CHECK_ENCODE(FRAMING_LENGTH16, "abc\n", "\0\4abc\n");
    CHECK_ENCODE(FRAMING_LENGTH16, "", "\0\0");
    CHECK_ENCODE(FRAMING_LENGTH32, "abc", "\0\0\0\3abc");
}

/* An empty message after one that ended its own line. */
static void
test_encoder_forgets_the_last_message(void **state)
{
    struct framing_encoder encoder;
    char out[8];

    (void)state;
    framing_encoder_init(&encoder, FRAMING_LINE);
    assert_int_equal(encode(&encoder, "a\n", 2, 1, out), 2);
    assert_int_equal(encode(&encoder, "", 0, 0, out), 1);
}

static void
test_prefix(void **state)
{
    struct framing_encoder encoder;
    uint8_t prefix[FRAMING_PREFIX_MAX];

    (void)state;
    framing_encoder_init(&encoder, FRAMING_LENGTH16);
    assert_int_equal(framing_encode_begin(&encoder, 0xfedc, prefix), 2);
    assert_memory_equal(prefix, "\xfe\xdc", 2);
    assert_int_equal(framing_encode_begin(&encoder, 65535, prefix), 2);
    assert_int_equal(framing_encode_begin(&encoder, 65536, prefix), -1);
    assert_int_equal(framing_encode_begin(&encoder, UINT64_MAX, prefix), -1);
    framing_encoder_init(&encoder, FRAMING_LENGTH32);
    assert_int_equal(framing_encode_begin(&encoder, 0xfedcba98, prefix), 4);
    assert_memory_equal(prefix, "\xfe\xdc\xba\x98", 4);
    assert_int_equal(framing_encode_begin(&encoder, (uint64_t)1 << 32, prefix), -1);
    framing_encoder_init(&encoder, FRAMING_LINE);
    assert_int_equal(framing_encode_begin(&encoder, UINT64_MAX, prefix), 0);
    assert_true(framing_needs_length(FRAMING_LENGTH16) && framing_needs_length(FRAMING_LENGTH32));
    assert_false(framing_needs_length(FRAMING_LINE) || framing_needs_length(FRAMING_NONE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_only_one_cr_right_before_the_end_is_dropped),
        cmocka_unit_test(test_last_line_needs_no_end),
        cmocka_unit_test(test_line_limit_counts_the_message_alone),
        cmocka_unit_test(test_line_limit_at_the_end),
        cmocka_unit_test(test_too_long_a_line_is_refused_at_once),
        cmocka_unit_test(test_length16),
        cmocka_unit_test(test_length32),
        cmocka_unit_test(test_cut_inside_a_unit),
        cmocka_unit_test(test_long_units),
        cmocka_unit_test(test_whole_units_are_in_place),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_encoder_forgets_the_last_message),
        cmocka_unit_test(test_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
