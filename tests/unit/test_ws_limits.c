/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ws_feed.h"

static const struct setup messages = {WS_FROM_CLIENT, 0, true};

static void
refused_after(const char *before, uint8_t first, bool masked, const char *expected)
{
    struct bytes in = {0};

    if (before)
        put_text(&in, 0x02, before);
    put_header(&in, first, masked, 20, 7);
    put(&in, "12345678901234567890 and more", 29);
    expect(&messages, &in, expected);
}

static void
test_first_byte(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned opcode = first & 15;
        bool data = opcode == WS_TEXT || opcode == WS_BINARY;
        bool control = opcode >= WS_CLOSE && opcode <= WS_PONG;
        bool good = !(first & 0x70) && (data || (control && first & 0x80));
        bool inside = !(first & 0x70) && (opcode == 0 || (control && first & 0x80));

        if (!good)
            refused_after(NULL, (uint8_t)first, true, "[1002]");
        if (!inside)
            refused_after("begun", (uint8_t)first, true, "b:begun[1002]");
        refused_after(NULL, (uint8_t)first, false, "[1002]");
    }
}

static void
test_masked_by_a_server(void **state)
{
    struct setup from_server = {WS_FROM_SERVER, 0, true};
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x82, "abc");
    expect(&from_server, &in, "[1002]");
}

struct length_case {
    uint64_t len;
    unsigned form;
    bool refused; /* 1002, whoever sends it */
};

static const struct length_case lengths[] = {
    {0, 7, false},
    {125, 7, false},
    {0, 16, true},
    {125, 16, true},
    {126, 16, false},
    {65535, 16, false},
    {0, 64, true},
    {126, 64, true},
    {65535, 64, true},
    {65536, 64, false},
    {0x7fffffffu, 64, false},
    {0x80000000u, 64, false},
    {0x80000001u, 64, false},
    {0xffffffffu, 64, false},
    {0x100000000u, 64, false},
    {0x100000001u, 64, false},
    {0x7fffffffffffffffu, 64, false},
    {0x8000000000000000u, 64, true},
    {0xfffffffffffffffcu, 64, true},
    {0xfffffffffffffffdu, 64, true},
    {0xfffffffffffffffeu, 64, true},
    {0xffffffffffffffffu, 64, true},
};

static void
check_length(const struct length_case *c, uint8_t first, bool masked, uint64_t message_max)
{
    bool control = first & 8;
    struct setup setup = {masked ? WS_FROM_CLIENT : WS_FROM_SERVER, message_max, true};
    struct bytes in = {0};
    struct events events;
    const char *expected = "";

    put_header(&in, first, masked, c->len, c->form);
    if (c->refused || (control && c->len > 125))
        expected = "[1002]";
    else if (control)
        expected = c->len == 0 ? "[9 ]" : "";
    else if (message_max && c->len > message_max)
        expected = "[1009]";
    else if (c->len == 0)
        expected = "[end 2]";
    expect(&setup, &in, expected);

    /* With the wrong role's masking, whatever the length. */
    setup.role = masked ? WS_FROM_SERVER : WS_FROM_CLIENT;
    feed_cut(&setup, &in, in.len, 1, &events);
    assert_string_equal(events.at, "[1002]");
}

static void
test_lengths(void **state)
{
    static const uint64_t limits[] = {0,
                                      1,
                                      125,
                                      65535,
                                      65536,
                                      0x7fffffffu,
                                      0x100000000u,
                                      0x7fffffffffffffffu,
                                      0xffffffffffffffffu};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++)
            for (int masked = 0; masked < 2; masked++) {
                check_length(&lengths[i], 0x82, masked, limits[k]);
                check_length(&lengths[i], 0x89, masked, limits[k]);
            }
}

/* Fragments that announce 2^63-1 bytes each: their sum is never added up beyond what fits. */
static void
test_announcements_do_not_overflow(void **state)
{
    static const uint64_t limits[] = {0, UINT64_MAX - 1};
    struct ws_decoder decoder;
    struct ws_chunk chunk;

    (void)state;
    for (int k = 0; k < 2; k++) {
        ws_decoder_init(&decoder, WS_FROM_CLIENT, limits[k], true);
        for (int i = 0; i < 4; i++) {
            struct bytes in = {0};

            put_header(&in, i == 0 ? 0x02 : 0x00, true, INT64_MAX, 64);
            ws_decode(&decoder, in.at, in.len, &chunk);
            if (limits[k] && i == 2) {
                assert_int_equal(chunk.stop, WS_STOP_ERROR);
                assert_int_equal(chunk.code, 1009);
                break;
            }
            assert_int_equal(chunk.stop, WS_STOP_INPUT);
            assert_true(decoder.message_len >= (uint64_t)INT64_MAX);
            decoder.left = 0; /* as if all of it had come */
        }
    }
}

static void
test_message_limit_counts_fragments_together(void **state)
{
    struct setup ten = {WS_FROM_CLIENT, 10, true};
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x02, "12345");
    put_text(&in, 0x89, "a ping is not counted");
    put_text(&in, 0x80, "67890");
    put_text(&in, 0x82, "1234567890");
    put_text(&in, 0x02, "12345");
    put_text(&in, 0x00, "67890");
    put_text(&in, 0x80, "x");
    expect(&ten, &in,
           "b:12345[9 a ping is not counted]b:67890[end 2]b:1234567890[end 2]b:1234567890[1009]");
}

static void
test_message_limit_of_single_frames(void **state)
{
    struct setup ten = {WS_FROM_CLIENT, 10, true};
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x82, "1234567890");
    put_text(&in, 0x82, "12345678901");
    put_text(&in, 0x82, "never looked at");
    expect(&ten, &in, "b:1234567890[end 2][1009]");
}

static void
test_131000_fragments_of_one_byte(void **state)
{
    struct ws_decoder decoder, limited;
    struct ws_chunk chunk;
    size_t total = 0, refused_at = 0;

    (void)state;
    ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, true);
    ws_decoder_init(&limited, WS_FROM_CLIENT, 100000, true);
    for (size_t i = 0; i < 131000; i++) {
        struct bytes in = {0}, again;

        put_text(&in, i == 0 ? 0x02 : 0x00, "x");
        again = in;
        assert_int_equal(ws_decode(&decoder, in.at, in.len, &chunk), in.len);
        assert_int_equal(chunk.stop, WS_STOP_INPUT);
        total += chunk.len;
        if (refused_at > 0)
            continue;
        ws_decode(&limited, again.at, again.len, &chunk);
        if (chunk.stop == WS_STOP_ERROR)
            refused_at = i + 1;
    }
    assert_int_equal(total, 131000);
    assert_int_equal(decoder.message_len, 131000);
    assert_true(decoder.in_message);
    assert_int_equal(chunk.code, 0);
    assert_int_equal(refused_at, 100001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_byte),
        cmocka_unit_test(test_masked_by_a_server),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_announcements_do_not_overflow),
        cmocka_unit_test(test_message_limit_counts_fragments_together),
        cmocka_unit_test(test_message_limit_of_single_frames),
        cmocka_unit_test(test_131000_fragments_of_one_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
