/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/dial_connect.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "net/addr.h"

static bool
same_addr(const struct addr *a, const struct addr *b)
{
    return a->len == b->len && memcmp(&a->storage, &b->storage, a->len) == 0;
}

/*
 * A connection to a port of this host that nobody listens on may be given that very port as its
 * own, and then TCP's simultaneous open makes it its own peer (RFC 9293 section 3.5): an echo where
 * a refusal is due.
 */
static bool
is_self_connected(int fd, const struct addr *peer)
{
    struct addr own = {.len = sizeof own.storage};

    if (peer->storage.ss_family == AF_UNIX)
        return false;
    if (getsockname(fd, (struct sockaddr *)&own.storage, &own.len) != 0)
        return false;
    return same_addr(&own, peer);
}

int
dial_connect(int fd, const struct addr *addr)
{
    const struct sockaddr *to = (const struct sockaddr *)&addr->storage;
    int error = connect(fd, to, addr->len) == 0 ? 0 : errno;

    if (error == EINPROGRESS)
        error = connect(fd, to, addr->len) == 0 ? 0 : errno;
    if (error == EALREADY || error == EINTR)
        return EINPROGRESS;
    if (error != 0)
        return error;
    return is_self_connected(fd, addr) ? ECONNREFUSED : 0;
}

int
dial_connect_outcome(int fd)
{
    struct addr peer = {.len = sizeof peer.storage};
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return errno;
    if (error != 0)
        return error;
    if (getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len) != 0)
        return errno == ENOTCONN ? EINPROGRESS : errno;
    return is_self_connected(fd, &peer) ? ECONNREFUSED : 0;
}
