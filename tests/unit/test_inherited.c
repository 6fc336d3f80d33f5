/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets that a service manager passed: whose they are, which address is whose. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/inherited.h"

#define PATH "/tmp/culvert-test-inherited.%ld.sock"

/* What stood at the descriptors that the sockets are passed at. */
static int kept[2] = {-1, -1};
static char path[64];

static void
set_number(const char *name, long number)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", number);
    assert_int_equal(setenv(name, text, 1), 0);
}

/* Puts a socket at 3 + index, where it may stand already. */
static void
put(unsigned index, int fd)
{
    int place = INHERITED_FIRST + (int)index;

    assert_int_equal(dup2(fd, place), place);
    if (fd != place)
        close(fd);
}

/* Puts a listening socket there; returns its port. */
static uint16_t
pass(unsigned index, const struct addr *addr)
{
    struct addr bound = {.len = sizeof bound.storage};
    int fd = socket(addr->storage.ss_family, SOCK_STREAM, 0);
    struct sockaddr_in in;

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr->storage, addr->len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len), 0);
    put(index, fd);
    memcpy(&in, &bound.storage, sizeof in); /* the port of IPv6 stands at the same place */
    return ntohs(in.sin_port);
}

static uint16_t
pass_ip(unsigned index, const char *host)
{
    struct addr addr;

    assert_int_equal(addr_from_ip(&addr, host, 0), 0);
    return pass(index, &addr);
}

static int
setup(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        kept[i] = fcntl(INHERITED_FIRST + i, F_DUPFD, 20);
        close(INHERITED_FIRST + i);
    }
    snprintf(path, sizeof path, PATH, (long)getpid());
    set_number("LISTEN_PID", getpid());
    set_number("LISTEN_FDS", 2);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        close(INHERITED_FIRST + i);
        if (kept[i] >= 0) {
            dup2(kept[i], INHERITED_FIRST + i);
            close(kept[i]);
        }
    }
    path[0] = '/';
    unlink(path);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    return 0;
}

/* How many sockets were taken for it; they are closed again. */
static int
taken(const char *host, uint16_t port)
{
    char text[64];
    struct conf_listen listen = {.host = host != NULL ? strcpy(text, host) : NULL, .port = port};
    struct addr addr;
    int fds[4];
    int n = inherited_take(&listen, fds, 4, &addr);

    for (int i = 0; i < n; i++) {
        assert_true(inherited_is(fds[i]));
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
        close(fds[i]);
    }
    return n;
}

static void
test_the_address_decides(void **state)
{
    uint16_t port = pass_ip(0, "127.0.0.1");
    uint16_t six = pass_ip(1, "::1");

    (void)state;
    assert_int_equal(taken("127.0.0.1", port), 1);
    assert_int_equal(taken("127.0.0.1", port), 1); /* again, as after a reload */
    assert_int_equal(taken("::1", six), 1);
    assert_int_equal(taken("127.0.0.2", port), 0);
    assert_int_equal(taken("127.0.0.1", (uint16_t)(port + 1)), 0);
    assert_int_equal(taken("0.0.0.0", port), 0);
    assert_int_equal(taken(NULL, port), 0);
    assert_int_equal(taken("127.0.0.1", 0), 0);
}

static void
test_no_address_is_all_addresses(void **state)
{
    uint16_t all = pass_ip(0, "::");
    uint16_t four = pass_ip(1, "0.0.0.0");

    (void)state;
    assert_int_equal(taken(NULL, all), 1);
    assert_int_equal(taken("::", all), 1);
    assert_int_equal(taken("0.0.0.0", all), 0);
    assert_int_equal(taken(NULL, four), 1);
    assert_int_equal(taken("127.0.0.1", four), 0);
}

static void
test_a_unix_socket(void **state)
{
    struct conf_listen listen = {.path = path};
    struct addr addr;
    int fds[2];

    (void)state;
    assert_int_equal(addr_from_path(&addr, path), 0);
    pass(1, &addr);
    assert_int_equal(inherited_take(&listen, fds, 2, &addr), 1);
    close(fds[0]);
    path[0] = '.';
    assert_int_equal(inherited_take(&listen, fds, 2, &addr), 0);
}

static void
test_no_more_than_asked_for(void **state)
{
    char host[] = "127.0.0.1";
    struct conf_listen listen = {.host = host, .port = pass_ip(0, host)};
    struct addr addr;
    int fds[2];

    (void)state;
    dup2(INHERITED_FIRST, INHERITED_FIRST + 1);
    assert_int_equal(taken("127.0.0.1", listen.port), 2);
    assert_int_equal(inherited_take(&listen, fds, 1, &addr), 1);
    close(fds[0]);
}

static void
test_what_is_meant_for_another_process_is_not_taken(void **state)
{
    uint16_t port = pass_ip(0, "127.0.0.1");
    static const char *const bad[] = {"", " 1", "-1", "1x", "0x1", "99999999999999999999", "1025"};

    (void)state;
    set_number("LISTEN_PID", (long)getpid() + 1);
    assert_int_equal(taken("127.0.0.1", port), 0);
    assert_false(inherited_is(INHERITED_FIRST));
    unsetenv("LISTEN_PID");
    assert_int_equal(taken("127.0.0.1", port), 0);
    set_number("LISTEN_PID", getpid());
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("LISTEN_FDS", bad[i], 1);
        assert_int_equal(taken("127.0.0.1", port), 0);
    }
    unsetenv("LISTEN_FDS");
    assert_int_equal(taken("127.0.0.1", port), 0);
    set_number("LISTEN_FDS", 1);
    assert_int_equal(taken("127.0.0.1", port), 1);
}

static void
test_what_cannot_be_accepted_from_is_not_taken(void **state)
{
    struct addr addr = {.len = sizeof addr.storage};
    struct sockaddr_in in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(addr_from_ip(&addr, "127.0.0.1", 0), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr.storage, &addr.len), 0);
    memcpy(&in, &addr.storage, sizeof in);
    put(0, fd); /* bound, not listening; and nothing at all at the second place */
    assert_int_equal(taken("127.0.0.1", ntohs(in.sin_port)), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_address_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_address_is_all_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_unix_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_meant_for_another_process_is_not_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_accepted_from_is_not_taken, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
