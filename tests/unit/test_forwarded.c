/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "guard/networks.h"
#include "proto/forwarded.h"

enum {
    LINES = 8,
    ROOM = 70000,
};

/* A request of header lines, each value against a guard page of its own. */
static struct http1_request request;
static struct guard areas[LINES];
static struct networks *trusted;

static int
open_all(void **state)
{
    struct networks_error error;

    (void)state;
    trusted = networks_parse("10.0.0.0/8, 192.168.1.1, fd00::/8, unix", &error);
    for (unsigned i = 0; i < LINES; i++)
        areas[i] = guard_open(ROOM);
    return trusted ? 0 : -1;
}

static int
close_all(void **state)
{
    (void)state;
    networks_free(trusted);
    for (unsigned i = 0; i < LINES; i++)
        guard_close(&areas[i]);
    return 0;
}

static void
begin(void)
{
    memset(&request, 0, sizeof request);
}

static void
add_bytes(const char *name, const char *value, size_t len)
{
    struct http1_header *header = &request.headers[request.n_headers];

    assert_true(request.n_headers < LINES);
    header->name = (struct span){name, strlen(name)};
    header->value = (struct span){guard_end(&areas[request.n_headers], value, len), len};
    request.n_headers++;
}

static void
add(const char *name, const char *value)
{
    add_bytes(name, value, strlen(value));
}

static struct sockaddr_storage
address_of(const char *ip)
{
    struct sockaddr_storage out;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(4000)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4000)};

    memset(&out, 0, sizeof out);
    if (strcmp(ip, "unix") == 0) {
        out.ss_family = AF_UNIX;
    } else if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        memcpy(&out, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
        memcpy(&out, &in6, sizeof in6);
    }
    return out;
}

static const char *
text_of(const struct sockaddr_storage *address)
{
    static char text[80];
    char ip[INET6_ADDRSTRLEN];
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    memcpy(&in, address, sizeof in);
    memcpy(&in6, address, sizeof in6);
    if (address->ss_family == AF_INET)
        snprintf(text, sizeof text, "%s:%u", inet_ntop(AF_INET, &in.sin_addr, ip, sizeof ip),
                 ntohs(in.sin_port));
    else if (address->ss_family == AF_INET6)
        snprintf(text, sizeof text, "[%s]:%u", inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof ip),
                 ntohs(in6.sin6_port));
    else
        snprintf(text, sizeof text, "%s", address->ss_family == AF_UNIX ? "unix" : "none");
    return text;
}

/* "peer", "found" or "stopped", and the address. */
static void
expect_from(const char *peer, const char *expected)
{
    static const char *const results[] = {"peer", "found", "stopped"};
    struct sockaddr_storage from = address_of(peer), client;
    char text[128];
    enum forwarded_result result =
        forwarded_client(&request, &from, trusted, networks_contain, &client);

    snprintf(text, sizeof text, "%s %s", results[result], text_of(&client));
    assert_string_equal(text, expected);
    /* The same address may be both. */
    assert_int_equal(forwarded_client(&request, &from, trusted, networks_contain, &from), result);
    assert_memory_equal(&from, &client, sizeof from);
}

static void
expect(const char *expected)
{
    expect_from("10.0.0.1", expected);
}

static void
check(const char *name, const char *value, const char *expected)
{
    begin();
    add(name, value);
    expect(expected);
}

static void
plain(const char *value, const char *expected)
{
    check("X-Forwarded-For", value, expected);
}

static void
standard(const char *value, const char *expected)
{
    check("Forwarded", value, expected);
}

#define STOPPED "stopped 10.0.0.1:4000"

/* ---- X-Forwarded-For ---- */

static void
test_nothing_said(void **state)
{
    (void)state;
    begin();
    expect("peer 10.0.0.1:4000");
    add("Host", "a");
    expect("peer 10.0.0.1:4000");
    plain("", "peer 10.0.0.1:4000");
    plain(" , ,\t", "peer 10.0.0.1:4000");
    standard("", "peer 10.0.0.1:4000");
}

static void
test_who_is_not_trusted_is_not_believed(void **state)
{
    (void)state;
    begin();
    add("X-Forwarded-For", "1.2.3.4");
    add("Forwarded", "for=1.2.3.4");
    expect_from("11.0.0.1", "peer 11.0.0.1:4000");
    expect_from("::1", "peer [::1]:4000");
    expect_from("unix", "found 1.2.3.4:0");
    expect_from("fd00::1", "found 1.2.3.4:0");
    expect_from("::ffff:10.0.0.1", "found 1.2.3.4:0");
}

