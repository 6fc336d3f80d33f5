/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net_help -- for tests with real sockets, on 127.0.0.0/8 and ::1 alone: a loop that runs until
 * something holds, listening sockets, and a count of descriptors.
 */
#ifndef CULVERT_TESTS_NET_HELP_H
#define CULVERT_TESTS_NET_HELP_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/addr.h"

static inline double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the loop ---- */

struct test_loop {
    struct log *log;
    struct loop *loop;
    struct timer tick;
    const unsigned *count; /* run_until(): stop when it has come to target */
    unsigned target;
    double end;
};

static inline void
test_loop_tick(struct timer *timer)
{
    struct test_loop *test = container_of(timer, struct test_loop, tick);

    if ((test->count != NULL && *test->count >= test->target) || loop_now(test->loop) >= test->end)
        loop_stop(test->loop);
    else
        timer_set(timer, loop_now(test->loop) + 0.001);
}

static inline void
test_loop_init(struct test_loop *test)
{
    test->log = log_open(&(struct log_options){.fd = STDERR_FILENO, .level = LOG_LEVEL_ERROR});
    test->loop = loop_new(test->log, 1);
    assert_non_null(test->loop);
    timer_init(&test->tick, test->loop, test_loop_tick);
}

static inline void
test_loop_deinit(struct test_loop *test)
{
    timer_deinit(&test->tick);
    loop_free(test->loop);
    log_close(test->log);
}

static inline void
run_for(struct test_loop *test, double length)
{
    test->count = NULL;
    test->end = seconds() + length;
    timer_set(&test->tick, loop_now(test->loop));
    loop_run(test->loop);
}

/* Runs until *count >= target; fails if that takes more than 10 s. */
static inline void
run_until(struct test_loop *test, const unsigned *count, unsigned target)
{
    test->count = count;
    test->target = target;
    test->end = seconds() + 10;
    timer_set(&test->tick, loop_now(test->loop));
    loop_run(test->loop);
    if (*count < target)
        fail_msg("%u of %u came in 10 s", *count, target);
}

/* ---- descriptors and sockets ---- */

static inline unsigned
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* A socket bound to ip; *port is taken, or chosen and told if 0. */
static inline int
bound_socket(const char *ip, int type, uint16_t *port)
{
    struct addr addr;
    struct sockaddr_in6 own; /* the port is where it is in sockaddr_in */
    socklen_t len = sizeof own;
    const int on = 1;
    int fd;

    assert_int_equal(addr_from_ip(&addr, ip, *port), 0);
    fd = socket(addr.storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    *port = ntohs(own.sin6_port);
    return fd;
}

static inline int
listening(const char *ip, uint16_t *port, int backlog)
{
    int fd = bound_socket(ip, SOCK_STREAM, port);

    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

#endif
