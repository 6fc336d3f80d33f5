/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "guard/origin.h"

static struct http1_request request;

static void
begin(void)
{
    memset(&request, 0, sizeof request);
}

static struct span
span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
add(const char *name, const char *value)
{
    request.headers[request.n_headers].name = span_of(name);
    request.headers[request.n_headers].value = span_of(value);
    request.n_headers++;
}

/* From against a guard page, on both sides. */
static enum origin_result
parse_bytes(const char *text, size_t len, struct origin *origin)
{
    struct guard guard = guard_open(len);
    struct origin other;
    enum origin_result result =
        origin_parse((struct span){guard_end(&guard, text, len), len}, origin);

    assert_int_equal(origin_parse((struct span){guard_start(&guard, text, len), len}, &other),
                     result);
    guard_close(&guard);
    return result;
}

static enum origin_result
parse(const char *text, struct origin *origin)
{
    return parse_bytes(text, strlen(text), origin);
}

static void
good(const char *text, const char *scheme, const char *host, unsigned port)
{
    struct origin origin;

    assert_int_equal(parse(text, &origin), ORIGIN_ALLOWED);
    assert_string_equal(origin.scheme, scheme);
    assert_string_equal(origin.host, host);
    assert_int_equal(origin.port, port);
}

/* ---- parsing ---- */

static void
test_origins(void **state)
{
    (void)state;
    good("http://example.org", "http", "example.org", 80);
    good("https://example.org", "https", "example.org", 443);
    good("ws://example.org", "ws", "example.org", 80);
    good("wss://example.org", "wss", "example.org", 443);
    good("http://example.org:443", "http", "example.org", 443);
    good("https://example.org:65535", "https", "example.org", 65535);
    good("https://example.org:1", "https", "example.org", 1);
    good("HTTPS://Example.ORG", "https", "example.org", 443);
    good("http://127.0.0.1:8080", "http", "127.0.0.1", 8080);
    good("http://localhost", "http", "localhost", 80);
    good("http://[::1]:8080", "http", "[::1]", 8080);
    good("http://[2001:DB8:0:0::1]", "http", "[2001:db8::1]", 80);
    good("http://[::FFFF:1.2.3.4]", "http", "[::ffff:1.2.3.4]", 80);
    good("chrome-extension://abcdef", "chrome-extension", "abcdef", 0);
    good("moz-extension://1-2:99", "moz-extension", "1-2", 99);
    good("a+b.c-1://h", "a+b.c-1", "h", 0);
    good("http://xn--bcher-kva.example", "http", "xn--bcher-kva.example", 80);
    good("http://a_b", "http", "a_b", 80);
}

static void
test_malformed_origins(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        "http",
        "http:",
        "http:/",
        "http://",
        "http:/a",
        "http:a",
        "://a",
        "//a",
        "a",
        "example.org",
        "example.org:80",
        "http//a",
        "1http://a",
        "-http://a",
        "ht tp://a",
        "h\xc3\xa4tp://a",
        "http://a/",
        "http://a/b",
        "http://a?b",
        "http://a#b",
        "http://a\\",
        "http://user@a",
        "http://user:password@a",
        "http://@a",
        "http://a@",
        "http://a:",
        "http://a:0",
        "http://a:00080",
        "http://a:080",
        "http://a:65536",
        "http://a:x",
        "http://a:80:80",
        "http://a:80/",
        "http://:80",
        "http://a.",
        "http://a.:80",
        "http://.",
        "http://.a",
        "http://a..b",
        "http://a b",
        "http://a, http://b",
        "http://a http://b",
        "http://a,b",
        " http://a",
        "http://a ",
        "http://\xc3\xa4",
        "http://%61",
        "http://[::1",
        "http://::1",
        "http://[::1]a",
        "http://[::1]:",
        "http://[::1%25lo]",
        "http://[1.2.3.4]",
        "http://[]",
        "http://[",
        "http://a]",
        "http://*.a",
        "file://",
        "file:///",
        "Null",
        "null ",
        "data:,x",
        "abcdefghijklmnopqrstuvwxyzabcdef://a", /* 32 */
    };
    struct origin origin;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (parse(cases[i], &origin) != ORIGIN_MALFORMED)
            fail_msg("not malformed: %s", cases[i]);
    assert_int_equal(parse("null", &origin), ORIGIN_NULL);
    assert_int_equal(parse_bytes("http://a\0", 9, &origin), ORIGIN_MALFORMED);
    assert_int_equal(parse_bytes("http://[::1\0]", 13, &origin), ORIGIN_MALFORMED);
    assert_int_equal(parse_bytes("ht\0p://a", 8, &origin), ORIGIN_MALFORMED);
    good("abcdefghijklmnopqrstuvwxyzabcde://a", "abcdefghijklmnopqrstuvwxyzabcde", "a", 0);
}

