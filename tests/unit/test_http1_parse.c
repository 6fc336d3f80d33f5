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

static void
assert_span(struct span s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.at, expected, s.len);
}

static void
test_parts_of_a_request(void **state)
{
    struct feed *feed = *state;
    struct http1_request *r = &feed->request;
    unsigned count;

    assert_int_equal(feed_text(feed, "\r\nGET /a%20b?x=1&y HTTP/1.1\r\nHost: Example.org:8080\r\n"
                                     "X-Empty:\r\nAccept: \t text/html , a/b \t\r\nEmpty-too:  \r\n"
                                     "Accept:second\r\n\r\n"),
                     0);
    assert_int_equal(r->method, HTTP1_GET);
    assert_span(r->method_name, "GET");
    assert_span(r->target, "/a%20b?x=1&y");
    assert_span(r->path, "/a%20b");
    assert_span(r->query, "x=1&y");
    assert_span(r->host, "Example.org:8080");
    assert_int_equal(r->minor, 1);
    assert_true(r->keep_alive);
    assert_false(r->expect_continue || r->chunked || r->upgrade);
    assert_int_equal(r->content_length, 0);
    assert_int_equal(r->n_headers, 5);
    assert_span(r->headers[1].name, "X-Empty");
    assert_span(r->headers[1].value, "");
    assert_span(r->headers[2].value, "text/html , a/b");
    assert_span(r->headers[3].value, "");
    assert_span(http1_header(r, "accept", &count), "text/html , a/b");
    assert_int_equal(count, 2);
    assert_null(http1_header(r, "missing", &count).at);
    assert_int_equal(count, 0);
}

static void
test_a_hundred_header_lines(void **state)
{
    struct feed *feed = *state;
    char lines[4096];
    size_t len = 0;

    for (int i = 1; i < HTTP1_HEADERS_MAX; i++)
        len += (size_t)sprintf(lines + len, "N%d: v%d\r\n", i, i);
    assert_int_equal(feed_headers(feed, lines), 0);
    assert_int_equal(feed->request.n_headers, HTTP1_HEADERS_MAX);
    assert_span(feed->request.headers[99].value, "v99");
}

static void
test_methods(void **state)
{
    static const struct {
        const char *name;
        enum http1_method method;
    } cases[] = {
        {"GET", HTTP1_GET},        {"HEAD", HTTP1_HEAD},      {"POST", HTTP1_POST},
        {"PUT", HTTP1_PUT},        {"DELETE", HTTP1_DELETE},  {"OPTIONS", HTTP1_OPTIONS},
        {"PATCH", HTTP1_OTHER},    {"get", HTTP1_OTHER},      {"TRACE", HTTP1_OTHER},
        {"M-SEARCH", HTTP1_OTHER}, {"BREW", HTTP1_OTHER},     {"X", HTTP1_OTHER},
        {"GETT", HTTP1_OTHER},     {"!#$%&'*+", HTTP1_OTHER}, {"connect", HTTP1_OTHER},
    };
    struct feed *feed = *state;
    char head[100];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(head, sizeof head, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].name);
        assert_int_equal(feed_text(feed, head), 0);
        assert_int_equal(feed->request.method, cases[i].method);
        assert_span(feed->request.method_name, cases[i].name);
    }
}