static void
test_walk_past_trusted_proxies(void **state)
{
    (void)state;
    plain("1.2.3.4", "found 1.2.3.4:0");
    plain("1.2.3.4, 10.0.0.2", "found 1.2.3.4:0");
    plain("1.2.3.4,10.0.0.2,fd00::2,192.168.1.1", "found 1.2.3.4:0");
    /* Whatever a client has written stands left of its own address. */
    plain("6.6.6.6, 1.2.3.4", "found 1.2.3.4:0");
    plain("10.0.0.9, 1.2.3.4, 10.0.0.2", "found 1.2.3.4:0");
    plain("rubbish\", 1.2.3.4, 10.0.0.2", "found 1.2.3.4:0");
    plain("1.2.3.4, 192.168.1.2, 10.0.0.2", "found 192.168.1.2:0");
    /* All of them proxies. */
    plain("10.0.0.3, 10.0.0.2", "found 10.0.0.3:0");
}

static void
test_lines_are_one_list(void **state)
{
    (void)state;
    begin();
    add("X-Forwarded-For", "6.6.6.6, 1.2.3.4");
    add("Host", "a");
    add("x-forwarded-for", "");
    add("X-FORWARDED-FOR", "10.0.0.2, ");
    expect("found 1.2.3.4:0");
    add("X-Forwarded-For", "5.5.5.5");
    expect("found 5.5.5.5:0");
    begin();
    add("X-Forwarded-For-Not", "1.2.3.4");
    expect("peer 10.0.0.1:4000");
}

static void
test_forms_of_addresses(void **state)
{
    (void)state;
    plain("1.2.3.4:80", "found 1.2.3.4:80");
    plain("2001:db8::1", "found [2001:db8::1]:0");
    plain("[2001:db8::1]", "found [2001:db8::1]:0");
    plain("[2001:DB8::1]:65535", "found [2001:db8::1]:65535");
    plain("::ffff:1.2.3.4", "found 1.2.3.4:0");
    plain("[::ffff:1.2.3.4]:80", "found 1.2.3.4:80");
    plain("1.2.3.4, ::ffff:10.0.0.2", "found 1.2.3.4:0");
    plain("::", "found [::]:0");
    plain("\t1.2.3.4 \t", "found 1.2.3.4:0");
}

