/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/echo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "event/loop.h"

enum {
    PIECE = BUF_BLOCK, /* bytes that are given back at once */
};

struct echo {
    struct endpoint endpoint;
    struct loop *loop;
    struct buf kept; /* what the client had no room for */
    struct loop_deferred free_later;
    bool finishing;
    bool over;
};

static struct echo *
from_endpoint(const struct endpoint *endpoint)
{
    return container_of((struct endpoint *)(uintptr_t)endpoint, struct echo, endpoint);
}

static void
free_echo(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct echo, free_later));
}

static void
release(struct echo *echo)
{
    echo->over = true;
    buf_clear(&echo->kept, loop_pool(echo->loop));
    loop_defer(echo->loop, &echo->free_later, free_echo);
}

static void
end(struct echo *echo, uint16_t code, const char *reason)
{
    struct endpoint *endpoint = &echo->endpoint;

    release(echo);
    endpoint->events->ended(endpoint, &(struct ending){ENDER_TARGET, code, reason});
    endpoint->events->gone(endpoint);
}

static void
op_send(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags)
{
    struct echo *echo = from_endpoint(endpoint);
    size_t room = buf_len(&echo->kept) > 0 ? 0 : endpoint->events->room(endpoint);
    size_t now = len < room ? len : room;

    (void)flags; /* a target's bytes have no type */
    /* Kept first: sending writes a header in front of the data, and may end us. */
    if (now < len && buf_append(&echo->kept, loop_pool(echo->loop), data + now, len - now) != 0) {
        end(echo, 1014, "out of memory");
        return;
    }
    if (now > 0)
        endpoint->events->deliver(endpoint, data, now, 0);
}

static size_t
op_pending(const struct endpoint *endpoint)
{
    return buf_len(&from_endpoint(endpoint)->kept);
}

/* Gives back what was kept, as far as there is room. Not by way of the scratch buffer: who makes room may
 * have its own bytes there. */
static void
op_resume(struct endpoint *endpoint)
{
    struct echo *echo = from_endpoint(endpoint);
    uint8_t bytes[ENDPOINT_HEADROOM + PIECE];
    uint8_t *data = bytes + ENDPOINT_HEADROOM;
    struct iovec piece;
    size_t room;

    while (!echo->over && buf_len(&echo->kept) > 0 &&
           (room = endpoint->events->room(endpoint)) > 0) {
        buf_peek(&echo->kept, &piece, 1);
        if (piece.iov_len < room)
            room = piece.iov_len;
        if (room > PIECE)
            room = PIECE;
        memcpy(data, piece.iov_base, room);
        buf_consume(&echo->kept, loop_pool(echo->loop), room);
        endpoint->events->deliver(endpoint, data, room, 0);
    }
    if (echo->over)
        return;
    endpoint->events->drained(endpoint);
    if (echo->finishing && !echo->over && buf_len(&echo->kept) == 0)
        end(echo, 1000, "");
}

static void
op_finish(struct endpoint *endpoint, const struct ending *ending)
{
    struct echo *echo = from_endpoint(endpoint);

    (void)ending;
    if (echo->finishing || echo->over)
        return;
    echo->finishing = true;
    op_resume(endpoint);
}

static void
op_close(struct endpoint *endpoint)
{
    struct echo *echo = from_endpoint(endpoint);

    if (!echo->over)
        release(echo);
}

static double
op_look(struct endpoint *endpoint)
{
    (void)endpoint;
    return 0; /* it never waits for anybody */
}

struct endpoint *
echo_open(struct loop *loop)
{
    static const struct endpoint_ops ops = {
        .send = op_send,
        .pending = op_pending,
        .resume = op_resume,
        .finish = op_finish,
        .close = op_close,
        .look = op_look,
    };
    struct echo *echo = calloc(1, sizeof *echo);

    if (echo == NULL) {
        log_error(loop_log(loop), "target", "out of memory");
        return NULL;
    }
    echo->endpoint.ops = &ops;
    echo->loop = loop;
    return &echo->endpoint;
}
