/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One malloc for each piece: a configuration is small and is read once, and a sanitizer sees each
 * overrun, which it would not within a larger slab. */
struct conf_pool_block {
    struct conf_pool_block *next;
    max_align_t data[];
};

void
conf_pool_init(struct conf_pool *pool)
{
    pool->blocks = NULL;
    pool->failed = false;
}

void
conf_pool_deinit(struct conf_pool *pool)
{
    while (pool->blocks != NULL) {
        struct conf_pool_block *block = pool->blocks;
        pool->blocks = block->next;
        free(block);
    }
}

void *
conf_pool_alloc(struct conf_pool *pool, size_t count, size_t size)
{
    struct conf_pool_block *block = NULL;

    if (size == 0 || count <= (SIZE_MAX - sizeof(*block)) / size)
        block = calloc(1, sizeof(*block) + count * size);
    if (block == NULL) {
        pool->failed = true;
        return NULL;
    }
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

char *
conf_pool_copy(struct conf_pool *pool, const char *text, size_t len)
{
    char *copy = conf_pool_alloc(pool, len + 1, 1);

    if (copy != NULL && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *
conf_pool_format(struct conf_pool *pool, const char *format, ...)
{
    va_list args;
    char *copy;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        pool->failed = true;
        return NULL;
    }
    copy = conf_pool_alloc(pool, (size_t)len + 1, 1);
    if (copy == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(copy, (size_t)len + 1, format, args);
    va_end(args);
    return copy;
}

bool
conf_pool_failed(const struct conf_pool *pool)
{
    return pool->failed;
}
