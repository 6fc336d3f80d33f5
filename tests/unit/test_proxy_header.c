/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/proxy_header.h"

enum { ROOM = 70000 };

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* ---- addresses as text ---- */

static void
text_of(const struct sockaddr_storage *address, socklen_t len, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN];
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;

    memcpy(&in, address, sizeof in);
    memcpy(&in6, address, sizeof in6);
    memcpy(&un, address, sizeof un);
    switch (address->ss_family) {
    case AF_INET:
        assert_int_equal(len, sizeof in);
        snprintf(out, size, "%s:%u", inet_ntop(AF_INET, &in.sin_addr, ip, sizeof ip),
                 ntohs(in.sin_port));
        break;
    case AF_INET6:
        assert_int_equal(len, sizeof in6);
        snprintf(out, size, "[%s]:%u", inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof ip),
                 ntohs(in6.sin6_port));
        break;
    case AF_UNIX:
        snprintf(out, size, "unix:%.*s", (int)(len - offsetof(struct sockaddr_un, sun_path)),
                 un.sun_path);
        break;
    default:
        assert_int_equal(len, 0);
        snprintf(out, size, "none");
    }
}

static void
header_text(const struct proxy_header *header, char *out, size_t size)
{
    char source[160], destination[160];

    text_of(&header->source, header->source_len, source, sizeof source);
    text_of(&header->destination, header->destination_len, destination, sizeof destination);
    snprintf(out, size, "%s%s > %s", header->local ? "local " : "", source, destination);
}

/* ---- feeding ---- */

/* The first piece of `first` bytes, the others of `step`. *used: bytes of the header. */
static enum proxy_header_result
feed(struct proxy_header_parser *parser, struct guard *guard, const void *data, size_t len,
     size_t first, size_t step, size_t *used)
{
    enum proxy_header_result result = PROXY_HEADER_MORE;
    size_t piece = first, taken;

    proxy_header_init(parser);
    *used = 0;
    while (result == PROXY_HEADER_MORE && *used < len) {
        if (piece > len - *used)
            piece = len - *used;
        result = proxy_header_parse(parser, guard_end(guard, (const uint8_t *)data + *used, piece),
                                    piece, &taken);
        assert_true(taken <= piece);
        assert_true(result != PROXY_HEADER_MORE || taken == piece);
        *used += taken;
        piece = step;
    }
    if (result == PROXY_HEADER_ERROR)
        assert_non_null(parser->why);
    return result;
}

/* A good header, cut everywhere; what follows it is left alone. */
static void
check_good(const void *data, size_t len, const char *expected)
{
    struct guard guard = guard_open(len + 9);
    struct proxy_header_parser parser;
    uint8_t *more = malloc(len + 9);
    char text[512];
    size_t used;

    memcpy(more, data, len);
    memcpy(more + len, "GET / HTT", 9);
    for (size_t first = 0; first <= len + 9; first++)
        for (size_t step = first == 0 ? 1 : len + 9; step > 0; step = step > 1 ? 1 : 0) {
            assert_int_equal(feed(&parser, &guard, more, len + 9, first, step, &used),
                             PROXY_HEADER_DONE);
            assert_int_equal(used, len);
            header_text(&parser.header, text, sizeof text);
            assert_string_equal(text, expected);
        }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(feed(&parser, &guard, data, cut, cut, 1, &used), PROXY_HEADER_MORE);
    free(more);
    guard_close(&guard);
}

/* Refused, however it is cut, and not later than at its end. */
static void
check_bad(const void *data, size_t len)
{
    struct guard guard = guard_open(len);
    struct proxy_header_parser parser;
    size_t used, again;

    if (feed(&parser, &guard, data, len, len, 1, &used) != PROXY_HEADER_ERROR)
        fail_msg("taken: %.*s", (int)len, (const char *)data);
    assert_int_equal(feed(&parser, &guard, data, len, 0, 1, &used), PROXY_HEADER_ERROR);
    for (size_t first = 1; first < len; first += 1 + len / 300) {
        assert_int_equal(feed(&parser, &guard, data, len, first, len, &again), PROXY_HEADER_ERROR);
    }
    guard_close(&guard);
}

static void
good_line(const char *line, const char *expected)
{
    check_good(line, strlen(line), expected);
}

static void
bad_line(const char *line)
{
    check_bad(line, strlen(line));
}

/* ---- version 1 ---- */

