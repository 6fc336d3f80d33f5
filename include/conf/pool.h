/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_pool -- memory that is freed all at once: a snapshot's, and a document's while it is read.
 *
 * Thread:    one at a time.
 * Ownership: everything that it hands out lives until conf_pool_deinit().
 * Errors:    NULL without memory; conf_pool_failed() remembers it, so that a loader may ask once at
 *            its end.
 */
#ifndef CULVERT_CONF_POOL_H
#define CULVERT_CONF_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct conf_pool_block;

struct conf_pool {
    struct conf_pool_block *blocks;
    bool failed;
};

void conf_pool_init(struct conf_pool *pool);
void conf_pool_deinit(struct conf_pool *pool);

/* Zeroed, aligned for anything. count * size is checked. */
void *conf_pool_alloc(struct conf_pool *pool, size_t count, size_t size);

/* A copy with a NUL behind it. */
char *conf_pool_copy(struct conf_pool *pool, const char *text, size_t len);
char *conf_pool_format(struct conf_pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool conf_pool_failed(const struct conf_pool *pool);

#endif