static void
test_length(void **state)
{
    char text[ORIGIN_MAX + 2];
    struct origin origin;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "http://", 7);
    assert_int_equal(parse_bytes(text, ORIGIN_MAX + 1, &origin), ORIGIN_LONG);
    assert_int_equal(parse_bytes(text, ORIGIN_MAX, &origin), ORIGIN_ALLOWED);
    assert_int_equal(strlen(origin.host), ORIGIN_MAX - 7);
    memset(text, ' ', sizeof text);
    assert_int_equal(parse_bytes(text, ORIGIN_MAX + 1, &origin), ORIGIN_LONG);
}

/* Each beginning of an origin is one itself, or malformed, and never read over. */
static void
test_every_cut(void **state)
{
    static const char *const texts[] = {"https://example.org:8443", "http://[2001:db8::1]:80"};
    struct origin origin;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t len = 0; len < strlen(texts[i]); len++) {
            enum origin_result result = parse_bytes(texts[i], len, &origin);
            char last = len > 0 ? texts[i][len - 1] : '\0';
            bool in_host = i == 0 ? len > 8 && last != '.' && last != ':' : len > 19 && last != ':';

            assert_int_equal(result, in_host ? ORIGIN_ALLOWED : ORIGIN_MALFORMED);
        }
}

static void
test_equal(void **state)
{
    static const char *const others[] = {
        "https://example.org:8443", "http://example.org:443", "https://example.com",
        "https://example.orgx",     "https://xexample.org",   "https://www.example.org",
        "wss://example.org",        "https://example.or",     "https://example.org.evil.test",
    };
    struct origin a, b;

    (void)state;
    assert_int_equal(parse("https://example.org", &a), ORIGIN_ALLOWED);
    assert_int_equal(parse("HTTPS://EXAMPLE.org:443", &b), ORIGIN_ALLOWED);
    assert_true(origin_equal(&a, &b));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(parse(others[i], &b), ORIGIN_ALLOWED);
        assert_false(origin_equal(&a, &b));
        assert_false(origin_equal(&b, &a));
    }
}

/* ---- checking ---- */

static enum origin_result
check_same(const char *origin, const char *host)
{
    const struct origin_policy policy = {.mode = ORIGIN_MODE_SAME};
    struct guard guard = guard_open(300);
    enum origin_result result;

    begin();
    add("origin", origin);
    result = origin_check(&policy, &request,
                          (struct span){guard_end(&guard, host, strlen(host)), strlen(host)});
    guard_close(&guard);
    return result;
}