static void
test_lines(void **state)
{
    (void)state;
    good_line("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
              "192.0.2.1:56324 > 198.51.100.7:443");
    good_line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
              "255.255.255.255:65535 > 255.255.255.255:65535");
    good_line("PROXY TCP4 0.0.0.0 1.2.3.4 0 1\r\n", "0.0.0.0:0 > 1.2.3.4:1");
    good_line("PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 1 2\r\n",
              "[2001:db8::1]:1 > [2001:db8::2]:2");
    good_line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 > "
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    good_line("PROXY TCP6 :: ::ffff:1.2.3.4 1 2\r\n", "[::]:1 > [::ffff:1.2.3.4]:2");
    good_line("PROXY UNKNOWN\r\n", "local none > none");
    good_line("PROXY UNKNOWN anything  at all\r\n", "local none > none");
    good_line("PROXY UNKNOWN \r\n", "local none > none");
    good_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
              "local none > none");
}

static void
test_malformed_lines(void **state)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP44 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4  1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n",
        "PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r \n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
        "PROXY UNKNOWN \r \r\n",
        "PROXY UNKNOWN a\nb\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOW\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.04 1 2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4. 1.2.3.4 1 2\r\n",
        "PROXY TCP4 0x1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 ::1 1.2.3.4 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP6 ::1%lo ::1 1 2\r\n",
        "PROXY TCP6 :::1 ::1 1 2\r\n",
        "PROXY TCP6 1::2::3 ::1 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
        "PROXY TCP6 00001::1 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 100000 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 4294967297 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1a 2\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        bad_line(lines[i]);
    /* 108 bytes. */
    bad_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n");
    check_bad("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n", 33);
    check_bad("PROXY TCP4\0 1.2.3.4 1.2.3.4 1 2\r\n", 33);
    check_bad("PROXY TCP4 1.2.3.4 1.2.3.4 1\0 2\r\n", 33);
}

/* Where another protocol is spoken, that is seen at its first wrong byte, without waiting. */
static void
test_refused_at_once(void **state)
{
    struct proxy_header_parser parser;
    char line[PROXY_HEADER_V1_MAX];
    size_t used;

    (void)state;
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, "G", 1, &used), PROXY_HEADER_ERROR);
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, "PROXX", 5, &used), PROXY_HEADER_ERROR);
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, "\r\n\r\n\1", 5, &used), PROXY_HEADER_ERROR);
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, line, sizeof line - 1, &used), PROXY_HEADER_MORE);
    assert_int_equal(proxy_header_parse(&parser, line, 1, &used), PROXY_HEADER_ERROR);
}

/* ---- version 2 ---- */

struct block {
    size_t len;
    uint8_t at[ROOM];
};

static struct block block;

static void
append(const void *data, size_t len)
{
    memcpy(block.at + block.len, data, len);
    block.len += len;
}

/* The first 16 bytes; announced is the length they tell. */
static void
begin(unsigned command, unsigned family, size_t announced)
{
    uint8_t rest[4] = {(uint8_t)command, (uint8_t)family, (uint8_t)(announced >> 8),
                       (uint8_t)announced};

    block.len = 0;
    append(SIGNATURE, 12);
    append(rest, 4);
}

#define IP4      "\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xbb" /* 12 bytes */
#define IP4_TEXT "192.0.2.1:56324 > 198.51.100.7:443"

static void
test_ip4(void **state)
{
    (void)state;
    begin(0x21, 0x11, 12);
    append(IP4, 12);
    check_good(block.at, block.len, IP4_TEXT);
}

static void
test_ip6(void **state)
{
    (void)state;
    begin(0x21, 0x21, 36);
    append("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    append("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    append("\0\1\xff\xff", 4);
    check_good(block.at, block.len, "[2001:db8::1]:1 > [2001:db8::2]:65535");
}

static socklen_t
path_len(size_t n)
{
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static void
test_unix(void **state)
{
    struct proxy_header_parser parser;
    char source[108] = "/run/a.sock", destination[108], text[256];
    struct sockaddr_un un;
    size_t used;

    (void)state;
    memset(destination, 'd', sizeof destination);
    begin(0x21, 0x31, 216);
    append(source, 108);
    append(destination, 108);
    snprintf(text, sizeof text, "unix:/run/a.sock > unix:%.108s", destination);
    /* The NUL of the first one is counted, as the kernel does. */
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, block.at, block.len, &used), PROXY_HEADER_DONE);
    assert_int_equal(parser.header.source_len, path_len(sizeof "/run/a.sock"));
    assert_int_equal(parser.header.destination_len, path_len(108));
    check_good(block.at, block.len, text);
    /* What lies behind a NUL is not part of the path; an abstract name keeps it. */
    begin(0x21, 0x31, 216);
    memcpy(source, "a\0b", 4);
    append(source, 108);
    memset(destination, 0, sizeof destination);
    memcpy(destination, "\0x\0y", 4);
    append(destination, 108);
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, block.at, block.len, &used), PROXY_HEADER_DONE);
    memcpy(&un, &parser.header.source, sizeof un);
    assert_int_equal(parser.header.source_len, path_len(2));
    assert_memory_equal(un.sun_path, "a\0\0\0", 4);
    memcpy(&un, &parser.header.destination, sizeof un);
    assert_int_equal(parser.header.destination_len, path_len(4));
    assert_memory_equal(un.sun_path, "\0x\0y\0", 5);
    /* Nameless. */
    begin(0x21, 0x31, 216);
    memset(source, 0, sizeof source);
    append(source, 108);
    append(source, 108);
    check_good(block.at, block.len, "unix: > unix:");
}

