/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct buf_block {
    struct buf_block *next;
    uint32_t begin; /* of the bytes in data */
    uint32_t end;
    uint8_t data[BUF_BLOCK];
};

void
buf_pool_init(struct buf_pool *pool, unsigned ceiling)
{
    memset(pool, 0, sizeof *pool);
    pool->ceiling = ceiling;
}

static void
drop_free_blocks(struct buf_pool *pool)
{
    struct buf_block *block;

    while ((block = pool->free_list) != NULL) {
        pool->free_list = block->next;
        free(block);
    }
    pool->n_free = 0;
}

void
buf_pool_deinit(struct buf_pool *pool)
{
    assert(pool->n_borrowed == 0);
    drop_free_blocks(pool);
}

static struct buf_block *
block_get(struct buf_pool *pool)
{
    struct buf_block *block = pool->free_list;

    if (block != NULL) {
        pool->free_list = block->next;
        pool->n_free--;
    } else {
        block = malloc(sizeof *block);
        if (block == NULL)
            return NULL;
    }
    block->next = NULL;
    block->begin = block->end = 0;
    pool->n_borrowed++;
    return block;
}

static void
block_put(struct buf_pool *pool, struct buf_block *block)
{
    pool->n_borrowed--;
    if (pool->n_free >= pool->ceiling || pool->n_borrowed == 0) {
        free(block);
        if (pool->n_borrowed == 0)
            drop_free_blocks(pool);
        return;
    }
    block->next = pool->free_list;
    pool->free_list = block;
    pool->n_free++;
}

static void
put_chain(struct buf_pool *pool, struct buf_block *chain)
{
    struct buf_block *next;

    for (; chain != NULL; chain = next) {
        next = chain->next;
        block_put(pool, chain);
    }
}

/* A chain of n empty blocks, or NULL with nothing borrowed. */
static struct buf_block *
get_chain(struct buf_pool *pool, size_t n)
{
    struct buf_block *chain = NULL;
    struct buf_block *block;

    while (n-- > 0) {
        block = block_get(pool);
        if (block == NULL) {
            put_chain(pool, chain);
            return NULL;
        }
        block->next = chain;
        chain = block;
    }
    return chain;
}

/* Fills block's free end; returns how many bytes went there. */
static size_t
fill(struct buf_block *block, const uint8_t *data, size_t len)
{
    size_t room = BUF_BLOCK - block->end;

    if (len > room)
        len = room;
    memcpy(block->data + block->end, data, len);
    block->end += (uint32_t)len;
    return len;
}

int
buf_append(struct buf *buf, struct buf_pool *pool, const void *data, size_t len)
{
    size_t room = buf->tail != NULL ? BUF_BLOCK - buf->tail->end : 0;
    struct buf_block *chain = NULL;
    const uint8_t *at = data;

    if (len > room) {
        chain = get_chain(pool, (len - room + BUF_BLOCK - 1) / BUF_BLOCK);
        if (chain == NULL)
            return -1;
    }
    buf->len += len;
    pool->n_bytes += len;
    if (room > 0) {
        size_t n = fill(buf->tail, at, len);

        at += n;
        len -= n;
    }
    for (; chain != NULL; chain = chain->next) {
        size_t n = fill(chain, at, len);

        at += n;
        len -= n;
        if (buf->tail != NULL)
            buf->tail->next = chain;
        else
            buf->head = chain;
        buf->tail = chain;
    }
    return 0;
}

int
buf_peek(const struct buf *buf, struct iovec *pieces, int max)
{
    struct buf_block *block;
    int n = 0;

    for (block = buf->head; block != NULL && n < max; block = block->next, n++) {
        pieces[n].iov_base = block->data + block->begin;
        pieces[n].iov_len = block->end - block->begin;
    }
    return n;
}

void
buf_consume(struct buf *buf, struct buf_pool *pool, size_t len)
{
    assert(len <= buf->len);
    buf->len -= len;
    pool->n_bytes -= len;
    while (len > 0) {
        struct buf_block *block = buf->head;
        size_t n = block->end - block->begin;

        if (n > len) {
            block->begin += (uint32_t)len;
            return;
        }
        len -= n;
        buf->head = block->next;
        block_put(pool, block);
    }
    if (buf->head == NULL)
        buf->tail = NULL;
}

void
buf_clear(struct buf *buf, struct buf_pool *pool)
{
    put_chain(pool, buf->head);
    pool->n_bytes -= buf->len;
    memset(buf, 0, sizeof *buf);
}
