/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http1_feed.h"

static int
open_feed(void **state)
{
    *state = feed_open();
    return 0;
}

static int
close_feed(void **state)
{
    feed_close(*state);
    return 0;
}

/* The same status (0: complete, -1: more is wanted) however the head is cut; complete after
 * `head_len` bytes. */
static void
expect(struct feed *feed, struct span data, int status, size_t head_len)
{
    size_t used;

    for (size_t cut = 0; cut <= data.len + 20; cut++) {
        size_t first = cut <= data.len ? cut : cut - data.len;
        size_t step = cut <= data.len ? data.len : cut - data.len;
        enum http1_result result = feed_scan(feed, data, FEED_HEAD_MAX, first, step, &used);

        if (status == 0) {
            assert_int_equal(result, HTTP1_DONE);
            assert_int_equal(used, head_len);
        } else if (status == -1) {
            assert_int_equal(result, HTTP1_MORE);
        } else {
            assert_int_equal(result, HTTP1_ERROR);
            assert_int_equal(feed->error.status, status);
            assert_non_null(feed->error.why);
        }
        if (data.len > 4096 && cut > 64 && cut < data.len - 64)
            cut += 997;
    }
}

static void
expect_text(void **state, const char *head, int status)
{
    expect(*state, (struct span){head, strlen(head)}, status, strlen(head));
}

static void
test_complete_heads(void **state)
{
    expect_text(state, "GET / HTTP/1.1\r\n\r\n", 0);
    expect_text(state, "GET /path?query=1&x HTTP/1.0\r\nHost: a\r\n\r\n", 0);
    expect_text(state,
                "OPTIONS * HTTP/1.1\r\nHost:a\r\nEmpty:\r\nSpaces: \t \r\nTab:\ta\tb\t\r\n\r\n", 0);
    expect_text(state, "M-SEARCH http://a/ HTTP/1.1\r\nX: \x80\xff obs-text\r\n\r\n", 0);
    expect_text(state, "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", 0);
    expect_text(state, "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 0);
    /* Other versions are a matter of http1_parse(). */
    expect_text(state, "PRI * HTTP/2.0\r\n\r\n", 0);
}

static void
test_bytes_after_the_head_are_left(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char both[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x85 early bytes\r\n\r\n";

    expect(*state, (struct span){both, sizeof both - 1}, 0, sizeof head - 1);
}

static void
test_unfinished_heads(void **state)
{
    static const char head[] = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char part[sizeof head];

    for (size_t len = 1; len < sizeof head - 1; len++) {
        memcpy(part, head, len);
        part[len] = '\0';
        expect_text(state, part, -1);
    }
}

static void
test_malformed_request_lines(void **state)
{
    static const char *const lines[] = {
        " GET / HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /  HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET\t/ HTTP/1.1\r\n",
        "GET /\tHTTP/1.1\r\n",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\rX",
        "GET /\r\n",
        "GET\r\n",
        "G@T / HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET /#frag HTTP/1.1\r\n",
        "GET #/ HTTP/1.1\r\n",
        "GET /\x80 HTTP/1.1\r\n",
        "GET /\x7f HTTP/1.1\r\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/11\r\n",
        "GET / HTTP/1.\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTP/01.1\r\n",
        "GET / HTTPS/1.1\r\n",
        "GET / XTTP/1.1\r\n",
        "GET / HTTP 1.1\r\n",
        "\nGET / HTTP/1.1\r\n",
        "\rGET / HTTP/1.1\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\n",
        "\x16\x03\x01\x02 hello",
        "GET \x01 HTTP/1.1\r\n",
        "GET / HTTP/a.1\r\n",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        expect_text(state, lines[i], 400);
}

static void
test_malformed_header_lines(void **state)
{
    static const char *const lines[] = {
        "Name : value\r\n",
        "Content-Length : 5\r\n",
        " folded: at once\r\n",
        "A: b\r\n folded\r\n",
        "A: b\r\n\tfolded\r\n",
        "A: b\n",
        "A: b\rC: d\r\n",
        "A: b\r\r\n",
        ": no name\r\n",
        "no colon\r\n",
        "nocolon\r\n",
        "N(me: value\r\n",
        "N\x80me: value\r\n",
        "A: \x01\r\n",
        "A: \x7f\r\n",
        "A: \x1b[31m\r\n",
        "\n",
        "\rX",
        "A: b\r\n\n",
        "A: b\r\n\rX",
    };
    char head[200];

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines[i]);
        expect_text(state, head, 400);
    }
}

static void
test_nul_anywhere(void **state)
{
    static const char head[] = "GET /path HTTP/1.1\r\nHost: a\r\n\r\n";
    char with_nul[sizeof head];

    for (size_t i = 0; i < sizeof head - 1; i++) {
        memcpy(with_nul, head, sizeof head);
        with_nul[i] = '\0';
        expect(*state, (struct span){with_nul, sizeof head - 1}, 400, 0);
    }
}

/* Control characters in a value: all but HTAB. */
static void
test_bytes_of_a_value(void **state)
{
    char head[] = "GET / HTTP/1.1\r\nA: b?c\r\n\r\n";
    char *place = strchr(head, '?');

    for (int byte = 0; byte < 256; byte++) {
        bool good = byte == '\t' || (byte >= 0x20 && byte != 0x7f);

        *place = (char)byte;
        expect(*state, (struct span){head, sizeof head - 1}, good ? 0 : 400, sizeof head - 1);
    }
}

/* RFC 9110 section 5.6.2: what a token is made of; a method and a name are one. */
static void
test_bytes_of_a_token(void **state)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    char method[] = "G?T / HTTP/1.1\r\n\r\n", name[] = "GET / HTTP/1.1\r\nA?B: c\r\n\r\n";

    for (int byte = 0; byte < 256; byte++) {
        bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z');
        bool good = alnum || (byte && strchr(others, byte));

        method[1] = name[17] = (char)byte;
        /* These two end the token instead. */
        if (byte != ' ')
            expect(*state, (struct span){method, sizeof method - 1}, good ? 0 : 400,
                   sizeof method - 1);
        if (byte != ':')
            expect(*state, (struct span){name, sizeof name - 1}, good ? 0 : 400, sizeof name - 1);
    }
}