static void
test_local_and_unknown(void **state)
{
    static const struct {
        uint8_t command, family;
    } cases[] = {
        {0x20, 0x00}, {0x20, 0x11}, {0x20, 0xff}, {0x21, 0x00}, {0x21, 0x01}, {0x21, 0x02},
        {0x21, 0x10}, {0x21, 0x12}, {0x21, 0x20}, {0x21, 0x22}, {0x21, 0x30}, {0x21, 0x32},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].command, cases[i].family, 0);
        check_good(block.at, block.len, "local none > none");
        begin(cases[i].command, cases[i].family, 12);
        append(IP4, 12);
        check_good(block.at, block.len, "local none > none");
        /* Not looked at: no field, no addresses. */
        begin(cases[i].command, cases[i].family, 300);
        append(block.at + 1000, 300);
        check_good(block.at, block.len, "local none > none");
    }
}

static void
test_further_fields_are_skipped(void **state)
{
    (void)state;
    begin(0x21, 0x11, 12 + 3 + 4 + 3 + 0 + 3 + 300);
    append(IP4, 12);
    append("\4\0\4abcd\1\0\0\x20\1\x2c", 13);
    append(block.at + 1000, 300);
    check_good(block.at, block.len, IP4_TEXT);
    begin(0x21, 0x21, 36 + 3);
    append(block.at + 1000, 36);
    append("\5\0\0", 3);
    check_good(block.at, block.len, "[::]:0 > [::]:0");
}

static void
test_fields_over_the_end(void **state)
{
    static const struct {
        const char *fields;
        size_t len;
    } cases[] = {
        {"\4", 1},       {"\4\0", 2},       {"\4\0\1", 3},     {"\4\0\2a", 4},     {"\4\1\0a", 4},
        {"\4\0\1ab", 5}, {"\4\0\0\4\0", 5}, {"\4\xff\xff", 3}, {"\4\0\4a\4\0", 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(0x21, 0x11, 12 + cases[i].len);
        append(IP4, 12);
        append(cases[i].fields, cases[i].len);
        check_bad(block.at, block.len);
    }
}

static void
test_malformed_blocks(void **state)
{
    static const struct {
        uint8_t command, family, len;
    } cases[] = {
        {0x22, 0x11, 12},  {0x2f, 0x11, 12}, {0x11, 0x11, 12}, {0x31, 0x11, 12}, {0x01, 0x11, 12},
        {0x21, 0x13, 12},  {0x21, 0x1f, 12}, {0x21, 0x41, 36}, {0x21, 0xf1, 36}, {0x21, 0x03, 36},
        {0x21, 0x40, 36},  {0x21, 0x11, 0},  {0x21, 0x11, 11}, {0x21, 0x21, 35}, {0x21, 0x21, 12},
        {0x21, 0x31, 215}, {0x21, 0x31, 36},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].command, cases[i].family, cases[i].len);
        check_bad(block.at, block.len);
    }
    for (size_t i = 0; i < 12; i++) {
        begin(0x21, 0x11, 12);
        append(IP4, 12);
        block.at[i] ^= 1;
        check_bad(block.at, block.len);
    }
}

static void
test_longest_block(void **state)
{
    struct proxy_header_parser parser;
    size_t used;

    (void)state;
    begin(0x20, 0x00, PROXY_HEADER_READ_MAX - 16);
    memset(block.at + 16, 0xff, ROOM - 16);
    block.len = PROXY_HEADER_READ_MAX;
    proxy_header_init(&parser);
    assert_int_equal(proxy_header_parse(&parser, block.at, block.len, &used), PROXY_HEADER_DONE);
    assert_int_equal(used, PROXY_HEADER_READ_MAX);
    for (size_t len = PROXY_HEADER_READ_MAX - 15; len <= 0xffff; len += 0xfff) {
        begin(0x20, 0x00, len);
        check_bad(block.at, 16);
    }
}

/* ---- building ---- */

