/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

/* Byte i of the endless sequence that the tests push through. */
static uint8_t
expected(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static void
append(struct buf *buf, struct buf_pool *pool, size_t *pushed, size_t len)
{
    uint8_t *data = malloc(len + 1);
    size_t i;

    assert_non_null(data);
    for (i = 0; i < len; i++)
        data[i] = expected(*pushed + i);
    assert_int_equal(buf_append(buf, pool, data, len), 0);
    *pushed += len;
    free(data);
}

/* Checks and drops the first len bytes. */
static void
take(struct buf *buf, struct buf_pool *pool, size_t *popped, size_t len)
{
    struct iovec pieces[64];
    size_t left = len;
    int n = buf_peek(buf, pieces, 64);
    int i;

    for (i = 0; i < n && left > 0; i++) {
        const uint8_t *at = pieces[i].iov_base;
        size_t k;

        assert_true(pieces[i].iov_len > 0);
        for (k = 0; k < pieces[i].iov_len && left > 0; k++, left--)
            assert_int_equal(at[k], expected((*popped)++));
    }
    assert_int_equal(left, 0);
    buf_consume(buf, pool, len);
}

static void
test_bytes_come_out_as_they_went_in(void **state)
{
    static const size_t sizes[] = {1, 2, BUF_BLOCK - 1, BUF_BLOCK, BUF_BLOCK + 1, 3 * BUF_BLOCK, 7};
    struct buf_pool pool;
    struct buf buf = {0};
    size_t pushed = 0;
    size_t popped = 0;
    unsigned round;

    (void)state;
    buf_pool_init(&pool, 4);
    srand(1);
    for (round = 0; round < 2000; round++) {
        append(&buf, &pool, &pushed, sizes[(size_t)rand() % (sizeof sizes / sizeof *sizes)]);
        while (buf_len(&buf) > 4 * BUF_BLOCK)
            take(&buf, &pool, &popped, 1 + (size_t)rand() % (2 * BUF_BLOCK));
        assert_int_equal(buf_len(&buf), pushed - popped);
    }
    take(&buf, &pool, &popped, buf_len(&buf));
    assert_int_equal(pushed, popped);
    buf_pool_deinit(&pool);
}

static void
test_an_empty_buffer_owns_nothing(void **state)
{
    struct buf_pool pool;
    struct buf one = {0};
    struct buf two = {0};
    size_t pushed = 0;
    size_t popped = 0;

    (void)state;
    buf_pool_init(&pool, 4);
    append(&one, &pool, &pushed, 10 * BUF_BLOCK);
    assert_int_equal(pool.n_borrowed, 10);
    append(&two, &pool, &pushed, 1);
    assert_int_equal(pool.n_borrowed, 11);
    take(&one, &pool, &popped, 10 * BUF_BLOCK);
    assert_null(one.head);
    assert_null(one.tail);
    assert_int_equal(pool.n_borrowed, 1);
    assert_int_equal(pool.n_free, 4); /* its ceiling */
    buf_clear(&two, &pool);
    assert_int_equal(pool.n_borrowed, 0);
    assert_int_equal(pool.n_free, 0); /* an idle pool gives all back */
    buf_pool_deinit(&pool);
}

static void
test_appending_nothing_borrows_nothing(void **state)
{
    struct buf_pool pool;
    struct buf buf = {0};

    (void)state;
    buf_pool_init(&pool, 4);
    assert_int_equal(buf_append(&buf, &pool, "", 0), 0);
    assert_int_equal(pool.n_borrowed, 0);
    buf_pool_deinit(&pool);
}

/* TLS offers the same record again after a block: its bytes must lie together. */
static void
test_a_block_of_bytes_in_an_empty_buffer_is_one_piece(void **state)
{
    struct buf_pool pool;
    struct buf buf = {0};
    struct iovec piece;
    size_t pushed = 0;

    (void)state;
    buf_pool_init(&pool, 4);
    append(&buf, &pool, &pushed, 5 * BUF_BLOCK);
    assert_int_equal(buf_peek(&buf, &piece, 1), 1);
    assert_int_equal(piece.iov_len, BUF_BLOCK);
    buf_clear(&buf, &pool);
    buf_pool_deinit(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_as_they_went_in),
        cmocka_unit_test(test_an_empty_buffer_owns_nothing),
        cmocka_unit_test(test_appending_nothing_borrows_nothing),
        cmocka_unit_test(test_a_block_of_bytes_in_an_empty_buffer_is_one_piece),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
