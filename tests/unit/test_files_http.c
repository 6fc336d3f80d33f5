/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/http1.h"
#include "target/files_http.h"

static struct span
span(const char *text)
{
    return (struct span){text, strlen(text)};
}

/* ---- paths and types ---- */

static void
test_path(void **state)
{
    (void)state;
    assert_true(files_http_path_ok("/"));
    assert_true(files_http_path_ok("/a"));
    assert_true(files_http_path_ok("/a/b.html"));
    assert_true(files_http_path_ok("/a/"));
    assert_true(files_http_path_ok("/a..b/c."));
    assert_true(files_http_path_ok("/.well-known/acme-challenge/x"));
    assert_true(files_http_path_ok("/.well-known"));
    assert_false(files_http_path_ok(""));
    assert_false(files_http_path_ok("a"));
    assert_false(files_http_path_ok("//a"));
    assert_false(files_http_path_ok("/a//b"));
    assert_false(files_http_path_ok("/a//"));
    assert_false(files_http_path_ok("/."));
    assert_false(files_http_path_ok("/./a"));
    assert_false(files_http_path_ok("/.."));
    assert_false(files_http_path_ok("/a/../b"));
    assert_false(files_http_path_ok("/.git/config"));
    assert_false(files_http_path_ok("/a/.htpasswd"));
    assert_false(files_http_path_ok("/.well-known2/x"));
    assert_false(files_http_path_ok("/.well-known/.x"));
}

static void
test_type(void **state)
{
    (void)state;
    assert_string_equal(files_http_type("/index.html"), "text/html; charset=utf-8");
    assert_string_equal(files_http_type("/A.HTML"), "text/html; charset=utf-8");
    assert_string_equal(files_http_type("/a.min.js"), "text/javascript; charset=utf-8");
    assert_string_equal(files_http_type("/a.mjs"), "text/javascript; charset=utf-8");
    assert_string_equal(files_http_type("/a.wasm"), "application/wasm");
    assert_string_equal(files_http_type("/a.html/b"), "application/octet-stream");
    assert_string_equal(files_http_type("/a"), "application/octet-stream");
    assert_string_equal(files_http_type("/a."), "application/octet-stream");
    assert_string_equal(files_http_type("/a.exe"), "application/octet-stream");
}

/* ---- dates ---- */