static void
test_malformed_addresses(void **state)
{
    static const char *const cases[] = {
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "0x1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:123456",
        "1.2.3.4:-1",
        ":80",
        ":",
        "[",
        "[]",
        "]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[[::1]]",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        "::1%lo",
        "[::1%lo]",
        "1::2::3",
        "\"1.2.3.4\"",
        "\"",
        "\"1.2.3.4",
        "1.2.3.4 1.2.3.4",
        "for=1.2.3.4",
        "1.2.3.4;",
        "1:2",
        "1.2.3.4:80:80",
        "::ffff:1.2.3.4:80:x",
        "1.2.3.4/32",
        "_",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    char value[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plain(cases[i], STOPPED);
        /* The last believable hop is the one that has written it. */
        snprintf(value, sizeof value, "1.2.3.4, %s, 10.0.0.2", cases[i]);
        plain(value, "stopped 10.0.0.2:0");
    }
    begin();
    add_bytes("X-Forwarded-For", "1.2.3.4\0", 8);
    expect(STOPPED);
    begin();
    add_bytes("X-Forwarded-For", "[::1\0]", 6);
    expect(STOPPED);
}

/* ---- Forwarded ---- */

/* RFC 7239 sections 4 to 7. */
static void
test_examples_of_the_standard(void **state)
{
    (void)state;
    standard("for=\"_gazonk\"", STOPPED);
    standard("For=\"[2001:db8:cafe::17]:4711\"", "found [2001:db8:cafe::17]:4711");
    standard("for=192.0.2.60;proto=http;by=203.0.113.43", "found 192.0.2.60:0");
    standard("for=192.0.2.43, for=198.51.100.17", "found 198.51.100.17:0");
    standard("for=192.0.2.43, for=10.0.0.17", "found 192.0.2.43:0");
    standard("for=192.0.2.43,for=\"[fd00::17]\",for=unknown", STOPPED);
    standard("for=_hidden, for=_SEVKISEK", STOPPED);
    standard("for=192.0.2.43, for=\"[fd00::17]\";by=203.0.113.60;proto=http;host=example.com",
             "found 192.0.2.43:0");
    standard("for=\"192.0.2.43:47011\"", "found 192.0.2.43:47011");
}

static void
test_elements(void **state)
{
    (void)state;
    standard("proto=https;for=1.2.3.4", "found 1.2.3.4:0");
    standard(";;for=1.2.3.4;", "found 1.2.3.4:0");
    standard("for=1.2.3.4 ; proto=https", "found 1.2.3.4:0");
    standard("FOR=1.2.3.4", "found 1.2.3.4:0");
    standard("for=\"1.2.3.4\"", "found 1.2.3.4:0");
    standard("for=\"1.2\\.3.\\4\"", "found 1.2.3.4:0");
    standard("for=\"1.2.3.4:_p.o-r_t\"", "found 1.2.3.4:0");
    standard("for=\"[::2]:_1\"", "found [::2]:0");
    standard("for=\"[::ffff:1.2.3.4]\"", "found 1.2.3.4:0");
    standard("for=1.2.3.4;host=\"a,b;c\\\",for=6.6.6.6\"", "found 1.2.3.4:0");
    standard("for=1.2.3.4;x=\"\"", "found 1.2.3.4:0");
    standard("for=1.2.3.4,,for=10.0.0.2, ,", "found 1.2.3.4:0");
    standard("fort=6.6.6.6;for=1.2.3.4", "found 1.2.3.4:0");
}

static void
test_malformed_elements(void **state)
{
    static const char *const cases[] = {
        "for",
        "for=",
        "for=;proto=http",
        "=1.2.3.4",
        "1.2.3.4",
        "proto=http",
        "by=1.2.3.4",
        ";",
        "for=1.2.3.4;for=1.2.3.4",
        "for=1.2.3.4;proto",
        "for=1.2.3.4;proto=",
        "for=1.2.3.4 proto=http",
        "for =1.2.3.4",
        "for= 1.2.3.4",
        "for=1.2.3.4:80",
        "for=[::1]",
        "for=::1",
        "for=\"::1\"",
        "for=\"1.2.3.4",
        "for=\"1.2.3.4\\\"",
        "for=\"1.2.3.4\"x",
        "for=\"1.2.3.4\"\"\"",
        "for=\"1.2.3.4 \"",
        "for=\"\"",
        "for=\"",
        "for=\"\\",
        "for=\"1.2.3.4:_\"",
        "for=\"1.2.3.4:_@\"",
        "for=\"1.2.3.4:__,\"",
        "for=unknown",
        "for=_x",
        "for=1.2.3.4;\xc3\xbc=1",
        "for=1.2.3.4;x=a@b",
        "for=\"0000000000000000000000000000000000000000000000000000000000000000000000001.2.3.4\"",
        /* Too long for an address, even if its beginning is one. */
        "for=\"1.2.3.4:_pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp\"",
    };
    char value[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        standard(cases[i], STOPPED);
        snprintf(value, sizeof value, "for=1.2.3.4,%s,for=10.0.0.2", cases[i]);
        standard(value, "stopped 10.0.0.2:0");
    }
}

/* What a client sends cannot hide what proxies add behind it. */
static void
test_quotes_of_a_client(void **state)
{
    (void)state;
    standard("for=\"6.6.6.6, for=1.2.3.4", "found 1.2.3.4:0");
    standard("for=\", for=\"[2001:db8::1]:80\"", "found [2001:db8::1]:80");
    standard("for=\"\\, for=1.2.3.4;host=\"x\\\\\"", "found 1.2.3.4:0");
    standard("a=\"\\\", for=1.2.3.4, for=10.0.0.2;host=\"b\\\",c\"", "found 1.2.3.4:0");
    standard("for=\"6.6.6.6, for=10.0.0.2", "stopped 10.0.0.2:0");
    begin();
    add("Forwarded", "for=\"");
    add("Forwarded", "for=1.2.3.4, for=10.0.0.2");
    expect("found 1.2.3.4:0");
}

/* ---- both ---- */

static void
both(const char *xff, const char *forwarded, const char *expected)
{
    begin();
    add("X-Forwarded-For", xff);
    add("Forwarded", forwarded);
    expect(expected);
}

static void
test_both_headers_must_agree(void **state)
{
    (void)state;
    both("1.2.3.4, 10.0.0.2", "for=1.2.3.4, for=\"10.0.0.2:80\"", "found 1.2.3.4:0");
    both("2001:db8::1", "for=\"[2001:DB8:0::1]\"", "found [2001:db8::1]:0");
    both("::ffff:1.2.3.4", "for=1.2.3.4", "found 1.2.3.4:0");
    both("1.2.3.4", "for=1.2.3.5", STOPPED);
    both("1.2.3.4", "for=\"[2001:db8::1]\"", STOPPED);
    both("2001:db8::1", "for=\"[2001:db8::2]\"", STOPPED);
    both("6.6.6.6, 1.2.3.4", "for=6.6.6.6", STOPPED);
    both("1.2.3.4, 10.0.0.2", "for=1.2.3.5, for=10.0.0.2", "stopped 10.0.0.2:0");
    both("1.2.3.4, 10.0.0.2", "for=10.0.0.2", "stopped 10.0.0.2:0");
    both("10.0.0.2", "for=1.2.3.4, for=10.0.0.2", "stopped 10.0.0.2:0");
    both("unknown", "for=unknown", STOPPED);
    both("unknown", "for=1.2.3.4", STOPPED);
    both("", "for=1.2.3.4", STOPPED);
    both("1.2.3.4", "", STOPPED);
    both("", "", "peer 10.0.0.1:4000");
    /* Where the client is found, what stands left of it need not agree. */
    both("6.6.6.6, 1.2.3.4", "for=5.5.5.5, for=1.2.3.4", "found 1.2.3.4:0");
}

/* As long as a head may be, full of what makes a naive reader start over. */
static void
test_long_values(void **state)
{
    static const char *const fillers[] = {",",         "\\",
                                          "\"",        "\\\"",
                                          "10.0.0.1,", "for=10.0.0.1,",
                                          "\"\\",      " ",
                                          ";",         "for=\"10.0.0.1\",",
                                          "\\\\\","};
    static char value[65536];

    (void)state;
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        struct sockaddr_storage peer = address_of("10.0.0.1"), client;
        size_t len = strlen(fillers[i]);

        for (size_t at = 0; at < sizeof value; at++)
            value[at] = fillers[i][at % len];
        begin();
        add_bytes("Forwarded", value, sizeof value - 1);
        forwarded_client(&request, &peer, trusted, networks_contain, &client);
        begin();
        add_bytes("X-Forwarded-For", value, sizeof value - 1);
        forwarded_client(&request, &peer, trusted, networks_contain, &client);
    }
    memset(value, 'x', sizeof value);
    memcpy(value, "for=1.2.3.4;host=\"", 18);
    value[sizeof value - 1] = '"';
    begin();
    add_bytes("Forwarded", value, sizeof value);
    expect("found 1.2.3.4:0");
}

