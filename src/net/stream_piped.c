/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that stay in the kernel: see stream.h. What a socket would not take stays in its pipe. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "net/stream_state.h"

enum {
    COPIED_AT_ONCE = 16384,
};

size_t
stream_read_piped(struct stream *stream, struct pipe *pipe, size_t max)
{
    ssize_t n;

    assert(stream->ssl == NULL && pipe->len == 0);
    if (stream->read_over)
        return 0;
    n = pipe_fill(pipe, stream->io.fd, max);
    /* The socket's error is told once, and recv() would take it for an end in order. What splice() finds
     * wrong by itself leaves the socket as it is. */
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EINVAL && errno != ENOMEM) {
        stream->reset = true;
        stream_sending_broke(stream, errno);
    }
    return n > 0 ? (size_t)n : 0;
}

void
stream_drop_piped(struct stream *stream)
{
    if (stream->piped == NULL)
        return;
    loop_pipe_put(stream_loop(stream), stream->piped);
    stream->piped = NULL;
}

bool
stream_flush_piped(struct stream *stream)
{
    size_t before = stream->piped->len;
    ssize_t n;

    do {
        n = stream_sent(stream, pipe_drain(stream->piped, stream->io.fd));
        if (n < 0)
            return true;
    } while (n > 0 && stream->piped->len > 0);
    if (stream->piped->len == before)
        return false;
    if (stream->piped->len == 0)
        stream_drop_piped(stream);
    stream_note_progress(stream);
    return true;
}

/* The socket would not take all of the header: what is left of it has to wait in front of the pipe's
 * bytes, and all of them in memory. */
static int
copy_all(struct stream *stream, const uint8_t *header, size_t len, struct pipe *pipe)
{
    struct buf_pool *pool = loop_pool(stream_loop(stream));
    uint8_t bytes[COPIED_AT_ONCE];
    int failed = buf_append(&stream->out, pool, header, len);

    while (failed == 0 && (len = pipe_read(pipe, bytes, sizeof bytes)) > 0)
        failed = buf_append(&stream->out, pool, bytes, len);
    loop_pipe_put(stream_loop(stream), pipe);
    if (failed != 0) {
        stream_sending_broke(stream, ENOMEM);
        return -1;
    }
    stream_note_progress(stream);
    stream_watch(stream);
    return 0;
}

int
stream_write_piped(struct stream *stream, const void *header, size_t header_len, struct pipe *pipe)
{
    ssize_t n;

    assert(stream->ssl == NULL && stream->fin == FIN_NONE && !stream->closed);
    assert(stream_waiting(stream) == 0);
    n = stream->write_over
            ? -1
            : stream_sent(stream, send(stream->io.fd, header, header_len, MSG_NOSIGNAL | MSG_MORE));
    if (n < 0) {
        loop_pipe_put(stream_loop(stream), pipe);
        return -1;
    }
    if ((size_t)n < header_len)
        return copy_all(stream, (const uint8_t *)header + n, header_len - (size_t)n, pipe);
    stream->piped = pipe;
    if (!stream_flush_piped(stream))
        stream_note_progress(stream); /* it began to wait */
    if (stream->write_over)
        return -1;
    stream_watch(stream);
    return 0;
}
