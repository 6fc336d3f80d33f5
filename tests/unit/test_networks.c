/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include <cmocka.h>

#include "guard.h"
#include "guard/networks.h"

/* Parsed from text against a guard page. */
static struct networks *
parse(const char *text, struct networks_error *error)
{
    struct guard guard = guard_open(strlen(text) + 1);
    const char *copy = guard_end(&guard, text, strlen(text) + 1);
    struct networks *networks = networks_parse(copy, error);

    /* It points into the text. */
    error->at = text + (error->at - copy);
    guard_close(&guard);
    return networks;
}

/* Asks with an address against a guard page, as long as its family says. */
static bool
ask(const struct networks *networks, const char *ip)
{
    struct guard guard = guard_open(128);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 80};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = 80, .sin6_scope_id = 1};
    const struct sockaddr *address;
    bool yes;

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        address = guard_end(&guard, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
        address = guard_end(&guard, &in6, sizeof in6);
    }
    yes = networks_contain(networks, address);
    guard_close(&guard);
    return yes;
}

static bool
holds(const char *text, const char *ip)
{
    struct networks_error error;
    struct networks *networks = parse(text, &error);
    bool yes;

    assert_non_null(networks);
    yes = ask(networks, ip);
    networks_free(networks);
    return yes;
}

static void
refused(const char *text, const char *element)
{
    struct networks_error error;

    assert_null(parse(text, &error));
    assert_non_null(error.why);
    assert_int_equal(error.len, strlen(element));
    assert_memory_equal(error.at, element, error.len);
    assert_true(error.at >= text && error.at + error.len <= text + strlen(text));
}

static bool
unix_peers(const char *text)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct networks_error error;
    struct networks *networks = parse(text, &error);
    struct guard guard = guard_open(sizeof un.sun_family);
    bool yes;

    assert_non_null(networks);
    /* A nameless peer has a family and nothing else. */
    yes = networks_contain(networks, guard_end(&guard, &un, sizeof un.sun_family));
    networks_free(networks);
    guard_close(&guard);
    return yes;
}

