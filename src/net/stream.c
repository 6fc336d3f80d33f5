/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "net/addr.h"
#include "net/stream_state.h"
#include "net/stream_tls.h"
#include "net/tls.h"

enum {
    FLUSH_PIECES = 16, /* blocks written at once: 256 KiB a turn bound what one stream takes */
};

/* ---- what to watch ---- */

static bool
something_to_send(const struct stream *stream)
{
    return !stream->write_over && (stream_waiting(stream) > 0 || stream->fin == FIN_WANTED);
}

void
stream_wake_for_decrypted(struct stream *stream)
{
    if (stream->ssl != NULL && stream->want_read && !stream->read_over &&
        stream->read_want == STREAM_WANT_NOTHING && SSL_has_pending(stream->ssl))
        ev_feed_event(loop_ev(stream_loop(stream)), &stream->io, EV_READ);
}

void
stream_watch(struct stream *stream)
{
    struct ev_loop *ev = loop_ev(stream_loop(stream));
    int events = 0;

    if (stream->want_read && !stream->read_over)
        events |= stream->read_want == STREAM_WANT_WRITE ? EV_WRITE : EV_READ;
    if (something_to_send(stream))
        events |= stream->write_want == STREAM_WANT_READ ? EV_READ : EV_WRITE;
    if (events == (ev_is_active(&stream->io) ? stream->io.events & (EV_READ | EV_WRITE) : 0))
        return;
    ev_io_stop(ev, &stream->io);
    if (events == 0)
        return;
    ev_io_modify(&stream->io, events);
    ev_io_start(ev, &stream->io);
    stream_wake_for_decrypted(stream); /* to stop it has taken back what was fed */
}

/* ---- failures ---- */

void
stream_remember_why(struct stream *stream, int error)
{
    char text[256];

    if (stream->why != NULL)
        return;
    if (stream->ssl != NULL && error == 0)
        tls_why(stream->ssl, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", strerror(error));
    stream->why = strdup(text);
}

const char *
stream_why(const struct stream *stream)
{
    return stream->why != NULL ? stream->why : "connection lost";
}

static void
drop_waiting(struct stream *stream)
{
    stream_drop_piped(stream);
    buf_clear(&stream->out, loop_pool(stream_loop(stream)));
}

void
stream_sending_broke(struct stream *stream, int error)
{
    stream_remember_why(stream, error);
    stream->write_over = true;
    stream->stalled_since = 0;
    drop_waiting(stream);
}

/* ---- writing ---- */

ssize_t
stream_sent(struct stream *stream, ssize_t n)
{
    if (n >= 0)
        return n;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    stream->reset = errno != EPIPE; /* that one comes after the peer's FIN, an end in order */
    stream_sending_broke(stream, errno);
    return -1;
}

/* Returns bytes taken, 0 if none now, -1 if sending is over. */
static ssize_t
send_some(struct stream *stream, const void *data, size_t len)
{
    enum stream_want want;
    ssize_t n;

    if (stream->ssl != NULL) {
        n = stream_tls_write(stream->ssl, data, len, &want);
        stream->write_want = (uint8_t)want;
        if (n > 0)
            return n;
        if (n == STREAM_AGAIN)
            return 0;
        stream_sending_broke(stream, 0);
        return -1;
    }
    return stream_sent(stream, send(stream->io.fd, data, len, MSG_NOSIGNAL));
}

/* The same from the queue, several blocks at once where the socket is plain. */
static ssize_t
send_queued(struct stream *stream)
{
    struct iovec pieces[FLUSH_PIECES];
    struct msghdr message = {.msg_iov = pieces};

    message.msg_iovlen = (size_t)buf_peek(&stream->out, pieces, FLUSH_PIECES);
    if (stream->ssl != NULL || message.msg_iovlen == 1)
        return send_some(stream, pieces[0].iov_base, pieces[0].iov_len);
    return stream_sent(stream, sendmsg(stream->io.fd, &message, MSG_NOSIGNAL));
}

static void
send_fin(struct stream *stream)
{
    enum stream_want want;

    if (stream->ssl != NULL) {
        int result = stream_tls_shutdown(stream->ssl, &want);

        stream->write_want = (uint8_t)want;
        if (result == STREAM_AGAIN)
            return;
        if (result == STREAM_BROKEN) {
            stream_sending_broke(stream, 0);
            return;
        }
    }
    stream->fin = FIN_SENT;
    shutdown(stream->io.fd, SHUT_WR); /* fails only if the peer has gone, which reading tells */
}

void
stream_note_progress(struct stream *stream)
{
    stream->stalled_since = stream_waiting(stream) > 0 ? loop_now(stream_loop(stream)) : 0;
    stream->stalled_out = 0;
}

/* Sends what waits, as much as one turn allows. Returns whether anything moved. */
static bool
flush(struct stream *stream)
{
    bool moved = stream->piped != NULL && stream_flush_piped(stream);
    unsigned rounds = stream->ssl != NULL ? FLUSH_PIECES : 1;

    if (stream->piped != NULL || stream->write_over)
        return moved;
    while (buf_len(&stream->out) > 0 && rounds-- > 0) {
        ssize_t n = send_queued(stream);

        if (n < 0)
            return true;
        if (n == 0)
            return moved;
        buf_consume(&stream->out, loop_pool(stream_loop(stream)), (size_t)n);
        moved = true;
        stream_note_progress(stream);
    }
    if (buf_len(&stream->out) == 0 && stream->fin == FIN_WANTED) {
        send_fin(stream);
        moved = true;
    }
    return moved;
}

int
stream_write(struct stream *stream, const void *data, size_t len)
{
    const uint8_t *at = data;
    bool was_empty;

    assert(stream->fin == FIN_NONE && !stream->closed);
    if (stream->write_over)
        return -1;
    while (len > 0 && stream_waiting(stream) == 0 && !stream->held) {
        ssize_t n = send_some(stream, at, len);

        if (n < 0)
            return -1;
        if (n == 0)
            break;
        at += n;
        len -= (size_t)n;
        if (stream->ssl == NULL && len > 0)
            break; /* a short send says that the socket is full */
    }
    if (len == 0)
        return 0;
    was_empty = stream_waiting(stream) == 0;
    if (buf_append(&stream->out, loop_pool(stream_loop(stream)), at, len) != 0) {
        stream_sending_broke(stream, ENOMEM);
        return -1;
    }
    if (was_empty)
        stream_note_progress(stream);
    if (!stream->held)
        stream_watch(stream);
    return 0;
}

ssize_t
stream_offer(struct stream *stream, struct iovec *pieces, unsigned n)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = n};

    assert(stream->ssl == NULL && stream_waiting(stream) == 0 && !stream->held);
    if (stream->write_over)
        return -1;
    if (n == 1)
        return stream_sent(stream,
                           send(stream->io.fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL));
    return stream_sent(stream, sendmsg(stream->io.fd, &message, MSG_NOSIGNAL));
}

