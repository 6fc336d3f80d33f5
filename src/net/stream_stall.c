/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that takes nothing: see stream.h. */
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "net/stream_state.h"

size_t
stream_unacknowledged(const struct stream *stream)
{
    int bytes = 0;

    if (ioctl(stream->io.fd, SIOCOUTQ, &bytes) != 0)
        bytes = 0; /* a socket without such a queue */
    return stream_waiting(stream) + (size_t)bytes;
}

double
stream_write_due(const struct stream *stream, double timeout)
{
    if (stream->stalled_since == 0)
        return 0;
    return stream->stalled_since + (stream->stalled_out == 0 ? timeout / 2 : timeout);
}

bool
stream_takes_nothing(struct stream *stream, double timeout)
{
    double due = stream_write_due(stream, timeout);
    size_t bytes;
    uint32_t out;

    if (due == 0 || loop_now(stream_loop(stream)) + 0.001 < due)
        return false;
    bytes = stream_unacknowledged(stream);
    out = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    if (stream->stalled_out == 0) {
        stream->stalled_out = out;
        return false;
    }
    if (out >= stream->stalled_out)
        return true;
    stream->stalled_since = loop_now(stream_loop(stream));
    stream->stalled_out = out;
    return false;
}

void
stream_set_user_timeout(struct stream *stream, double seconds)
{
    double milliseconds = seconds * 1000;
    unsigned value = milliseconds < INT_MAX ? (unsigned)milliseconds : INT_MAX;

    /* Fails on unix sockets, whose peer cannot vanish silently. */
    setsockopt(stream->io.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}