static char *
head_of(const char *before, char fill, size_t n, const char *after)
{
    size_t a = strlen(before), b = strlen(after);
    char *head = malloc(a + n + b + 1);

    memcpy(head, before, a);
    memset(head + a, fill, n);
    memcpy(head + a + n, after, b + 1);
    return head;
}

static void
expect_sized(void **state, const char *before, size_t n, const char *after, int status)
{
    char *head = head_of(before, 'a', n, after);

    expect_text(state, head, status);
    free(head);
}

static void
test_limits_of_sizes(void **state)
{
    expect_sized(state, "GET /", HTTP1_TARGET_MAX - 1, " HTTP/1.1\r\n\r\n", 0);
    expect_sized(state, "GET /", HTTP1_TARGET_MAX, " HTTP/1.1\r\n\r\n", 414);
    expect_sized(state, "", HTTP1_METHOD_MAX, " / HTTP/1.1\r\n\r\n", 0);
    expect_sized(state, "", HTTP1_METHOD_MAX + 1, " / HTTP/1.1\r\n\r\n", 400);
    expect_sized(state, "GET / HTTP/1.1\r\n", HTTP1_NAME_MAX, ": v\r\n\r\n", 0);
    expect_sized(state, "GET / HTTP/1.1\r\n", HTTP1_NAME_MAX + 1, ": v\r\n\r\n", 431);
    expect_sized(state, "GET / HTTP/1.1\r\nCookie: ", 16384, "\r\n\r\n", 0);
    expect_sized(state, "GET / HTTP/1.1\r\nCookie: ", FEED_HEAD_MAX - 28, "\r\n\r\n", 0);
    expect_sized(state, "GET / HTTP/1.1\r\nCookie: ", FEED_HEAD_MAX - 27, "\r\n\r\n", 431);
}

static void
test_limit_of_header_lines(void **state)
{
    for (int n = HTTP1_HEADERS_MAX; n <= HTTP1_HEADERS_MAX + 1; n++) {
        char head[4096];
        size_t len = (size_t)sprintf(head, "GET / HTTP/1.1\r\n");

        for (int i = 0; i < n; i++)
            len += (size_t)sprintf(head + len, "N%d: v\r\n", i);
        sprintf(head + len, "\r\n");
        expect_text(state, head, n > HTTP1_HEADERS_MAX ? 431 : 0);
    }
}

/* A caller whose buffer has head_max bytes is told 431 when it is full, not to read on. */
static void
test_a_full_buffer_is_an_answer(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct span data = {head, sizeof head - 1};
    struct feed *feed = *state;
    size_t used;

    assert_int_equal(feed_scan(feed, data, data.len, data.len, 1, &used), HTTP1_DONE);
    assert_int_equal(feed_scan(feed, data, data.len - 1, data.len, 1, &used), HTTP1_ERROR);
    assert_int_equal(feed->error.status, 431);
    assert_int_equal(used, data.len - 1);
    data.len = 10;
    assert_int_equal(feed_scan(feed, data, 10, 1, 1, &used), HTTP1_ERROR);
    assert_int_equal(feed->error.status, 431);
}

static void
test_the_limit_has_a_ceiling(void **state)
{
    char *head = head_of("GET / HTTP/1.1\r\nCookie: ", 'a', HTTP1_HEAD_MAX, "\r\n\r\n");
    struct feed *feed = *state;
    size_t used;

    assert_int_equal(
        feed_scan(feed, (struct span){head, strlen(head)}, 10 * HTTP1_HEAD_MAX, 999, 999, &used),
        HTTP1_ERROR);
    assert_int_equal(feed->error.status, 431);
    assert_int_equal(used, HTTP1_HEAD_MAX);
    free(head);
}

/* Work grows with the bytes: what was seen is counted once, however small the pieces. */
static void
test_each_byte_is_seen_once(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http1_scan scan;
    size_t used;

    (void)state;
    http1_scan_init(&scan, 1000);
    for (size_t i = 0; i < sizeof head - 1; i++) {
        http1_scan(&scan, head + i, 1, &used);
        assert_int_equal(used, 1);
        assert_int_equal(scan.seen, i + 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete_heads),
        cmocka_unit_test(test_bytes_after_the_head_are_left),
        cmocka_unit_test(test_unfinished_heads),
        cmocka_unit_test(test_malformed_request_lines),
        cmocka_unit_test(test_malformed_header_lines),
        cmocka_unit_test(test_nul_anywhere),
        cmocka_unit_test(test_bytes_of_a_value),
        cmocka_unit_test(test_bytes_of_a_token),
        cmocka_unit_test(test_limits_of_sizes),
        cmocka_unit_test(test_limit_of_header_lines),
        cmocka_unit_test(test_a_full_buffer_is_an_answer),
        cmocka_unit_test(test_the_limit_has_a_ceiling),
        cmocka_unit_test(test_each_byte_is_seen_once),
    };

    return cmocka_run_group_tests(tests, open_feed, close_feed);
}
