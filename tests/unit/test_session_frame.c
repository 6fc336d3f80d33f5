/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of sessions: what is read, what is refused, what is written; and bodies, cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/session_frame.h"

static struct guard area;

/* At the end of its page. Good until the next one. */
static uint8_t *
guard_copy(const void *bytes, size_t len)
{
    return guard_end(&area, bytes, len);
}

/* ---- numbers ---- */

static void
numbers_of_every_length(void **state)
{
    static const struct {
        uint64_t value;
        size_t len;
    } numbers[] = {
        {0, 1},
        {63, 1},
        {64, 2},
        {16383, 2},
        {16384, 4},
        {1 << 30, 8},
        {(1 << 30) - 1, 4},
        {VARINT_VALUE_MAX - 1, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint8_t out[VARINT_MAX];
        uint64_t value = 1;
        size_t len = varint_encode(out, numbers[i].value);

        assert_int_equal(len, numbers[i].len);
        assert_int_equal(varint_len(numbers[i].value), len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(varint_decode(guard_copy(out, cut), cut, &value), 0);
        assert_int_equal(varint_decode(guard_copy(out, len), len, &value), len);
        assert_int_equal(value, numbers[i].value);
    }
}

/* RFC 9000 appendix A.1, with the one that is longer than it has to be. */
static void
the_standards_own_examples(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t value;
    } examples[] = {
        {"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8, 151288809941952652},
        {"\x9d\x7f\x3e\x7d", 4, 494878333},
        {"\x7b\xbd", 2, 15293},
        {"\x25", 1, 37},
        {"\x40\x25", 2, 37},
    };

    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        uint64_t value;

        assert_int_equal(varint_decode((const uint8_t *)examples[i].bytes, examples[i].len, &value),
                         examples[i].len);
        assert_int_equal(value, examples[i].value);
    }
}

/* ---- frames ---- */

static const char *
read_frame(const char *bytes, size_t len, struct session_frame *frame)
{
    return session_frame_read(guard_copy(bytes, len), len, frame);
}

#define READ(bytes, frame) read_frame("" bytes, sizeof(bytes) - 1, frame)

static void
frames_that_are_read(void **state)
{
    struct session_frame frame;

    (void)state;
    assert_null(READ("\x02\x01hello", &frame));
    assert_int_equal(frame.type, SESSION_BINARY);
    assert_int_equal(frame.seq, 1);
    assert_int_equal(frame.len, 5);
    assert_memory_equal(frame.data, "hello", 5);
    assert_null(
        READ("\x03\x40\x07", &frame)); /* an empty text, its number longer than it has to be */
    assert_int_equal(frame.type, SESSION_TEXT);
    assert_int_equal(frame.seq, 7);
    assert_int_equal(frame.len, 0);
    assert_null(READ("\x04\x00", &frame));
    assert_int_equal(frame.type, SESSION_ACK);
    assert_int_equal(frame.seq, 0);
    assert_null(READ("\x05\x03\xe8why", &frame));
    assert_int_equal(frame.code, 1000);
    assert_memory_equal(frame.data, "why", frame.len);
    assert_null(READ("\x06", &frame));
    assert_int_equal(frame.len, 0);
    assert_null(READ("\x80\xff\xff", &frame)); /* for later versions */
    assert_null(READ("\xff", &frame));
    assert_int_equal(frame.type, 255);
}

static void
frames_that_are_refused(void **state)
{
    struct session_frame frame;
    char long_ping[1 + SESSION_PING_MAX + 1] = "\x06";
    char long_reason[3 + SESSION_REASON_MAX + 1] = "\x05\x03\xe8";

    (void)state;
    memset(long_reason + 3, 'x', sizeof long_reason - 3);
    assert_non_null(READ("", &frame));
    assert_non_null(READ("\x00", &frame));
    assert_non_null(READ("\x01{}", &frame));
    assert_non_null(READ("\x08", &frame));
    assert_non_null(READ("\x7f", &frame));
    assert_non_null(READ("\x02", &frame));
    assert_non_null(READ("\x02\x00x", &frame));
    assert_non_null(READ("\x02\xc0\x00\x00", &frame));
    assert_non_null(READ("\x04", &frame));
    assert_non_null(READ("\x04\x01x", &frame));
    assert_non_null(READ("\x05", &frame));
    assert_non_null(READ("\x05\x03", &frame));
    assert_non_null(READ("\x05\x03\xed", &frame)); /* 1005 is never sent */
    assert_non_null(READ("\x05\x03\xe8\xff", &frame));
    assert_non_null(read_frame(long_ping, sizeof long_ping, &frame));
    assert_null(read_frame(long_ping, sizeof long_ping - 1, &frame));
    assert_non_null(read_frame(long_reason, sizeof long_reason, &frame));
    assert_null(read_frame(long_reason, sizeof long_reason - 1, &frame));
}

static void
what_is_written_is_read(void **state)
{
    uint8_t room[64] = {0}, *payload = room + 32, out[SESSION_BODY_CONTROL_MAX];
    struct session_frame frame;
    size_t n;

    (void)state;
    memcpy(payload, "abc", 3);
    n = session_frame_before(payload, SESSION_TEXT, 300);
    assert_int_equal(n, 3);
    assert_null(session_frame_read(payload - n, n + 3, &frame));
    assert_int_equal(frame.type, SESSION_TEXT);
    assert_int_equal(frame.seq, 300);
    assert_ptr_equal(frame.data, payload);
    n = session_frame_ack(out, VARINT_VALUE_MAX - 1);
    assert_null(session_frame_read(out, n, &frame));
    assert_int_equal(frame.seq, VARINT_VALUE_MAX - 1);
    n = session_frame_close(out, 4404, "gone");
    assert_null(session_frame_read(out, n, &frame));
    assert_int_equal(frame.code, 4404);
    n = session_frame_ping(out, SESSION_PONG, "12", 2);
    assert_null(session_frame_read(out, n, &frame));
    assert_int_equal(frame.type, SESSION_PONG);
}

static void
a_reason_is_cut_at_a_code_point(void **state)
{
    char reason[200];
    uint8_t out[SESSION_CONTROL_MAX];
    size_t n;

    (void)state;
    memset(reason, 'x', SESSION_REASON_MAX - 1);
    strcpy(reason + SESSION_REASON_MAX - 1, "\xc3\xa9"
                                            "and more");
    n = session_frame_close(out, 1000, reason);
    assert_int_equal(n, 3 + SESSION_REASON_MAX - 1);
}

/* ---- bodies ---- */

/* The frames of a body, each in brackets; then what ended it. */
static char found[4096];

static void
take_all(const uint8_t *bytes, size_t len, size_t step, size_t frame_max)
{
    struct session_body body = {.frame_max = frame_max};
    enum session_body_result result = SESSION_BODY_MORE;
    size_t at = 0;

    found[0] = '\0';
    while (at < len && result != SESSION_BODY_TOO_LONG) {
        size_t n = len - at < step ? len - at : step;
        uint8_t *piece = guard_copy(bytes + at, n);
        uint8_t *frame;
        size_t used, frame_len;

        at += n;
        do {
            result = session_body_take(&body, piece, n, &used, &frame, &frame_len);
            assert_true(used <= n);
            if (result == SESSION_BODY_FRAME)
                sprintf(found + strlen(found), "[%.*s]", (int)frame_len, (const char *)frame);
            piece += used;
            n -= used;
        } while (n > 0 && result == SESSION_BODY_FRAME);
        assert_true(n == 0 || result == SESSION_BODY_TOO_LONG);
    }
    strcat(found, result == SESSION_BODY_TOO_LONG ? "!" : session_body_is_whole(&body) ? "." : "-");
    session_body_deinit(&body);
}

static void
assert_body(const char *bytes, size_t len, size_t frame_max, const char *expected)
{
    for (size_t step = 1; step <= len; step++) {
        take_all((const uint8_t *)bytes, len, step, frame_max);
        assert_string_equal(found, expected);
    }
}

#define BODY(bytes, frame_max, expected) assert_body(bytes, sizeof(bytes) - 1, frame_max, expected)

static void
bodies_cut_everywhere(void **state)
{
    (void)state;
    BODY("\x05hello\x00\x40\x03you\x80\x00\x00\x01!", 100, "[hello][][you][!].");
    BODY("\x05hello\x05hell", 100, "[hello]-");
    BODY("\x05hello\x40", 100, "[hello]-");
    BODY("\x05hello\x06hello!", 5, "[hello]!");
    BODY("\xff\xff\xff\xff\xff\xff\xff\xff", 100, "!");
    BODY("\x00\x00", 0, "[][].");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_length),
        cmocka_unit_test(the_standards_own_examples),
        cmocka_unit_test(frames_that_are_read),
        cmocka_unit_test(frames_that_are_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_reason_is_cut_at_a_code_point),
        cmocka_unit_test(bodies_cut_everywhere),
    };

    area = guard_open(4096);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
