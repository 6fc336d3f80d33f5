/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/pipes.h"

static unsigned
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void
test_bytes_go_through(void **state)
{
    struct pipe_pool pool = {0};
    struct pipe *pipe;
    char got[16];
    int from[2], to[2];

    (void)state;
    pipe_pool_open(&pool);
    pipe = pipe_get(&pool);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, from), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to), 0);
    assert_int_equal(pipe_fill(pipe, from[1], 100), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(from[0], "0123456789", 10), 10);
    assert_int_equal(pipe_fill(pipe, from[1], 8), 8);
    assert_int_equal(pipe->len, 8);
    assert_int_equal(pool.n_bytes, 8);
    assert_int_equal(pipe_read(pipe, got, 3), 3);
    assert_memory_equal(got, "012", 3);
    assert_int_equal(pipe_drain(pipe, to[0]), 5);
    assert_int_equal(read(to[1], got, sizeof got), 5);
    assert_memory_equal(got, "34567", 5);
    assert_int_equal(pipe_read(pipe, got, sizeof got), 0);
    close(from[0]);
    assert_int_equal(pipe_fill(pipe, from[1], 100), 2);
    assert_int_equal(pipe_fill(pipe, from[1], 100), 0); /* the end */
    pipe_put(&pool, pipe);                              /* the two bytes are dropped */
    assert_int_equal(pool.n_bytes, 0);
    assert_int_equal(pipe_get(&pool)->len, 0);
    pipe_put(&pool, pipe);
    pipe_pool_close(&pool);
    close(from[1]);
    close(to[0]);
    close(to[1]);
}

/* Beside the first one they exist while they are borrowed. */
static void
test_more_come_and_go(void **state)
{
    struct pipe *borrowed[1 + PIPES_MORE_MAX];
    struct pipe_pool pool = {0};
    unsigned before = count_fds(), i;

    (void)state;
    pipe_pool_open(&pool);
    assert_int_equal(count_fds(), before + PIPES_DESCRIPTORS);
    assert_int_equal(pipe_pool_descriptors(&pool), 0);
    for (i = 0; i <= PIPES_MORE_MAX; i++) {
        borrowed[i] = pipe_get(&pool);
        assert_non_null(borrowed[i]);
        assert_int_equal(pipe_pool_borrowed(&pool), i + 1);
        assert_int_equal(pipe_pool_descriptors(&pool), i * PIPES_DESCRIPTORS);
    }
    assert_null(pipe_get(&pool));
    pipe_put(&pool, borrowed[5]);
    assert_ptr_equal(pipe_get(&pool), borrowed[5]);
    for (i = 0; i <= PIPES_MORE_MAX; i++)
        pipe_put(&pool, borrowed[i]);
    assert_int_equal(pipe_pool_borrowed(&pool), 0);
    assert_int_equal(count_fds(), before + PIPES_DESCRIPTORS);
    pipe_pool_close(&pool);
    assert_int_equal(count_fds(), before);
}

static void
test_without_descriptors_nothing_is_lent(void **state)
{
    struct pipe_pool pool = {0};
    struct rlimit old, none;
    struct pipe *first;

    (void)state;
    assert_null(pipe_get(&pool)); /* not opened */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pipe_pool_open(&pool);
    assert_null(pipe_get(&pool));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    pipe_pool_open(&pool);
    first = pipe_get(&pool);
    assert_non_null(first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_null(pipe_get(&pool));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    pipe_put(&pool, first);
    pipe_put(&pool, NULL);
    pipe_pool_close(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_go_through),
        cmocka_unit_test(test_more_come_and_go),
        cmocka_unit_test(test_without_descriptors_nothing_is_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