static void
test_versions(void **state)
{
    struct feed *feed = *state;

    assert_int_equal(feed_text(feed, "GET / HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(feed->request.minor, 0);
    assert_int_equal(feed->request.host.len, 0);
    assert_int_equal(feed_text(feed, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
    assert_int_equal(feed_text(feed, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"), 505);
    assert_int_equal(feed_text(feed, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    assert_int_equal(feed_text(feed, "PRI * HTTP/2.0\r\n\r\n"), 505);
}

static void
test_targets(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *path, *query;
    } cases[] = {
        {"GET /", 0, "/", ""},
        {"GET /?", 0, "/", ""},
        {"GET /a?b?c", 0, "/a", "b?c"},
        {"GET //a", 0, "//a", ""}, /* http1_path_decode() refuses it */
        {"GET http://host:81/p?q", 0, "/p", "q"},
        {"GET HTTPS://HOST:81/p", 0, "/p", ""},
        {"GET http://host:81", 0, "/", ""},
        {"GET http://host:81?q", 0, "/", "q"},
        {"GET http://other:81/", 400, NULL, NULL},
        {"GET http://host/", 400, NULL, NULL},
        {"GET http://host:810/", 400, NULL, NULL},
        {"GET http://user@host:81/", 400, NULL, NULL},
        {"GET http:///", 400, NULL, NULL},
        {"GET http://", 400, NULL, NULL},
        {"GET ftp://host:81/", 400, NULL, NULL},
        {"GET ws://host:81/", 400, NULL, NULL},
        {"GET host:81", 400, NULL, NULL},
        {"GET path", 400, NULL, NULL},
        {"GET ?q", 400, NULL, NULL},
        {"GET *", 400, NULL, NULL},
        {"OPTIONS *", 0, "*", ""},
        {"OPTIONS **", 400, NULL, NULL},
        {"CONNECT host:81", 400, NULL, NULL},
        {"CONNECT /", 400, NULL, NULL},
    };
    struct feed *feed = *state;
    char head[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: host:81\r\n\r\n", cases[i].line);
        assert_int_equal(feed_text(feed, head), cases[i].status);
        if (cases[i].status)
            continue;
        assert_span(feed->request.path, cases[i].path);
        assert_true(feed->request.path.at >= feed->request.target.at &&
                    feed->request.path.at < feed->request.target.at + feed->request.target.len);
        assert_span(feed->request.query, cases[i].query);
    }
    assert_int_equal(feed_text(feed, "GET http://a/ HTTP/1.0\r\n\r\n"), 400);
}

static void
test_hosts(void **state)
{
    static const char *const good[] = {
        "a",
        "example.org",
        "example.org.",
        "EXAMPLE.org:1",
        "a_b-c~d.e",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]:443",
        "[::ffff:1.2.3.4]",
    };
    static const char *const bad[] = {
        "",
        "a:",
        "a:0",
        "a:65536",
        "a:123456",
        "a:x",
        "a:1:2",
        ":80",
        "a b",
        "a,b",
        "a/b",
        "u@a",
        "a?b",
        "a#b",
        "a\\b",
        "::1",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]:",
        "[]",
        "[::g]",
        "[fe80::1%25eth0]",
        "[1.2.3.4]",
        "a..b",
        ".a",
        ".",
        "a%41",
        "\"a\"",
        "a;b",
        "a\x80",
        "[::1]80",
        "<a>",
        "a:+1",
        "a:-1",
    };
    struct feed *feed = *state;
    char head[300], name[257];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s \r\n\r\n", good[i]);
        assert_int_equal(feed_text(feed, head), 0);
        assert_span(feed->request.host, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        assert_int_equal(feed_text(feed, head), 400);
        snprintf(head, sizeof head, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", bad[i]);
        assert_int_equal(feed_text(feed, head), 400);
    }
    memset(name, 'a', sizeof name);
    assert_true(http1_is_host((struct span){name, 255}));
    assert_false(http1_is_host((struct span){name, 256}));
    assert_int_equal(feed_text(feed, "GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(feed_text(feed, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
    assert_int_equal(feed_text(feed, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

static void
test_content_length(void **state)
{
    static const struct {
        const char *lines;
        int status;
        uint64_t length;
    } cases[] = {
        {"Content-Length: 0\r\n", 0, 0},
        {"Content-Length: 5\r\n", 0, 5},
        {"content-length:007\r\n", 0, 7},
        {"Content-Length: 9223372036854775807\r\n", 0, INT64_MAX},
        {"Content-Length: 9223372036854775808\r\n", 400, 0},
        {"Content-Length: 18446744073709551616\r\n", 400, 0},
        {"Content-Length: 99999999999999999999999\r\n", 400, 0},
        {"Content-Length:\r\n", 400, 0},
        {"Content-Length: \r\n", 400, 0},
        {"Content-Length: +5\r\n", 400, 0},
        {"Content-Length: -5\r\n", 400, 0},
        {"Content-Length: 5 5\r\n", 400, 0},
        {"Content-Length: 5, 5\r\n", 400, 0},
        {"Content-Length: 5,\r\n", 400, 0},
        {"Content-Length: 0x5\r\n", 400, 0},
        {"Content-Length: 5a\r\n", 400, 0},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", 400, 0},
        {"Content-Length: 0\r\nContent-Length: 0\r\n", 400, 0},
        {"Content-Length: 5\r\nA: b\r\ncontent-length: 6\r\n", 400, 0},
    };
    struct feed *feed = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(feed_headers(feed, cases[i].lines), cases[i].status);
        if (!cases[i].status)
            assert_true(feed->request.content_length == cases[i].length);
    }
}

static void
test_transfer_encoding(void **state)
{
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {"Transfer-Encoding: chunked\r\n", 0},
        {"Transfer-Encoding: Chunked \r\n", 0},
        {"Transfer-Encoding: gzip\r\n", 501},
        {"Transfer-Encoding: gzip, chunked\r\n", 501},
        {"Transfer-Encoding: chunked, chunked\r\n", 501},
        {"Transfer-Encoding: chunked, identity\r\n", 501},
        {"Transfer-Encoding: chunked;x\r\n", 501},
        {"Transfer-Encoding: xchunked\r\n", 501},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         400},
        {"Transfer-Encoding: identity\r\n", 501},
        {"Transfer-Encoding:\r\n", 501},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501},
        {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Content-Length: 0\r\nTransfer-Encoding: gzip\r\n", 400},
        {"Content-Length: 5\r\nTransfer-Encoding:\r\n", 400},
    };
    struct feed *feed = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(feed_headers(feed, cases[i].lines), cases[i].status);
        if (!cases[i].status)
            assert_true(feed->request.chunked);
    }
    assert_int_equal(
        feed_text(feed, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_int_equal(
        feed_text(feed, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 400);
}

static void
test_keep_alive(void **state)
{
    struct feed *feed = *state;
    static const struct {
        const char *version, *connection;
        bool keep_alive;
    } cases[] = {
        {"1.1", "X: y", true},
        {"1.1", "Connection: close", false},
        {"1.1", "Connection: x, Close", false},
        {"1.1", "Connection: upgrade\r\nUpgrade: websocket", true},
        {"1.0", "X: y", false},
        {"1.0", "Connection: keep-alive", true},
        {"1.0", "Connection: close", false},
    };
    char head[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(head, sizeof head, "GET / HTTP/%s\r\nHost: a\r\n%s\r\n\r\n", cases[i].version,
                 cases[i].connection);
        assert_int_equal(feed_text(feed, head), 0);
        assert_int_equal(feed->request.keep_alive, cases[i].keep_alive);
    }
}

static void
test_expect(void **state)
{
    struct feed *feed = *state;

    assert_int_equal(feed_headers(feed, "Expect: 100-Continue\r\nContent-Length: 3\r\n"), 0);
    assert_true(feed->request.expect_continue);
    assert_int_equal(feed_headers(feed, "Expect: 100-continue, x\r\n"), 417);
    assert_int_equal(feed_headers(feed, "Expect:\r\n"), 417);
    assert_int_equal(feed_headers(feed, "Expect: 100-continue\r\nExpect: tea\r\n"), 417);
    assert_int_equal(feed_text(feed, "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"),
                     0);
    assert_false(feed->request.expect_continue);
}

static void
test_upgrade_is_told(void **state)
{
    struct feed *feed = *state;

    assert_int_equal(feed_headers(feed, "Upgrade: websocket\r\nConnection: upgrade\r\n"), 0);
    assert_true(feed->request.upgrade);
    assert_int_equal(feed_headers(feed, "Upgrade:\r\n"), 0);
    assert_true(feed->request.upgrade);
    assert_int_equal(feed_headers(feed, "Connection: upgrade\r\n"), 0);
    assert_false(feed->request.upgrade);
}

/* The packaged parser looks at Upgrade, Proxy-Connection and the like by itself; none of it may
 * stop a good head. */
static void
test_heads_that_a_lenient_parser_treats_in_its_own_way(void **state)
{
    struct feed *feed = *state;

    assert_int_equal(feed_headers(feed, "Proxy-Connection: keep-alive\r\n"), 0);
    assert_int_equal(feed_headers(feed, "Connection:\r\nConnection: , ,\r\n"), 0);
    assert_int_equal(feed_headers(feed, "Content-Lengthy: x\r\nTransfer-Encodings: y\r\n"), 0);
    assert_int_equal(feed_headers(feed, "X: \x80\xff\tobs\r\n"), 0);
    assert_span(feed->request.headers[1].value, "\x80\xff\tobs");
    assert_int_equal(feed_text(feed, "GET /\"<>[]\\^`{|}~ HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_int_equal(feed_text(feed, "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n"
                                     "Connection: upgrade\r\nContent-Length: 5\r\n\r\n"),
                     0);
    assert_int_equal(feed->request.content_length, 5);
}

static void
test_a_head_of_64_kilobytes(void **state)
{
    struct feed *feed = *state;
    char *head = malloc(HTTP1_HEAD_MAX + 1);
    size_t len = (size_t)sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\nCookie: ");

    memset(head + len, 'c', HTTP1_HEAD_MAX - len - 4);
    memcpy(head + HTTP1_HEAD_MAX - 4, "\r\n\r\n", 5);
    assert_int_equal(http1_parse(head, HTTP1_HEAD_MAX, &feed->request, &feed->error), HTTP1_DONE);
    assert_int_equal(feed->request.headers[1].value.len, HTTP1_HEAD_MAX - len - 4);
    free(head);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_a_request),
        cmocka_unit_test(test_a_hundred_header_lines),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_transfer_encoding),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_upgrade_is_told),
        cmocka_unit_test(test_heads_that_a_lenient_parser_treats_in_its_own_way),
        cmocka_unit_test(test_a_head_of_64_kilobytes),
    };

    return cmocka_run_group_tests(tests, open_feed, close_feed);
}
