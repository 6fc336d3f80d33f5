/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of a stream that reads, and the TLS handshake, after which it may. */
#include <assert.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "net/stream_state.h"
#include "net/stream_tls.h"

static ssize_t
plain_read(struct stream *stream, void *data, size_t len, int flags)
{
    ssize_t n = recv(stream->io.fd, data, len, flags);

    if (n > 0)
        return n;
    if (n == 0)
        return stream->reset ? STREAM_BROKEN : STREAM_END;
    if (errno == EAGAIN || errno == EINTR)
        return STREAM_AGAIN;
    stream_remember_why(stream, errno);
    return STREAM_BROKEN;
}

static ssize_t
tls_read(struct stream *stream, void *data, size_t len)
{
    enum stream_want want;
    ssize_t n = stream_tls_read(stream->ssl, data, len, &want);

    stream->read_want = (uint8_t)want;
    if (n == STREAM_BROKEN)
        stream_remember_why(stream, 0);
    return n;
}

ssize_t
stream_read(struct stream *stream, void *data, size_t len)
{
    ssize_t n;

    assert(len > 0);
    if (stream->read_over)
        return STREAM_AGAIN;
    n = stream->ssl != NULL ? tls_read(stream, data, len) : plain_read(stream, data, len, 0);
    if (n == STREAM_END || n == STREAM_BROKEN) {
        stream->read_over = true;
        if (n == STREAM_BROKEN && !stream->write_over)
            stream_sending_broke(stream, 0);
    }
    if (n <= 0)
        stream_watch(stream);
    return n;
}

ssize_t
stream_peek(struct stream *stream, void *data, size_t len)
{
    assert(stream->ssl == NULL && len > 0);
    return plain_read(stream, data, len, MSG_PEEK);
}

void
stream_want_read(struct stream *stream, bool on)
{
    if (stream->want_read == on)
        return;
    stream->want_read = on;
    stream_watch(stream);
    if (on)
        stream_wake_for_decrypted(stream);
}

bool
stream_read_over(const struct stream *stream)
{
    return stream->read_over;
}

int
stream_handshake(struct stream *stream)
{
    enum stream_want want;
    int result;

    if (stream->ssl == NULL)
        return 1;
    result = stream_tls_handshake(stream->ssl, &want);
    stream->read_want = (uint8_t)want;
    if (result == 1) {
        stream->read_want = STREAM_WANT_NOTHING;
    } else if (result == STREAM_BROKEN) {
        stream_remember_why(stream, 0);
        stream->read_over = true;
        stream_sending_broke(stream, 0);
    }
    stream_watch(stream);
    return result == 1 ? 1 : result == STREAM_AGAIN ? 0 : -1;
}

bool
stream_is_plain(const struct stream *stream)
{
    return stream->ssl == NULL;
}

bool
stream_is_established(const struct stream *stream)
{
    return stream->ssl == NULL || SSL_is_init_finished(stream->ssl);
}
