/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/inherited.h"
#include "net/listener.h"
#include "net/tcp_options.h"

/* Binds and listens. Returns the descriptor, or -1 with errno. */
static int
open_bound(const struct addr *addr, bool share, bool dual_stack)
{
    int on = 1;
    int off = 0;
    int error;
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (addr->storage.ss_family != AF_UNIX) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        tcp_options_set(fd);
    }
    if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        goto fail;
    if (addr->storage.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? &off : &on, sizeof on) != 0)
        goto fail;
    if (bind(fd, (const struct sockaddr *)&addr->storage, addr->len) != 0 ||
        listen(fd, LISTENER_BACKLOG) != 0)
        goto fail;
    return fd;

fail:
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A socket file that refuses connections was left by a process that has ended. */
static bool
is_stale(const struct addr *addr)
{
    struct stat status;
    bool stale = false;
    int fd;

    if (stat(((const struct sockaddr_un *)(const void *)&addr->storage)->sun_path, &status) != 0 ||
        !S_ISSOCK(status.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    stale = connect(fd, (const struct sockaddr *)&addr->storage, addr->len) != 0 &&
            errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int
open_unix(struct listen_socket *sock, const char *path, mode_t mode)
{
    struct stat status;
    mode_t old;
    int fd;

    if (addr_from_path(&sock->addr, path) != 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    /* bind() makes the file; no moment may pass in which others could connect. */
    old = umask(~mode & 0777);
    fd = open_bound(&sock->addr, false, false);
    if (fd < 0 && errno == EADDRINUSE && is_stale(&sock->addr)) {
        unlink(path);
        fd = open_bound(&sock->addr, false, false);
    }
    umask(old);
    if (fd < 0)
        return -1;
    sock->fds[sock->n_fds++] = fd;
    sock->path = strdup(path);
    if (stat(path, &status) == 0) {
        sock->path_device = status.st_dev;
        sock->path_inode = status.st_ino;
    }
    return 0;
}

static int
open_inet(struct listen_socket *sock, const struct addr *addr, unsigned n, bool dual_stack)
{
    int fd;

    sock->addr = *addr;
    while (sock->n_fds < n) {
        fd = open_bound(&sock->addr, n > 1, dual_stack);
        if (fd < 0)
            return -1;
        sock->fds[sock->n_fds++] = fd;
        /* Port 0: the others share the port that the first was given. */
        sock->addr.len = sizeof sock->addr.storage;
        getsockname(fd, (struct sockaddr *)&sock->addr.storage, &sock->addr.len);
    }
    return 0;
}

static int
open_configured(struct listen_socket *sock, const struct conf_listen *listen, unsigned n,
                mode_t mode)
{
    struct addr addr;

    if (listen->path != NULL)
        return open_unix(sock, listen->path, mode);
    if (listen->host != NULL) {
        if (addr_from_ip(&addr, listen->host, listen->port) != 0) {
            errno = EINVAL;
            return -1;
        }
        return open_inet(sock, &addr, n, false);
    }
    if (addr_from_ip(&addr, "::", listen->port) == 0 && open_inet(sock, &addr, n, true) == 0)
        return 0;
    if (sock->n_fds > 0 || errno != EAFNOSUPPORT)
        return -1;
    return addr_from_ip(&addr, "0.0.0.0", listen->port) != 0 ? -1
                                                             : open_inet(sock, &addr, n, false);
}

/* Returns whether the service manager has opened it for us. A socket file is then not ours to
 * remove. */
static bool
take_over(struct listen_socket *sock, const struct conf_listen *listen, unsigned n, struct log *log)
{
    int taken = inherited_take(listen, sock->fds, n, &sock->addr);

    if (taken <= 0)
        return false;
    sock->n_fds = (unsigned)taken;
    log_info(log, "listener", "%s was opened by the service manager", listen->text);
    return true;
}

int
listen_socket_open(struct listen_socket *sock, const struct conf_listen *listen, unsigned n_workers,
                   mode_t socket_mode, struct log *log)
{
    int error;

    memset(sock, 0, sizeof *sock);
    sock->fds = calloc(n_workers, sizeof *sock->fds);
    errno = ENOMEM;
    if (sock->fds != NULL && (take_over(sock, listen, n_workers, log) ||
                              open_configured(sock, listen, n_workers, socket_mode) == 0))
        return 0;
    error = errno;
    if (log != NULL)
        log_error(log, "listener", "cannot listen on %s: %s", listen->text, strerror(error));
    listen_socket_close(sock);
    errno = error;
    return -1;
}

/* Another process may have put its own socket there in the meantime. */
static void
remove_path(const struct listen_socket *sock)
{
    struct stat status;

    if (stat(sock->path, &status) == 0 && status.st_dev == sock->path_device &&
        status.st_ino == sock->path_inode)
        unlink(sock->path);
}

void
listen_socket_close(struct listen_socket *sock)
{
    unsigned i;

    if (sock->path != NULL)
        remove_path(sock);
    for (i = 0; i < sock->n_fds; i++)
        close(sock->fds[i]);
    free(sock->fds);
    free(sock->path);
    memset(sock, 0, sizeof *sock);
}
