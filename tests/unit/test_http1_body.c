/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/http1.h"

enum { LONGEST = 8192 };

struct outcome {
    enum http1_result result;
    size_t used, len;
    char data[LONGEST];
};

static void
decode_piece(struct http1_body *body, char *piece, size_t len, struct outcome *out)
{
    size_t at = 0, used, data_len;
    char *data;

    do {
        out->result = http1_body(body, piece + at, len - at, &used, &data, &data_len);
        assert_true(used <= len - at);
        assert_true(data_len == 0 || (data >= piece + at && data + data_len <= piece + at + used));
        memcpy(out->data + out->len, data, data_len);
        out->len += data_len;
        at += used;
    } while (out->result == HTTP1_MORE && at < len);
    out->used += at;
}

static void
decode(const struct http1_request *request, struct span in, size_t first, size_t step,
       struct outcome *out)
{
    struct guard guard = guard_open(LONGEST);
    struct http1_body body;
    size_t at = 0, len = first;

    memset(out, 0, sizeof *out);
    http1_body_init(&body, request);
    do {
        if (len > in.len - at)
            len = in.len - at;
        decode_piece(&body, guard_end(&guard, in.at + at, len), len, out);
        at += len;
        len = step;
    } while (out->result == HTTP1_MORE && at < in.len);
    if (out->result == HTTP1_ERROR) {
        assert_int_equal(body.error.status, 400);
        assert_non_null(body.error.why);
    } else {
        assert_int_equal(body.total, out->len);
    }
    guard_close(&guard);
}

/* However it is cut: the same data, the same end. data is NULL where the body is malformed. */
static void
expect(const struct http1_request *request, struct span in, enum http1_result result,
       const char *data, size_t used)
{
    struct outcome out;

    for (size_t cut = 0; cut <= in.len + 8; cut++) {
        size_t first = cut <= in.len ? cut : cut - in.len, step = cut <= in.len ? in.len : first;

        decode(request, in, first, step, &out);
        assert_int_equal(out.result, result);
        if (result == HTTP1_ERROR)
            continue;
        assert_int_equal(out.used, used);
        assert_int_equal(out.len, strlen(data));
        assert_memory_equal(out.data, data, out.len);
        if (in.len > 1000 && cut > 10 && cut < in.len - 10)
            cut += 211;
    }
}

static void
test_content_length(void **state)
{
    struct http1_request request = {.content_length = 5};

    (void)state;
    expect(&request, (struct span){"12345", 5}, HTTP1_DONE, "12345", 5);
    expect(&request, (struct span){"12345GET /", 10}, HTTP1_DONE, "12345", 5);
    expect(&request, (struct span){"123", 3}, HTTP1_MORE, "123", 3);
    request.content_length = 0;
    expect(&request, (struct span){"GET", 3}, HTTP1_DONE, "", 0);
    expect(&request, (struct span){"", 0}, HTTP1_DONE, "", 0);
}

static const struct http1_request chunked = {.chunked = true};