static void
test_list(void **state)
{
    static const char list[] = "10.0.0.0/8, 192.168.1.1,fd00::/8 ,\t2001:db8::5";

    (void)state;
    assert_true(holds(list, "10.0.0.0"));
    assert_true(holds(list, "10.255.255.255"));
    assert_false(holds(list, "9.255.255.255"));
    assert_false(holds(list, "11.0.0.0"));
    assert_true(holds(list, "192.168.1.1"));
    assert_false(holds(list, "192.168.1.0"));
    assert_true(holds(list, "fd00::"));
    assert_true(holds(list, "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(holds(list, "fc00::"));
    assert_false(holds(list, "fe00::"));
    assert_true(holds(list, "2001:db8::5"));
    assert_false(holds(list, "2001:db8::4"));
}

static void
test_empty_list_holds_nothing(void **state)
{
    (void)state;
    assert_false(holds("", "10.0.0.1"));
    assert_false(holds(" \t", "::"));
    assert_false(ask(NULL, "10.0.0.1"));
    networks_free(NULL);
}

/* Every prefix length: the last address inside and the first outside, on both sides. */
static void
test_every_prefix_length(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 32; bits++) {
        uint32_t size = bits == 32 ? 1 : 1u << (32 - bits), first = 0xc0000000 & -size;
        uint32_t asked[4] = {first - 1, first, first + size - 1, first + size};
        char text[64], ip[32];

        snprintf(text, sizeof text, "%u.%u.%u.%u/%u", first >> 24, first >> 16 & 255,
                 first >> 8 & 255, first & 255, bits);
        for (unsigned i = 0; i < 4; i++) {
            uint32_t a = asked[i];

            if (bits == 1 && i == 3)
                continue; /* 0.0.0.0, from the other end */
            snprintf(ip, sizeof ip, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
            assert_int_equal(holds(text, ip), i == 1 || i == 2);
            snprintf(ip, sizeof ip, "::ffff:%x:%x", a >> 16, a & 0xffff);
            assert_int_equal(holds(text, ip), i == 1 || i == 2);
        }
    }
    for (unsigned bits = 1; bits <= 128; bits++) {
        struct in6_addr ip = {0};
        char text[64], base[INET6_ADDRSTRLEN], inside[INET6_ADDRSTRLEN];

        ip.s6_addr[(bits - 1) / 8] = (uint8_t)(0x80 >> (bits - 1) % 8);
        inet_ntop(AF_INET6, &ip, base, sizeof base);
        snprintf(text, sizeof text, "%s/%u", base, bits);
        assert_true(holds(text, base));
        if (bits < 128) {
            ip.s6_addr[bits / 8] |= (uint8_t)(0x80 >> bits % 8);
            assert_true(holds(text, inet_ntop(AF_INET6, &ip, inside, sizeof inside)));
            snprintf(text, sizeof text, "%s/%u", inside, bits);
            refused(text, text);
            snprintf(text, sizeof text, "%s/%u", base, bits);
        }
        memset(&ip, 0, sizeof ip);
        assert_false(holds(text, inet_ntop(AF_INET6, &ip, inside, sizeof inside)));
    }
}

static void
test_everything(void **state)
{
    (void)state;
    assert_true(holds("0.0.0.0/0", "255.255.255.255"));
    assert_true(holds("0.0.0.0/0", "::ffff:1.2.3.4"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_true(holds("::/0", "ffff::"));
    assert_true(holds("::/0", "::1"));
}

static void
test_families_are_apart(void **state)
{
    (void)state;
    assert_false(holds("::/0", "1.2.3.4"));
    assert_false(holds("::/0", "::ffff:1.2.3.4"));
    assert_false(holds("::/80", "1.2.3.4"));
    assert_false(holds("10.0.0.0/8", "::10.0.0.1"));
    assert_false(holds("10.0.0.0/8", "a00::"));
    /* Written as mapped, it is IPv4. */
    assert_true(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_false(holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    assert_true(holds("::ffff:10.0.0.1", "10.0.0.1"));
}

static void
test_unix(void **state)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct networks_error error;
    struct networks *networks = parse("unix, 0.0.0.0/0, ::/0", &error);

    (void)state;
    assert_true(unix_peers("unix"));
    assert_true(unix_peers("10.0.0.0/8 , unix"));
    assert_false(unix_peers("10.0.0.0/8, 0.0.0.0/0, ::/0"));
    assert_false(unix_peers(""));
    assert_false(holds("unix", "127.0.0.1"));
    assert_false(holds("unix", "::"));
    assert_false(holds("unix, unix", "0.0.0.0"));
    assert_false(networks_contain(networks, &none));
    networks_free(networks);
}

static void
test_host_bits(void **state)
{
    (void)state;
    refused("10.0.0.1/8", "10.0.0.1/8");
    refused("10.128.0.0/8", "10.128.0.0/8");
    refused("10.0.0.1/31", "10.0.0.1/31");
    refused("1.0.0.0/0", "1.0.0.0/0");
    refused("fd00::1/8", "fd00::1/8");
    refused("fd80::/8", "fd80::/8");
    refused("::1/0", "::1/0");
    refused("::ffff:0:0/95", "::ffff:0:0/95");
}

static void
test_malformed(void **state)
{
    static const char *const elements[] = {
        "10",
        "10.0.0",
        "10.0.0.0.0",
        "010.0.0.0",
        "0xa.0.0.0",
        "10.0.0.256",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/+8",
        "10.0.0.0/-8",
        "10.0.0.0/8/8",
        "10.0.0.0/8x",
        "10.0.0.0/ 8",
        "10.0.0.0 /8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/4294967304",
        "/8",
        "fd00::/129",
        "fd00::/1000",
        "fd00::/00",
        "fd00:::/8",
        "[fd00::]/8",
        "fd00::%eth0",
        "localhost",
        "unix:/run/a",
        "UNIX",
        "unixx",
        "10.0.0.0/8 10.0.0.1",
        "10.0.0.0/8;10.0.0.1",
        "*",
        "-",
        "all",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        refused(elements[i], elements[i]);
        snprintf(text, sizeof text, "10.0.0.0/8 , %s ,::1", elements[i]);
        refused(text, elements[i]);
    }
    refused(",", "");
    refused("10.0.0.0/8,", "");
    refused(",10.0.0.0/8", "");
    refused("10.0.0.0/8,,::1", "");
    refused("10.0.0.0/8, ,::1", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_empty_list_holds_nothing),
        cmocka_unit_test(test_every_prefix_length),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_families_are_apart),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_host_bits),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