static socklen_t
set_ip(struct sockaddr_storage *to, const char *ip, unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        memcpy(to, &in, sizeof in);
        return sizeof in;
    }
    assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
    memcpy(to, &in6, sizeof in6);
    return sizeof in6;
}

static struct proxy_header
header_of(const char *source, unsigned source_port, const char *destination,
          unsigned destination_port)
{
    struct proxy_header header = {.local = false};

    header.source_len = set_ip(&header.source, source, source_port);
    header.destination_len = set_ip(&header.destination, destination, destination_port);
    return header;
}

static void
check_built(const struct proxy_header *header, const char *line, const char *expected)
{
    struct guard guard = guard_open(PROXY_HEADER_V2_MAX);
    char zeros[PROXY_HEADER_V2_MAX] = "", *text;
    uint8_t *binary;
    size_t len;

    text = guard_end(&guard, zeros, PROXY_HEADER_V1_MAX);
    len = proxy_header_build_v1(header, text);
    assert_int_equal(len, strlen(line));
    assert_memory_equal(text, line, len);
    binary = guard_end(&guard, zeros, PROXY_HEADER_V2_MAX);
    len = proxy_header_build_v2(header, binary);
    check_good(binary, len, expected);
    guard_close(&guard);
}

static void
test_build(void **state)
{
    struct proxy_header header = header_of("192.0.2.1", 56324, "198.51.100.7", 443);
    uint8_t out[PROXY_HEADER_V2_MAX];

    (void)state;
    check_built(&header, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", IP4_TEXT);
    assert_int_equal(proxy_header_build_v2(&header, out), 28);
    begin(0x21, 0x11, 12);
    append(IP4, 12);
    assert_memory_equal(out, block.at, 28);
    header = header_of("2001:db8::1", 1, "fd00::1", 65535);
    check_built(&header, "PROXY TCP6 2001:db8::1 fd00::1 1 65535\r\n",
                "[2001:db8::1]:1 > [fd00::1]:65535");
    header = header_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
                       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
    check_built(&header,
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 > "
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

/* A socket that listens on both families shows IPv4 peers as mapped. */
static void
test_build_mixed_families(void **state)
{
    struct proxy_header header = header_of("::ffff:192.0.2.1", 1, "::ffff:192.0.2.2", 2);

    (void)state;
    check_built(&header, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "192.0.2.1:1 > 192.0.2.2:2");
    header = header_of("192.0.2.1", 1, "::ffff:192.0.2.2", 2);
    check_built(&header, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "192.0.2.1:1 > 192.0.2.2:2");
    header = header_of("192.0.2.1", 1, "fd00::1", 2);
    check_built(&header, "PROXY TCP6 0:0:0:0:0:ffff:c000:201 fd00::1 1 2\r\n",
                "[::ffff:192.0.2.1]:1 > [fd00::1]:2");
    header = header_of("fd00::1", 1, "192.0.2.1", 2);
    check_built(&header, "PROXY TCP6 fd00::1 0:0:0:0:0:ffff:c000:201 1 2\r\n",
                "[fd00::1]:1 > [::ffff:192.0.2.1]:2");
}

static void
test_build_what_has_no_ip(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/s"};
    struct proxy_header header = header_of("192.0.2.1", 1, "192.0.2.2", 2);

    (void)state;
    header.local = true;
    check_built(&header, "PROXY UNKNOWN\r\n", "local none > none");
    header.local = false;
    memcpy(&header.destination, &un, sizeof un);
    header.destination_len = path_len(sizeof "/run/s");
    check_built(&header, "PROXY UNKNOWN\r\n", "local none > none");
    memset(un.sun_path, 'x', sizeof un.sun_path);
    memcpy(&header.source, &un, sizeof un);
    header.source_len = path_len(3);
    check_built(&header, "PROXY UNKNOWN\r\n", "unix:xxx > unix:/run/s");
    header.source_len = path_len(0);
    check_built(&header, "PROXY UNKNOWN\r\n", "unix: > unix:/run/s");
    header.local = true;
    check_built(&header, "PROXY UNKNOWN\r\n", "local none > none");
    memset(&header, 0, sizeof header);
    check_built(&header, "PROXY UNKNOWN\r\n", "local none > none");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_malformed_lines),
        cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_ip4),
        cmocka_unit_test(test_ip6),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_local_and_unknown),
        cmocka_unit_test(test_further_fields_are_skipped),
        cmocka_unit_test(test_fields_over_the_end),
        cmocka_unit_test(test_malformed_blocks),
        cmocka_unit_test(test_longest_block),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_build_mixed_families),
        cmocka_unit_test(test_build_what_has_no_ip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
