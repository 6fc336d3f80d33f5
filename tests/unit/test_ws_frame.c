/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ws_feed.h"

static const struct setup from_client = {WS_FROM_CLIENT, 0, false};
static const struct setup messages = {WS_FROM_CLIENT, 0, true};

static void
test_examples_of_the_standard(void **state)
{
    static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                    0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t server[] = {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c,
                                     0x6f, 0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    struct setup from_server = {WS_FROM_SERVER, 0, true};
    struct bytes in = {0};

    (void)state;
    put(&in, hello, sizeof hello);
    expect(&messages, &in, "t:Hello[end 1]");
    in.len = 0;
    put(&in, server, sizeof server);
    expect(&from_server, &in, "t:Hello[end 1][9 Hello]");
}

static void
test_many_frames_of_one_read_lie_together(void **state)
{
    struct bytes in = {0};
    struct ws_decoder decoder;
    struct ws_chunk chunk;
    char expected[BYTES_MAX], payload[300];
    size_t len = 0;

    (void)state;
    for (size_t n = 0; n < 80; n++) {
        size_t size = n * 7 % 131;

        memset(payload, 'a' + (int)(n % 26), size);
        memcpy(expected + len, payload, size);
        len += size;
        if (in.len + size + 8 <= sizeof in.at - 8)
            put_frame(&in, 0x82, payload, size);
        else
            len -= size;
    }
    ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, false);
    assert_int_equal(ws_decode(&decoder, in.at, in.len, &chunk), in.len);
    assert_int_equal(chunk.stop, WS_STOP_INPUT);
    assert_int_equal(chunk.type, WS_BINARY);
    assert_int_equal(chunk.len, len);
    assert_memory_equal(chunk.data, expected, len);
}

static void
test_a_single_frame_stays_in_place(void **state)
{
    struct bytes in = {0};
    struct ws_decoder decoder;
    struct ws_chunk chunk;

    (void)state;
    put_text(&in, 0x82, "payload that does not move");
    ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, false);
    ws_decode(&decoder, in.at, in.len, &chunk);
    assert_ptr_equal(chunk.data, in.at + 6);
    assert_int_equal(decoder.message_len, 26);
    assert_int_equal(decoder.message_opcode, WS_BINARY);
}

static void
test_a_control_frame_takes_memory_only_if_it_is_cut(void **state)
{
    struct bytes in = {0};
    struct ws_decoder decoder;
    struct ws_chunk chunk;

    (void)state;
    put_text(&in, 0x89, "ping");
    put_text(&in, 0x89, "pong");
    put_text(&in, 0x89, "");
    ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, false);
    assert_int_equal(ws_decode(&decoder, in.at, in.len, &chunk), 10);
    assert_ptr_equal(chunk.control, in.at + 6);
    assert_null(decoder.control);
    assert_int_equal(ws_decode(&decoder, in.at + 10, 8, &chunk), 8);
    assert_int_equal(chunk.stop, WS_STOP_INPUT);
    assert_non_null(decoder.control);
    assert_int_equal(ws_decode(&decoder, in.at + 18, 8, &chunk), 2);
    assert_int_equal(chunk.stop, WS_STOP_CONTROL);
    assert_int_equal(chunk.control_len, 4);
    assert_memory_equal(chunk.control, "pong", 4);
    assert_int_equal(ws_decode(&decoder, in.at + 20, 6, &chunk), 6);
    assert_int_equal(chunk.stop, WS_STOP_CONTROL);
    assert_int_equal(chunk.control_len, 0);
    assert_null(decoder.control);
}

static void
test_messages_in_fragments_with_control_frames_between(void **state)
{
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x01, "one ");
    put_text(&in, 0x89, "ping");
    put_text(&in, 0x00, "two ");
    put_text(&in, 0x00, "");
    put_text(&in, 0x8a, "");
    put_text(&in, 0x80, "three");
    put_text(&in, 0x82, "four");
    put_text(&in, 0x82, "");
    put_text(&in, 0x88, "\x03\xe8 bye");
    expect(&messages, &in,
           "t:one [9 ping]t:two [a ]t:three[end 1]b:four[end 2][end 2][8 \x03\xe8 bye]");
    expect(&from_client, &in, "t:one [9 ping]t:two [a ]t:threeb:four[8 \x03\xe8 bye]");
}

static void
test_text_and_binary_never_share_a_chunk(void **state)
{
    struct bytes in = {0};
    struct ws_decoder decoder;
    struct ws_chunk chunk;
    size_t used;

    (void)state;
    put_text(&in, 0x81, "text");
    put_text(&in, 0x81, "more");
    put_text(&in, 0x82, "binary");
    put_text(&in, 0x81, "");
    put_text(&in, 0x82, "still");
    expect(&from_client, &in, "t:textmoreb:binarystill");
    in.len = 0;
    put_text(&in, 0x81, "text");
    put_text(&in, 0x82, "binary");
    ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, false);
    used = ws_decode(&decoder, in.at, in.len, &chunk);
    assert_int_equal(chunk.stop, WS_STOP_TYPE);
    assert_int_equal(chunk.type, WS_TEXT);
    assert_int_equal(used, 10);
    assert_int_equal(ws_decode(&decoder, in.at + used, in.len - used, &chunk), in.len - used);
    assert_int_equal(chunk.type, WS_BINARY);
}