static void
test_same_host(void **state)
{
    (void)state;
    assert_int_equal(check_same("http://example.org", "example.org"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("https://example.org", "example.org"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("https://example.org", "EXAMPLE.org:443"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("http://example.org", "example.org:80"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("ws://example.org", "example.org:80"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("http://example.org:8080", "example.org:8080"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("https://example.org:443", "example.org"), ORIGIN_ALLOWED);
    assert_int_equal(check_same("http://[::1]:8080", "[0:0::1]:8080"), ORIGIN_ALLOWED);
}

static void
test_other_host(void **state)
{
    static const char *const cases[][2] = {
        {"http://example.org", "example.org:443"},
        {"https://example.org", "example.org:80"},
        {"http://example.org:8080", "example.org"},
        {"http://example.org", "example.org:8080"},
        {"http://example.org:8080", "example.org:8081"},
        {"http://evil.test", "example.org"},
        {"http://example.org.evil.test", "example.org"},
        {"http://evilexample.org", "example.org"},
        {"http://example.or", "example.org"},
        {"http://www.example.org", "example.org"},
        {"http://example.org", "www.example.org"},
        {"http://example.org", "example.org."},
        {"http://[::1]", "[::2]"},
        {"http://example.org", ""},
        {"http://example.org", "user@example.org"},
        {"http://example.org", "example.org, example.org"},
        {"http://example.org", "http://example.org"},
        {"http://example.org:1", "example.org:01"},
        /* No web page's. */
        {"chrome-extension://example.org", "example.org"},
        {"app://example.org:80", "example.org:80"},
        {"app://example.org:80", "example.org"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(check_same(cases[i][0], cases[i][1]), ORIGIN_OTHER_HOST);
}

static enum origin_result
check_listed(const char *origin)
{
    static const char *const texts[] = {"https://a.example", "http://b.example:8080",
                                        "chrome-extension://id", "http://[::1]"};
    struct origin listed[4];
    struct origin_policy policy = {.mode = ORIGIN_MODE_LIST, .listed = listed, .n_listed = 4};

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(parse(texts[i], &listed[i]), ORIGIN_ALLOWED);
    begin();
    add("Origin", origin);
    /* What the host is does not count. */
    return origin_check(&policy, &request, span_of("c.example"));
}

static void
test_list(void **state)
{
    struct origin_policy empty = {.mode = ORIGIN_MODE_LIST};

    (void)state;
    assert_int_equal(check_listed("https://a.example"), ORIGIN_ALLOWED);
    assert_int_equal(check_listed("https://A.example:443"), ORIGIN_ALLOWED);
    assert_int_equal(check_listed("http://b.example:8080"), ORIGIN_ALLOWED);
    assert_int_equal(check_listed("chrome-extension://id"), ORIGIN_ALLOWED);
    assert_int_equal(check_listed("http://[0::1]:80"), ORIGIN_ALLOWED);
    assert_int_equal(check_listed("http://a.example"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("wss://a.example"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("http://a.example:443"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("http://b.example"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("https://a.example.evil.test"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("https://c.example"), ORIGIN_NOT_LISTED);
    assert_int_equal(check_listed("http://c.example"), ORIGIN_NOT_LISTED);
    assert_int_equal(origin_check(&empty, &request, span_of("c.example")), ORIGIN_NOT_LISTED);
}

static void
test_any(void **state)
{
    const struct origin_policy any = {.mode = ORIGIN_MODE_ANY};

    (void)state;
    begin();
    add("Origin", "https://elsewhere.test");
    assert_int_equal(origin_check(&any, &request, span_of("a")), ORIGIN_ALLOWED);
}

/* Whatever the policy is. */
static void
test_refused_by_all(void **state)
{
    static const struct {
        const char *value;
        enum origin_result result;
    } cases[] = {
        {"null", ORIGIN_NULL},
        {"", ORIGIN_MALFORMED},
        {"http://u@a.example", ORIGIN_MALFORMED},
        {"https://a.example/", ORIGIN_MALFORMED},
        {"https://a.example, https://a.example", ORIGIN_MALFORMED},
        {"https://a.example.", ORIGIN_MALFORMED},
    };
    struct origin listed;
    struct origin_policy policy = {.listed = &listed, .n_listed = 1};
    char text[ORIGIN_MAX + 2] = "";

    (void)state;
    assert_int_equal(parse("https://a.example", &listed), ORIGIN_ALLOWED);
    memset(text, 'a', ORIGIN_MAX + 1);
    for (policy.mode = ORIGIN_MODE_SAME; policy.mode <= ORIGIN_MODE_LIST; policy.mode++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            begin();
            add("Origin", cases[i].value);
            assert_int_equal(origin_check(&policy, &request, span_of("a.example")),
                             cases[i].result);
        }
        begin();
        add("Origin", text);
        assert_int_equal(origin_check(&policy, &request, span_of("a.example")), ORIGIN_LONG);
        begin();
        add("Origin", "https://a.example");
        assert_int_equal(origin_check(&policy, &request, span_of("a.example")), ORIGIN_ALLOWED);
        add("ORIGIN", "https://a.example");
        assert_int_equal(origin_check(&policy, &request, span_of("a.example")), ORIGIN_SEVERAL);
    }
}

static void
test_without_origin(void **state)
{
    static const struct {
        const char *site;
        enum origin_result result;
    } cases[] = {
        {"same-origin", ORIGIN_ABSENT},    {"none", ORIGIN_ABSENT},
        {"cross-site", ORIGIN_CROSS_SITE}, {"same-site", ORIGIN_CROSS_SITE},
        {"", ORIGIN_CROSS_SITE},           {"None", ORIGIN_CROSS_SITE},
        {"none, none", ORIGIN_CROSS_SITE}, {"same-origin2", ORIGIN_CROSS_SITE},
        {"same-origi", ORIGIN_CROSS_SITE},
    };
    struct origin_policy policy = {.mode = ORIGIN_MODE_SAME};

    (void)state;
    for (policy.mode = ORIGIN_MODE_SAME; policy.mode <= ORIGIN_MODE_LIST; policy.mode++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            bool passes = cases[i].result == ORIGIN_ABSENT;

            begin();
            add("Sec-Fetch-Site", cases[i].site);
            policy.required = false;
            assert_int_equal(origin_check(&policy, &request, span_of("a")), cases[i].result);
            policy.required = true;
            assert_int_equal(origin_check(&policy, &request, span_of("a")),
                             passes ? ORIGIN_MISSING : cases[i].result);
            add("Sec-Fetch-Site", "none");
            assert_int_equal(origin_check(&policy, &request, span_of("a")), ORIGIN_CROSS_SITE);
        }
        begin();
        policy.required = false;
        assert_int_equal(origin_check(&policy, &request, span_of("a")), ORIGIN_ABSENT);
        policy.required = true;
        assert_int_equal(origin_check(&policy, &request, span_of("a")), ORIGIN_MISSING);
    }
}

/* Sec-Fetch-Site counts only where there is no Origin. */
static void
test_origin_decides(void **state)
{
    const struct origin_policy policy = {.mode = ORIGIN_MODE_SAME, .required = true};

    (void)state;
    begin();
    add("Origin", "http://a");
    add("Sec-Fetch-Site", "cross-site");
    assert_int_equal(origin_check(&policy, &request, span_of("a")), ORIGIN_ALLOWED);
    begin();
    add("Origin", "http://b");
    add("Sec-Fetch-Site", "same-origin");
    assert_int_equal(origin_check(&policy, &request, span_of("a")), ORIGIN_OTHER_HOST);
}

static void
test_reasons(void **state)
{
    (void)state;
    for (enum origin_result r = ORIGIN_ABSENT; r <= ORIGIN_NOT_LISTED; r++) {
        assert_true(strlen(origin_reason(r)) > 0);
        assert_int_equal(origin_passes(r), r == ORIGIN_ABSENT || r == ORIGIN_ALLOWED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_malformed_origins),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_same_host),
        cmocka_unit_test(test_other_host),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_refused_by_all),
        cmocka_unit_test(test_without_origin),
        cmocka_unit_test(test_origin_decides),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