static void
test_date_forms(void **state)
{
    time_t when = 0;
    char text[FILES_HTTP_DATE];

    (void)state;
    assert_int_equal(files_http_date_parse(span("Sun, 06 Nov 1994 08:49:37 GMT"), &when), 0);
    assert_int_equal(when, 784111777);
    when = 0;
    assert_int_equal(files_http_date_parse(span("Sunday, 06-Nov-94 08:49:37 GMT"), &when), 0);
    assert_int_equal(when, 784111777);
    when = 0;
    assert_int_equal(files_http_date_parse(span("Sun Nov  6 08:49:37 1994"), &when), 0);
    assert_int_equal(when, 784111777);
    assert_int_equal(files_http_date_parse(span("Wed Nov 16 08:49:37 1994"), &when), 0);
    assert_int_equal(when, 784111777 + 10 * 86400);
    files_http_date_format(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    files_http_date_format(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void
test_date_round_trip(void **state)
{
    (void)state;
    for (int64_t when = -3000000000; when < 9000000000; when += 86399 * 37) {
        char text[FILES_HTTP_DATE];
        time_t back = 0;

        files_http_date_format((time_t)when, text);
        assert_int_equal(files_http_date_parse(span(text), &back), 0);
        assert_int_equal(back, when);
    }
}

static void
test_date_broken(void **state)
{
    static const char good[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char *const broken[] = {
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Wed, 30 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
    };
    time_t when;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_int_equal(files_http_date_parse(span(broken[i]), &when), -1);
    for (size_t len = 0; len < sizeof good - 1; len++)
        assert_int_equal(files_http_date_parse((struct span){good, len}, &when), -1);
}

/* ---- entity tags ---- */

static void
test_etag(void **state)
{
    const char *ours = "\"1-2\"";
    char made[FILES_HTTP_ETAG];

    (void)state;
    files_http_etag_format((struct timespec){.tv_sec = 1, .tv_nsec = 5}, 255, made);
    assert_string_equal(made, "\"3b9aca05-ff\"");
    files_http_etag_format((struct timespec){.tv_sec = -1, .tv_nsec = 0}, UINT64_MAX, made);
    assert_int_equal(made[strlen(made) - 1], '"');

    assert_true(files_http_etag_listed(span("*"), ours, true));
    assert_true(files_http_etag_listed(span("\"1-2\""), ours, false));
    assert_true(files_http_etag_listed(span("\"a,b\", ,W/\"x\",\"1-2\""), ours, false));
    assert_true(files_http_etag_listed(span("W/\"1-2\""), ours, true));
    assert_false(files_http_etag_listed(span("W/\"1-2\""), ours, false));
    assert_false(files_http_etag_listed(span(""), ours, true));
    assert_false(files_http_etag_listed(span("W/"), ours, true));
    assert_false(files_http_etag_listed(span("1-2"), ours, true));
    assert_false(files_http_etag_listed(span("\"1-2"), ours, true));
    assert_false(files_http_etag_listed(span("\"1-20\", \"01-2\""), ours, true));
    assert_false(files_http_etag_listed(span("\"x\" y \"1-2\""), ours, true));
    assert_false(files_http_etag_listed(span("**"), ours, true));
}

/* ---- ranges ---- */

static void
part(const char *value, uint64_t size, uint64_t first, uint64_t len)
{
    uint64_t got_first = 99;
    uint64_t got_len = 99;

    assert_int_equal(files_http_range_parse(span(value), size, &got_first, &got_len),
                     FILES_HTTP_RANGE_PART);
    assert_int_equal(got_first, first);
    assert_int_equal(got_len, len);
}

static void
other(const char *value, uint64_t size, enum files_http_range expected)
{
    uint64_t first;
    uint64_t len;

    assert_int_equal(files_http_range_parse(span(value), size, &first, &len), expected);
}

static void
test_range(void **state)
{
    (void)state;
    part("bytes=0-0", 10, 0, 1);
    part("bytes=0-9", 10, 0, 10);
    part("bytes=0-99", 10, 0, 10);
    part("BYTES=3-4", 10, 3, 2);
    part("bytes=9-", 10, 9, 1);
    part("bytes=0-", 10, 0, 10);
    part("bytes=-3", 10, 7, 3);
    part("bytes=-30", 10, 0, 10);
    part("bytes=1-99999999999999999999999", 10, 1, 9);
    part("bytes=-99999999999999999999999", 10, 0, 10);
    part("bytes=1-18446744073709551615", 10, 1, 9);
    other("bytes=10-", 10, FILES_HTTP_RANGE_WRONG);
    other("bytes=10-11", 10, FILES_HTTP_RANGE_WRONG);
    other("bytes=99999999999999999999999-", 10, FILES_HTTP_RANGE_WRONG);
    other("bytes=-0", 10, FILES_HTTP_RANGE_WRONG);
    other("bytes=0-", 0, FILES_HTTP_RANGE_WRONG);
    other("bytes=-1", 0, FILES_HTTP_RANGE_NONE);
    other("", 10, FILES_HTTP_RANGE_NONE);
    other("bytes", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=-", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=5", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=5-4", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=0-1,3-4", 10, FILES_HTTP_RANGE_NONE);
    other("bytes= 0-1", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=a-b", 10, FILES_HTTP_RANGE_NONE);
    other("bytes=--1", 10, FILES_HTTP_RANGE_NONE);
    other("items=0-1", 10, FILES_HTTP_RANGE_NONE);
}

/* ---- conditions ---- */

/* The decision for a request with up to two headers, on a file of 100 bytes with the tag "v" from
 * Sun, 06 Nov 1994 08:49:37 GMT. */
static int
decide(enum http1_method method, const char *const headers[4], uint64_t *first, uint64_t *len)
{
    static const struct files_http_version version = {
        .etag = "\"v\"",
        .modified = 784111777,
        .size = 100,
    };
    struct http1_request request = {.method = method};

    for (int i = 0; i < 4 && headers[i]; i += 2) {
        struct http1_header *header = &request.headers[request.n_headers++];

        header->name = span(headers[i]);
        header->value = span(headers[i + 1]);
    }
    return files_http_decide(&request, &version, first, len);
}

static void
test_decide(void **state)
{
    static const char now[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char before[] = "Sun, 06 Nov 1994 08:49:36 GMT";
    static const struct {
        enum http1_method method;
        int status;
        const char *headers[4];
    } cases[] = {
        {HTTP1_GET, 200, {0}},
        {HTTP1_GET, 304, {"If-None-Match", "\"v\""}},
        {HTTP1_HEAD, 304, {"if-none-match", "W/\"v\""}},
        {HTTP1_GET, 304, {"If-None-Match", "\"u\"", "If-None-Match", "\"v\""}},
        {HTTP1_GET, 200, {"If-None-Match", "\"u\""}},
        {HTTP1_GET, 304, {"If-Modified-Since", now}},
        {HTTP1_GET, 200, {"If-Modified-Since", before}},
        {HTTP1_GET, 200, {"If-Modified-Since", "yesterday"}},
        /* the tag decides, the date is not looked at */
        {HTTP1_GET, 200, {"If-None-Match", "\"u\"", "If-Modified-Since", now}},
        {HTTP1_GET, 304, {"If-None-Match", "\"v\"", "If-Modified-Since", before}},
        {HTTP1_GET, 412, {"If-Match", "\"u\""}},
        {HTTP1_GET, 412, {"If-Match", "W/\"v\""}},
        {HTTP1_GET, 200, {"If-Match", "*"}},
        {HTTP1_GET, 412, {"If-Unmodified-Since", before}},
        {HTTP1_GET, 200, {"If-Unmodified-Since", now}},
        {HTTP1_GET, 200, {"If-Match", "\"v\"", "If-Unmodified-Since", before}},
        {HTTP1_GET, 206, {"Range", "bytes=10-19"}},
        {HTTP1_HEAD, 200, {"Range", "bytes=10-19"}},
        {HTTP1_GET, 416, {"Range", "bytes=100-"}},
        {HTTP1_GET, 200, {"Range", "bytes=1-2", "Range", "bytes=3-4"}},
        {HTTP1_GET, 206, {"Range", "bytes=10-19", "If-Range", "\"v\""}},
        {HTTP1_GET, 200, {"Range", "bytes=10-19", "If-Range", "W/\"v\""}},
        {HTTP1_GET, 200, {"Range", "bytes=10-19", "If-Range", "\"u\""}},
        {HTTP1_GET, 206, {"Range", "bytes=10-19", "If-Range", now}},
        {HTTP1_GET, 200, {"Range", "bytes=10-19", "If-Range", before}},
        {HTTP1_GET, 200, {"Range", "bytes=100-", "If-Range", "\"u\""}},
        {HTTP1_GET, 304, {"Range", "bytes=10-19", "If-None-Match", "\"v\""}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t first = 99;
        uint64_t len = 0;
        int status = decide(cases[i].method, cases[i].headers, &first, &len);

        if (status != cases[i].status)
            print_error("case %zu\n", i);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(first, status == 206 ? 10 : 0);
        if (status == 200 || status == 206)
            assert_int_equal(len, status == 206 ? 10 : 100);
    }
}

/* Every beginning of what a client may send, right in front of a page that faults. */
static void
test_no_read_behind(void **state)
{
    static const char *const texts[] = {
        "bytes=10-20",
        "bytes=-7",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "W/\"a\", \"bcd\"",
    };
    struct guard guard = guard_open(64);

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t len = 0; len <= strlen(texts[i]); len++) {
            const uint8_t *copy = guard_end(&guard, texts[i], len);
            struct span cut = {(const char *)copy, len};
            uint64_t first;
            uint64_t rest;
            time_t when;

            (void)files_http_range_parse(cut, 100, &first, &rest);
            (void)!files_http_date_parse(cut, &when);
            assert_false(files_http_etag_listed(cut, "\"v\"", true));
        }
    }
    guard_close(&guard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),           cmocka_unit_test(test_type),
        cmocka_unit_test(test_date_forms),     cmocka_unit_test(test_date_round_trip),
        cmocka_unit_test(test_date_broken),    cmocka_unit_test(test_etag),
        cmocka_unit_test(test_range),          cmocka_unit_test(test_decide),
        cmocka_unit_test(test_no_read_behind),
    };

    return cmocka_run_group_tests_name("files_http", tests, NULL, NULL);
}