static void
test_payload_sizes_around_every_boundary(void **state)
{
    static const size_t sizes[] = {0,  1,  3,  4,   7,   8,   15,  16,  17,  31,  32,  33,
                                   63, 64, 65, 124, 125, 126, 127, 128, 129, 255, 256, 1000};
    char payload[1000], expected[1100];

    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)('0' + i % 75);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bytes in = {0};

        put_frame(&in, 0x82, payload, sizes[i]);
        put_text(&in, 0x81, "after");
        snprintf(expected, sizeof expected, "%s%.*s[end 2]t:after[end 1]", sizes[i] ? "b:" : "",
                 (int)sizes[i], payload);
        expect(&messages, &in, expected);
    }
}

/* The rest of a cut header may look like a frame: length 2, masked, is the byte that begins a
 * binary message. */
static void
test_rest_of_a_header_is_not_taken_for_a_frame(void **state)
{
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x82, "ab");
    put_text(&in, 0x82, "long enough for what its key would announce as a length");
    put_text(&in, 0x81, "x");
    put_text(&in, 0x81, "long enough for what its key would announce as a length");
    expect(&messages, &in,
           "b:ab[end 2]b:long enough for what its key would announce as a length[end 2]"
           "t:x[end 1]t:long enough for what its key would announce as a length[end 1]");
}

static void
test_control_payload_of_125_bytes(void **state)
{
    struct bytes in = {0};
    char payload[126], expected[200];

    (void)state;
    memset(payload, 'p', 125);
    payload[125] = '\0';
    put_text(&in, 0x89, payload);
    put_text(&in, 0x89, "");
    snprintf(expected, sizeof expected, "[9 %s][9 ]", payload);
    expect(&from_client, &in, expected);
}

/* ---- text ---- */

static void
test_text_is_checked(void **state)
{
    static const struct {
        const char *fragments[3];
        const char *expected;
    } cases[] = {
        {{"\xe2\x82\xac"}, "t:\xe2\x82\xac[end 1]"},
        {{"\xe2", "\x82", "\xac"}, "t:\xe2\x82\xac[end 1]"},
        {{"ab\xff"}, "t:ab[1007]"},
        {{"ab\xffmuch more after that, so that it is long enough for words"}, "t:ab[1007]"},
        {{"ab\xe2"}, "t:ab\xe2[1007]"},
        {{"a", "\xe2\x82", ""}, "t:a\xe2\x82[1007]"},
        {{"a", "\xe2", "b"}, "t:a\xe2[1007]"},
        {{"\xed\xa0\x80"}, "t:\xed[1007]"},
        {{"\xc0\xaf"}, "[1007]"},
        {{"\xf4\x90\x80\x80"}, "t:\xf4[1007]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *fragments = cases[i].fragments;
        size_t n = 1 + (fragments[1] != NULL) + (fragments[2] != NULL);
        struct bytes in = {0};

        for (size_t k = 0; k < n; k++)
            put_text(&in, (uint8_t)((k + 1 == n ? 0x80 : 0) | (k == 0)), fragments[k]);
        /* Nothing comes out behind an error. */
        if (strstr(cases[i].expected, "[1007]"))
            put_text(&in, i % 2 ? 0x81 : 0x82, "more");
        expect(&messages, &in, cases[i].expected);
    }
}

static void
test_binary_is_not_checked(void **state)
{
    struct bytes in = {0};

    (void)state;
    put_text(&in, 0x82, "\xff\xfe");
    put_text(&in, 0x81, "text");
    expect(&messages, &in, "b:\xff\xfe[end 2]t:text[end 1]");
}

/* Paho's libraries of MQTT answer a PING so; whoever lets them do it, lets them do nothing else. */
static void
test_a_pong_without_a_mask_where_it_is_allowed(void **state)
{
    static const uint8_t pong[] = {0x8a, 0x02, 'h', 'i'}, ping[] = {0x89, 0x00},
                         text[] = {0x81, 0x01, 'x'};
    static const struct {
        const uint8_t *frame;
        size_t len;
        bool allowed, taken;
    } cases[] = {
        {pong, sizeof pong, true, true},
        {pong, sizeof pong, false, false},
        {ping, sizeof ping, true, false},
        {text, sizeof text, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t cut = 1; cut <= cases[i].len; cut++) {
            struct ws_decoder decoder;
            struct ws_chunk chunk;
            uint8_t room[16];
            size_t used;

            ws_decoder_init(&decoder, WS_FROM_CLIENT, 0, true);
            decoder.bare_pong = cases[i].allowed;
            memset(decoder.key, 0x55, sizeof decoder.key);
            memcpy(room, cases[i].frame, cases[i].len);
            used = ws_decode(&decoder, room, cut, &chunk);
            if (chunk.stop == WS_STOP_INPUT && cut < cases[i].len)
                (void)ws_decode(&decoder, room + used, cases[i].len - used, &chunk);
            assert_int_equal(chunk.stop, cases[i].taken ? WS_STOP_CONTROL : WS_STOP_ERROR);
            if (cases[i].taken)
                assert_memory_equal(chunk.control, "hi", 2);
            ws_decoder_deinit(&decoder);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_standard),
        cmocka_unit_test(test_many_frames_of_one_read_lie_together),
        cmocka_unit_test(test_a_single_frame_stays_in_place),
        cmocka_unit_test(test_a_control_frame_takes_memory_only_if_it_is_cut),
        cmocka_unit_test(test_messages_in_fragments_with_control_frames_between),
        cmocka_unit_test(test_text_and_binary_never_share_a_chunk),
        cmocka_unit_test(test_payload_sizes_around_every_boundary),
        cmocka_unit_test(test_rest_of_a_header_is_not_taken_for_a_frame),
        cmocka_unit_test(test_control_payload_of_125_bytes),
        cmocka_unit_test(test_text_is_checked),
        cmocka_unit_test(test_binary_is_not_checked),
        cmocka_unit_test(test_a_pong_without_a_mask_where_it_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