void
stream_hold(struct stream *stream, bool on)
{
    if (stream->held == on)
        return;
    stream->held = on;
    if (on || stream_waiting(stream) == 0)
        return;
    (void)flush(stream);
    stream_watch(stream);
}

size_t
stream_pending(const struct stream *stream)
{
    return stream_waiting(stream);
}

void
stream_shutdown(struct stream *stream)
{
    if (stream->fin != FIN_NONE || stream->write_over)
        return;
    stream->fin = FIN_WANTED;
    if (stream_waiting(stream) == 0)
        send_fin(stream);
    stream_watch(stream);
}

bool
stream_is_broken(const struct stream *stream)
{
    return stream->write_over;
}

bool
stream_flushed(const struct stream *stream)
{
    return !something_to_send(stream);
}

void
stream_local_addr(const struct stream *stream, struct addr *addr)
{
    addr->len = sizeof addr->storage;
    if (getsockname(stream->io.fd, (struct sockaddr *)&addr->storage, &addr->len) != 0)
        addr->len = 0;
}

/* ---- events ---- */

static void
on_io(struct ev_loop *ev, ev_io *io, int revents)
{
    struct stream *stream = container_of(io, struct stream, io);
    int write_event = stream->write_want == STREAM_WANT_READ ? EV_READ : EV_WRITE;
    int read_event = stream->read_want == STREAM_WANT_WRITE ? EV_WRITE : EV_READ;

    (void)ev;
    if ((revents & write_event) != 0 && something_to_send(stream)) {
        bool moved = flush(stream);

        stream_watch(stream);
        if (moved)
            stream->owner->events->progress(stream->owner);
        if (stream->closed)
            return;
    }
    if ((revents & read_event) == 0 || !stream->want_read || stream->read_over)
        return;
    stream->owner->events->readable(stream->owner);
    if (!stream->closed)
        stream_wake_for_decrypted(stream);
}

/* ---- lifetime ---- */

struct stream *
stream_open(struct loop *loop, int fd, SSL *ssl, struct stream_owner *owner)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL || (ssl != NULL && SSL_set_fd(ssl, fd) != 1)) {
        log_error(loop_log(loop), "stream", "out of memory");
        free(stream);
        return NULL;
    }
    ev_io_init(&stream->io, on_io, fd, 0);
    stream->io.data = loop;
    stream->owner = owner;
    stream->ssl = ssl;
    loop_count_socket(loop, 1);
    return stream;
}

static void
free_stream(struct loop_deferred *deferred)
{
    struct stream *stream = container_of(deferred, struct stream, free_later);

    free(stream->why);
    free(stream);
}

/* All but the descriptor. */
static void
release(struct stream *stream)
{
    stream->closed = true;
    stream->want_read = false;
    ev_io_stop(loop_ev(stream_loop(stream)), &stream->io);
    drop_waiting(stream);
    tls_free(stream->ssl);
    stream->ssl = NULL;
    loop_count_socket(stream_loop(stream), -1);
    loop_defer(stream_loop(stream), &stream->free_later, free_stream);
}

void
stream_close(struct stream *stream)
{
    if (stream == NULL || stream->closed)
        return;
    release(stream);
    close(stream->io.fd);
}

int
stream_detach(struct stream *stream)
{
    assert(stream->ssl == NULL && stream_waiting(stream) == 0 && !stream->closed);
    release(stream);
    return stream->io.fd;
}

int
stream_give(struct stream *stream, SSL **ssl)
{
    assert(stream_waiting(stream) == 0 && !stream->closed);
    *ssl = stream->ssl;
    stream->ssl = NULL;
    release(stream);
    return stream->io.fd;
}

struct loop *
stream_loop(const struct stream *stream)
{
    return stream->io.data;
}

void
stream_set_owner(struct stream *stream, struct stream_owner *owner)
{
    stream->owner = owner;
}
