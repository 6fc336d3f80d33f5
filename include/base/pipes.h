/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipes -- bytes on their way from one socket to another that never leave the kernel: splice(2).
 *
 *      socket ──fill──→ [ pipe ] ──drain──→ socket
 *
 * A pool has one pipe from its beginning to its end, which is enough while sockets take what they are
 * given; more are made for those that do not, up to a ceiling, and are closed when none is borrowed. So
 * an idle worker has the descriptors that it had at its beginning.
 *
 * Thread:    a pool belongs to one worker.
 * Lifetime:  the pool outlives its pipes.
 */
#ifndef CULVERT_BASE_PIPES_H
#define CULVERT_BASE_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    PIPES_MORE_MAX = 32,   /* pipes beside the first */
    PIPES_SIZE = 262144,   /* bytes that a pipe is asked to hold; the system may grant less */
    PIPES_DESCRIPTORS = 2, /* of each */
};

struct pipe {
    struct pipe_pool *pool;
    struct pipe *next;
    size_t len; /* bytes in it */
    int in;
    int out;
};

struct pipe_pool {
    struct pipe *first; /* NULL: the pool was not opened, or the system grants none */
    struct pipe *free_list;
    unsigned n_more;     /* beside the first */
    unsigned n_borrowed; /* of those */
    bool first_is_out;   /* borrowed */
    size_t n_bytes;      /* in all of them */
};

/* Without descriptors or memory the pool lends nothing. All zero is a pool that was not opened. */
void pipe_pool_open(struct pipe_pool *pool);
void pipe_pool_close(struct pipe_pool *pool);

/* Pipes that are lent now. */
unsigned pipe_pool_borrowed(const struct pipe_pool *pool);

/* Descriptors of the pipes beside the first. */
size_t pipe_pool_descriptors(const struct pipe_pool *pool);

/* An empty pipe, or NULL: then bytes have to be copied. */
struct pipe *pipe_get(struct pipe_pool *pool);

/* What is still in it is dropped. NULL is fine. */
void pipe_put(struct pipe_pool *pool, struct pipe *pipe);

/* At most max bytes of what a socket has received. Returns as read(2); EAGAIN also if the pipe is
 * full. */
ssize_t pipe_fill(struct pipe *pipe, int fd, size_t max);

/* As much as a socket takes. Returns as write(2). SIGPIPE is the caller's care. */
ssize_t pipe_drain(struct pipe *pipe, int fd);

/* Into memory, at most size bytes. Returns how many; 0 only if it is empty. */
size_t pipe_read(struct pipe *pipe, void *out, size_t size);

#endif
