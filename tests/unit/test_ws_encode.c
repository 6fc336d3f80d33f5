/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ws_feed.h"

/* ---- encoding ---- */

static void
test_encoded_headers(void **state)
{
    static const uint64_t sizes[] = {0, 125, 126, 65535, 65536, 0x100000000u, INT64_MAX};
    static const unsigned forms[] = {7, 7, 16, 16, 64, 64, 64};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bytes plain = {0}, masked = {0};
        uint8_t out[WS_HEADER_MAX], room[WS_SERVER_HEADER_MAX];

        put_header(&plain, 0x82, false, sizes[i], forms[i]);
        put_header(&masked, 0x01, true, sizes[i], forms[i]);
        assert_int_equal(ws_encode_header(out, sizes[i], WS_BINARY, true, NULL), plain.len);
        assert_memory_equal(out, plain.at, plain.len);
        assert_int_equal(ws_encode_header(out, sizes[i], WS_TEXT, false, feed_key), masked.len);
        assert_memory_equal(out, masked.at, masked.len);
        assert_int_equal(ws_encode_before(room + sizeof room, sizes[i], WS_BINARY, true),
                         plain.len);
        assert_memory_equal(room + sizeof room - plain.len, plain.at, plain.len);
    }
}

static void
test_encoding_stays_in_its_room(void **state)
{
    struct guard guard = guard_open(WS_SERVER_HEADER_MAX);
    uint8_t zeros[WS_HEADER_MAX] = {0};
    uint8_t *room = guard_start(&guard, zeros, WS_SERVER_HEADER_MAX);

    (void)state;
    ws_encode_before(room + WS_SERVER_HEADER_MAX, INT64_MAX, WS_BINARY, true);
    ws_encode_header(guard_end(&guard, zeros, WS_HEADER_MAX), INT64_MAX, WS_TEXT, true, feed_key);
    guard_close(&guard);
}

/* ---- Close ---- */

static bool
code_is_taken(unsigned code)
{
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                    1009, 1010, 1011, 1012, 1013, 1014};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (good[i] == code)
            return true;
    return code >= 3000 && code <= 4999;
}

static void
test_close_codes(void **state)
{
    struct guard guard = guard_open(WS_CONTROL_MAX);

    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        uint8_t payload[] = {(uint8_t)(code >> 8), (uint8_t)code, 'w', 'h', 'y'};
        const char *reason;
        size_t reason_len;
        uint16_t got, fault;

        fault = ws_close_parse(guard_end(&guard, payload, 5), 5, &got, &reason, &reason_len);
        assert_int_equal(fault, code_is_taken(code) ? 0 : 1002);
        if (fault)
            continue;
        assert_int_equal(got, code);
        assert_int_equal(reason_len, 3);
        assert_memory_equal(reason, "why", 3);
    }
    guard_close(&guard);
}

static void
test_close_payloads(void **state)
{
    struct guard guard = guard_open(WS_CONTROL_MAX);
    const char *reason;
    size_t len;
    uint16_t code;

    (void)state;
    assert_int_equal(ws_close_parse(guard_end(&guard, "", 0), 0, &code, &reason, &len), 0);
    assert_int_equal(code, WS_CODE_NONE);
    assert_int_equal(len, 0);
    assert_int_equal(ws_close_parse(guard_end(&guard, "\x03", 1), 1, &code, &reason, &len), 1002);
    assert_int_equal(ws_close_parse(guard_end(&guard, "\x03\xe8", 2), 2, &code, &reason, &len), 0);
    assert_int_equal(code, 1000);
    assert_int_equal(len, 0);
    assert_int_equal(ws_close_parse(guard_end(&guard,
                                              "\x03\xe8"
                                              "a\xff",
                                              4),
                                    4, &code, &reason, &len),
                     1007);
    assert_int_equal(ws_close_parse(guard_end(&guard,
                                              "\x03\xe8"
                                              "a\xe2\x82",
                                              5),
                                    5, &code, &reason, &len),
                     1007);
    guard_close(&guard);
}

static void
test_close_is_built(void **state)
{
    struct guard guard = guard_open(WS_CONTROL_MAX);
    uint8_t zeros[WS_CONTROL_MAX] = {0};
    uint8_t *out = guard_end(&guard, zeros, sizeof zeros);
    char reason[200] = "";

    (void)state;
    assert_int_equal(ws_close_build(out, 1000, NULL), 2);
    assert_memory_equal(out, "\x03\xe8", 2);
    assert_int_equal(ws_close_build(out, 1001, "going"), 7);
    assert_memory_equal(out, "\x03\xe9going", 7);
    assert_int_equal(ws_close_build(out, WS_CODE_NONE, "x"), 0);
    assert_int_equal(ws_close_build(out, WS_CODE_LOST, NULL), 0);
    memset(reason, 'r', 150);
    assert_int_equal(ws_close_build(out, 1000, reason), 125);
    /* A euro sign that lies over the edge goes as a whole. */
    memcpy(reason + 121, "\xe2\x82\xac", 3);
    assert_int_equal(ws_close_build(out, 1000, reason), 123);
    memset(reason, 'r', 150);
    memcpy(reason + 120, "\xe2\x82\xac", 3);
    assert_int_equal(ws_close_build(out, 1000, reason), 125);
    assert_int_equal(ws_close_build(out, 1000, "ok\xff never sent"), 4);
    assert_int_equal(ws_close_build(out, 1000, "ok\xe2\x82"), 4);
    guard_close(&guard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoded_headers), cmocka_unit_test(test_encoding_stays_in_its_room),
        cmocka_unit_test(test_close_codes),     cmocka_unit_test(test_close_payloads),
        cmocka_unit_test(test_close_is_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
