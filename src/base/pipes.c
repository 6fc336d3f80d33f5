/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pipes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pipe *
make(struct pipe_pool *pool)
{
    struct pipe *pipe = calloc(1, sizeof *pipe);
    int fds[2];

    if (pipe == NULL)
        return NULL;
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    pipe->pool = pool;
    pipe->out = fds[0];
    pipe->in = fds[1];
    fcntl(pipe->in, F_SETPIPE_SZ, PIPES_SIZE); /* what it holds otherwise will do, too */
    return pipe;
}

static void
destroy(struct pipe *pipe)
{
    close(pipe->in);
    close(pipe->out);
    free(pipe);
}

void
pipe_pool_open(struct pipe_pool *pool)
{
    pool->first = make(pool);
}

static void
drop_free(struct pipe_pool *pool)
{
    struct pipe *pipe;

    while ((pipe = pool->free_list) != NULL) {
        pool->free_list = pipe->next;
        pool->n_more--;
        destroy(pipe);
    }
}

void
pipe_pool_close(struct pipe_pool *pool)
{
    assert(!pool->first_is_out && pool->n_borrowed == 0);
    if (pool->first != NULL)
        destroy(pool->first);
    pool->first = NULL;
    drop_free(pool);
}

unsigned
pipe_pool_borrowed(const struct pipe_pool *pool)
{
    return pool->n_borrowed + pool->first_is_out;
}

size_t
pipe_pool_descriptors(const struct pipe_pool *pool)
{
    return (size_t)PIPES_DESCRIPTORS * pool->n_more;
}

struct pipe *
pipe_get(struct pipe_pool *pool)
{
    struct pipe *pipe;

    if (pool->first == NULL)
        return NULL;
    if (!pool->first_is_out) {
        pool->first_is_out = true;
        return pool->first;
    }
    pipe = pool->free_list;
    if (pipe != NULL) {
        pool->free_list = pipe->next;
    } else {
        pipe = pool->n_more < PIPES_MORE_MAX ? make(pool) : NULL;
        if (pipe == NULL)
            return NULL;
        pool->n_more++;
    }
    pool->n_borrowed++;
    return pipe;
}

void
pipe_put(struct pipe_pool *pool, struct pipe *pipe)
{
    char dropped[4096];

    if (pipe == NULL)
        return;
    while (pipe_read(pipe, dropped, sizeof dropped) > 0)
        ;
    if (pipe == pool->first) {
        pool->first_is_out = false;
    } else {
        pipe->next = pool->free_list;
        pool->free_list = pipe;
        pool->n_borrowed--;
    }
    if (!pool->first_is_out && pool->n_borrowed == 0)
        drop_free(pool);
}

static void
note_len(struct pipe *pipe, ssize_t change)
{
    pipe->len += (size_t)change;
    pipe->pool->n_bytes += (size_t)change;
}

ssize_t
pipe_fill(struct pipe *pipe, int fd, size_t max)
{
    ssize_t n = splice(fd, NULL, pipe->in, NULL, max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n > 0)
        note_len(pipe, n);
    return n;
}

ssize_t
pipe_drain(struct pipe *pipe, int fd)
{
    ssize_t n = splice(pipe->out, NULL, fd, NULL, pipe->len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n > 0)
        note_len(pipe, -n);
    return n;
}

size_t
pipe_read(struct pipe *pipe, void *out, size_t size)
{
    ssize_t n;

    if (pipe->len == 0)
        return 0;
    do
        n = read(pipe->out, out, size < pipe->len ? size : pipe->len);
    while (n < 0 && errno == EINTR);
    assert(n > 0); /* it was counted in */
    note_len(pipe, -n);
    return (size_t)n;
}
