/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/addr.h"

static void
expect_ip(const char *host, uint16_t port, const char *text)
{
    struct addr addr;
    char out[ADDR_TEXT];

    assert_int_equal(addr_from_ip(&addr, host, port), 0);
    addr_text(&addr, out);
    assert_string_equal(out, text);
}

static void
test_ip(void **state)
{
    (void)state;
    expect_ip("192.0.2.1", 80, "192.0.2.1:80");
    expect_ip("255.255.255.255", 65535, "255.255.255.255:65535");
    expect_ip("0.0.0.0", 0, "0.0.0.0:0");
    expect_ip("2001:db8::1", 80, "[2001:db8::1]:80");
    expect_ip("2001:DB8:0:0:0:0:0:1", 8443, "[2001:db8::1]:8443");
    expect_ip("::", 1, "[::]:1");
    expect_ip("::ffff:192.0.2.1", 80, "192.0.2.1:80");
    expect_ip("fe80::1%1", 22, "[fe80::1%lo]:22");
    expect_ip("fe80::1%lo", 22, "[fe80::1%lo]:22");
    expect_ip("fe80::1%4000000000", 22, "[fe80::1%4000000000]:22");
    expect_ip("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295", 65535,
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void
test_not_ip(void **state)
{
    static const char *const hosts[] = {
        "",           "localhost",   "127.1",
        "0x7f000001", "2130706433",  "1.2.3.4.5",
        "256.0.0.1",  "1.2.3.4 ",    " 1.2.3.4",
        "[::1]",      "::1::",       "12345::",
        "fe80::1%",   "fe80::1%no0", "fe80::1%0",
        "fe80::1%1x", "fe80::1%-1",  "1.2.3.4%1",
        "1.2.3.4:80", "::1%1%1",     "fe80::1%99999999999999999999999999"};
    char long_host[300];
    struct addr addr;

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        if (addr_from_ip(&addr, hosts[i], 80) == 0)
            fail_msg("%s passed", hosts[i]);
    }
    memset(long_host, ':', sizeof long_host - 1);
    long_host[sizeof long_host - 1] = '\0';
    assert_int_equal(addr_from_ip(&addr, long_host, 80), -1);
}

static void
test_ip_fields(void **state)
{
    struct addr addr;
    const struct sockaddr_in *in = (const struct sockaddr_in *)&addr.storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr.storage;

    (void)state;
    assert_int_equal(addr_from_ip(&addr, "127.0.0.1", 0x1234), 0);
    assert_int_equal(addr.len, sizeof *in);
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(in->sin_port, htons(0x1234));
    assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(addr_from_ip(&addr, "fe80::1%lo", 0x1234), 0);
    assert_int_equal(addr.len, sizeof *in6);
    assert_int_equal(in6->sin6_family, AF_INET6);
    assert_int_equal(in6->sin6_port, htons(0x1234));
    assert_int_equal(in6->sin6_scope_id, if_nametoindex("lo"));
}

static void
test_path(void **state)
{
    char path[128];
    char expected[ADDR_TEXT];
    char out[ADDR_TEXT];
    struct addr addr;

    (void)state;
    assert_int_equal(addr_from_path(&addr, "/run/x.sock"), 0);
    addr_text(&addr, out);
    assert_string_equal(out, "unix:/run/x.sock");
    assert_int_equal(addr_from_path(&addr, ""), -1);
    memset(path, 'p', sizeof path);
    path[107] = '\0';
    assert_int_equal(addr_from_path(&addr, path), 0);
    addr_text(&addr, out);
    strcpy(stpcpy(expected, "unix:"), path);
    assert_string_equal(out, expected);
    path[107] = 'p';
    path[108] = '\0';
    assert_int_equal(addr_from_path(&addr, path), -1);
}

/* As the kernel gives them: nameless, abstract, and a path that fills its room without a NUL. */
static void
test_unix_of_kernel(void **state)
{
    struct addr addr = {.len = sizeof(sa_family_t)};
    struct sockaddr_un *un = (struct sockaddr_un *)&addr.storage;
    char out[ADDR_TEXT];

    (void)state;
    un->sun_family = AF_UNIX;
    addr_text(&addr, out);
    assert_string_equal(out, "unix:");
    memcpy(un->sun_path, "\0name\0x", 7);
    addr.len = (socklen_t)(sizeof(sa_family_t) + 7);
    addr_text(&addr, out);
    assert_string_equal(out, "unix:@name@x");
    memset(un->sun_path, 'q', sizeof addr.storage - sizeof(sa_family_t));
    addr.len = sizeof *un;
    addr_text(&addr, out);
    assert_int_equal(strlen(out), 5 + sizeof un->sun_path);
    addr.len = sizeof addr.storage;
    addr_text(&addr, out);
    assert_int_equal(strlen(out), 5 + sizeof un->sun_path);
    addr.len = 0;
    addr_text(&addr, out);
    assert_string_equal(out, "unknown");
}

/* What addr_from_ip() makes, a socket takes, and gives back the same. */
static void
test_bind(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct addr addr, own = {.len = sizeof own.storage};
        char out[ADDR_TEXT];
        int fd;

        assert_int_equal(addr_from_ip(&addr, hosts[i], 0), 0);
        fd = socket(addr.storage.ss_family, SOCK_STREAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&addr.storage, addr.len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&own.storage, &own.len), 0);
        assert_int_equal(own.len, addr.len);
        addr_text(&own, out);
        assert_non_null(strstr(out, hosts[i]));
        close(fd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip),        cmocka_unit_test(test_not_ip),
        cmocka_unit_test(test_ip_fields), cmocka_unit_test(test_path),
        cmocka_unit_test(test_bind),      cmocka_unit_test(test_unix_of_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
