/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf -- a queue of bytes in blocks borrowed from a pool; an empty one owns nothing.
 *
 *      head                                    tail
 *     +----------------+   +----------------+   +----------------+
 *     |····<bytes>     | → |     <bytes>    | → |<bytes>·········| → NULL
 *     +----------------+   +----------------+   +----------------+
 *          ^ begin                                      ^ end
 *
 * Thread:    a pool and its buffers belong to one worker.
 * Lifetime:  the pool outlives its buffers.
 * Memory:    the pool keeps at most its ceiling of free blocks, and none while no buffer holds any;
 *            the rest goes back to the allocator.
 */
#ifndef CULVERT_BASE_BUF_H
#define CULVERT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    BUF_BLOCK = 16384, /* bytes in a block: one TLS record (see stream_tls.c, which relies on it) */
};

struct buf_block;

struct buf_pool {
    struct buf_block *free_list;
    unsigned n_free;
    unsigned ceiling;  /* of free blocks kept */
    size_t n_borrowed; /* blocks in use, for the figures */
    size_t n_bytes;    /* that wait in them */
};

struct buf {
    struct buf_block *head;
    struct buf_block *tail;
    size_t len; /* bytes in it */
};

void buf_pool_init(struct buf_pool *pool, unsigned ceiling);
void buf_pool_deinit(struct buf_pool *pool);

static inline size_t
buf_len(const struct buf *buf)
{
    return buf->len;
}

/* Copies len bytes to the end. Returns 0, or -1 without memory, with nothing taken. */
int buf_append(struct buf *buf, struct buf_pool *pool, const void *data, size_t len)
    __attribute__((warn_unused_result));

/* The first bytes, as up to max pieces. Returns how many pieces. */
int buf_peek(const struct buf *buf, struct iovec *pieces, int max);

/* Drops len bytes (at most buf_len()) from the beginning. */
void buf_consume(struct buf *buf, struct buf_pool *pool, size_t len);

/* Drops all. */
void buf_clear(struct buf *buf, struct buf_pool *pool);

#endif