/* ---- host and protocol ---- */

static void
expect_host(const char *value, const char *expected)
{
    struct span host;

    begin();
    add("X-Forwarded-Host", value);
    if (!expected) {
        assert_int_equal(forwarded_host(&request, &host), -1);
        return;
    }
    assert_int_equal(forwarded_host(&request, &host), 1);
    assert_true(span_is(host, expected));
}

static void
test_host(void **state)
{
    struct span host;

    (void)state;
    begin();
    add("Host", "a");
    assert_int_equal(forwarded_host(&request, &host), 0);
    expect_host("example.org", "example.org");
    expect_host("Example.org:8080", "Example.org:8080");
    expect_host("[::1]:8080", "[::1]:8080");
    expect_host("a.example , b.example", "a.example");
    expect_host(", a.example", "a.example");
    expect_host("", NULL);
    expect_host(",", NULL);
    expect_host("a b", NULL);
    expect_host("user@a", NULL);
    expect_host("http://a", NULL);
    expect_host("a:0", NULL);
    expect_host("\"a\"", NULL);
    expect_host("a/b, c", NULL);
    begin();
    add("X-Forwarded-Host", "a");
    add("X-Forwarded-Host", "b");
    assert_int_equal(forwarded_host(&request, &host), 1);
    assert_true(span_is(host, "a"));
}

static void
test_proto(void **state)
{
    static const struct {
        const char *value;
        enum forwarded_proto proto;
    } cases[] = {
        {"http", FORWARDED_PROTO_HTTP},        {"https", FORWARDED_PROTO_HTTPS},
        {"ws", FORWARDED_PROTO_HTTP},          {"wss", FORWARDED_PROTO_HTTPS},
        {"HTTPS", FORWARDED_PROTO_HTTPS},      {"https, http", FORWARDED_PROTO_HTTPS},
        {"http,https", FORWARDED_PROTO_HTTP},  {"", FORWARDED_PROTO_MALFORMED},
        {"ftp", FORWARDED_PROTO_MALFORMED},    {"https:", FORWARDED_PROTO_MALFORMED},
        {"http s", FORWARDED_PROTO_MALFORMED},
    };

    (void)state;
    begin();
    assert_int_equal(forwarded_proto(&request), FORWARDED_PROTO_NONE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        add("X-Forwarded-Proto", cases[i].value);
        assert_int_equal(forwarded_proto(&request), cases[i].proto);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_who_is_not_trusted_is_not_believed),
        cmocka_unit_test(test_walk_past_trusted_proxies),
        cmocka_unit_test(test_lines_are_one_list),
        cmocka_unit_test(test_forms_of_addresses),
        cmocka_unit_test(test_malformed_addresses),
        cmocka_unit_test(test_examples_of_the_standard),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_malformed_elements),
        cmocka_unit_test(test_quotes_of_a_client),
        cmocka_unit_test(test_both_headers_must_agree),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_proto),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