static void
test_good_chunks(void **state)
{
    static const struct {
        const char *in, *data;
    } cases[] = {
        {"0\r\n\r\n", ""},
        {"5\r\n12345\r\n0\r\n\r\n", "12345"},
        {"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef"},
        {"A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij"},
        {"0005\r\n\r\n\r\n\n\r\n000\r\n\r\n", "\r\n\r\n\n"},
        {"1;ext\r\na\r\n0;last\r\n\r\n", "a"},
        {"1;a=b;c=\"q;\\\"\r x\";d\r\na\r\n0\r\n\r\n", NULL},
        {"1;a=b;c=\"q;\\\" x\";d\r\na\r\n0\r\n\r\n", "a"},
        {"1;c=\"\"\r\na\r\n0\r\n\r\n", "a"},
        {"0\r\nTrailer: value\r\nOther:\r\n\r\n", ""},
        {"0\r\nContent-Length: 5\r\n\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span in = {cases[i].in, strlen(cases[i].in)};
        char behind[200];

        expect(&chunked, in, cases[i].data ? HTTP1_DONE : HTTP1_ERROR, cases[i].data, in.len);
        if (!cases[i].data)
            continue;
        snprintf(behind, sizeof behind, "%sGET / HTTP/1.1\r\n", cases[i].in);
        expect(&chunked, (struct span){behind, strlen(behind)}, HTTP1_DONE, cases[i].data, in.len);
        for (size_t len = 1; len < in.len; len++) {
            struct outcome out;

            decode(&chunked, (struct span){in.at, len}, len, 1, &out);
            assert_int_equal(out.result, HTTP1_MORE);
        }
    }
}

static void
test_malformed_chunks(void **state)
{
    static const char *const cases[] = {
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\na\r\n",
        " 1\r\na",
        "1 \r\na",
        "1\t;x\r\na",
        "1\na",
        "1\r a",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rx",
        "1\r\n\r\n\r\n0\r\n\r\n",
        "1\r\naa\r\n0\r\n\r\n",
        ";x\r\n",
        "1;\r\na",
        "1;;x\r\na",
        "1;=x\r\na",
        "1;a=\r\na",
        "1;a b\r\na",
        "1; a\r\na",
        "1;a =b\r\na",
        "1;a=b c\r\na",
        "1;a=\"x\"y\r\na",
        "1;a=\"x\ny\"\r\na",
        "1;a=\"\\\n\"\r\na",
        "1;a=\x80\r\na",
        "1;a\na",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\nno colon\r\n\r\n",
        "0\r\nName : v\r\n\r\n",
        "0\r\n: v\r\n\r\n",
        "0\r\n folded\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\rc\r\n\r\n",
        "0\r\nA: \x01\r\n\r\n",
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(&chunked, (struct span){cases[i], strlen(cases[i])}, HTTP1_ERROR, NULL, 0);
}

static void
test_largest_chunk(void **state)
{
    static const char in[] = "7fffffffffffffff\r\nabc";

    (void)state;
    expect(&chunked, (struct span){in, sizeof in - 1}, HTTP1_MORE, "abc", sizeof in - 1);
}

static void
expect_filled(const char *before, char fill, size_t n, const char *after, enum http1_result result)
{
    char in[LONGEST];
    size_t len = (size_t)sprintf(in, "%s", before);

    memset(in + len, fill, n);
    len += n + (size_t)sprintf(in + len + n, "%s", after);
    expect(&chunked, (struct span){in, len}, result, "", len);
}

static void
test_what_is_not_data_is_bounded(void **state)
{
    (void)state;
    expect_filled("0;", 'x', 4000, "\r\n\r\n", HTTP1_DONE);
    expect_filled("0;", 'x', HTTP1_EXTRA_MAX + 1, "\r\n\r\n", HTTP1_ERROR);
    expect_filled("0\r\nT: ", 'x', 4000, "\r\n\r\n", HTTP1_DONE);
    expect_filled("0\r\nT: ", 'x', HTTP1_EXTRA_MAX, "\r\n\r\n", HTTP1_ERROR);
    expect_filled("", '0', 4000, "\r\n\r\n", HTTP1_DONE);
    expect_filled("", '0', HTTP1_EXTRA_MAX + 1, "\r\n\r\n", HTTP1_ERROR);
}

/* The bound is on the whole body: small extensions on many chunks count too. */
static void
test_extensions_of_many_chunks_add_up(void **state)
{
    struct http1_body body;
    enum http1_result result = HTTP1_MORE;
    int chunks = 0;

    (void)state;
    http1_body_init(&body, &chunked);
    while (result == HTTP1_MORE && chunks < 10000) {
        char in[] = "1;0123456789\r\na\r\n";
        struct outcome out = {0};

        decode_piece(&body, in, sizeof in - 1, &out);
        result = out.result;
        chunks++;
    }
    assert_int_equal(result, HTTP1_ERROR);
    assert_in_range(chunks, 300, 500);
}

static void
test_many_small_chunks_are_fine(void **state)
{
    struct http1_body body;

    (void)state;
    http1_body_init(&body, &chunked);
    for (int i = 0; i < 100000; i++) {
        char in[] = "1\r\na\r\n";
        struct outcome out = {0};

        decode_piece(&body, in, sizeof in - 1, &out);
        assert_int_equal(out.result, HTTP1_MORE);
        assert_int_equal(out.len, 1);
    }
    assert_int_equal(body.total, 100000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_good_chunks),
        cmocka_unit_test(test_malformed_chunks),
        cmocka_unit_test(test_largest_chunk),
        cmocka_unit_test(test_what_is_not_data_is_bounded),
        cmocka_unit_test(test_extensions_of_many_chunks_add_up),
        cmocka_unit_test(test_many_small_chunks_are_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
