/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener -- listening sockets, and one worker's accepting on them.
 *
 *      main: listen_socket ──→ one descriptor per worker (SO_REUSEPORT), or one for all (unix)
 *      worker: listener ──→ accepted(), at most LISTENER_BATCH a turn
 *
 * Thread:    sockets are opened and closed by main; a listener belongs to its loop's thread.
 * Ownership: a listener borrows its descriptor.
 * Errors:    without memory, or without descriptors of which the owner can give up none, accepting
 *            pauses for LISTENER_PAUSE seconds instead of spinning; one warning says so.
 */
#ifndef CULVERT_NET_LISTENER_H
#define CULVERT_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "net/addr.h"

struct conf_listen;
struct listener;
struct listener_owner;
struct log;
struct loop;

enum {
    LISTENER_BATCH = 64,
    LISTENER_BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
};

/* ---- main's side ---- */

struct listen_socket {
    int *fds; /* n_fds descriptors, worker i accepts on fds[i % n_fds] */
    unsigned n_fds;
    struct addr addr; /* with the port that the kernel chose */
    char *path;       /* of a unix socket that we opened, removed at the close; NULL otherwise */
    dev_t path_device;
    ino_t path_inode;
};

/*
 * Opens listen for n_workers workers, or takes it over from the service manager (net/inherited.h).
 * socket_mode is for unix sockets that we open; a socket file that nobody listens on any more is
 * replaced. Returns 0, or -1 with errno, logged unless log is NULL.
 */
int listen_socket_open(struct listen_socket *socket, const struct conf_listen *listen,
                       unsigned n_workers, mode_t socket_mode, struct log *log)
    __attribute__((warn_unused_result));
void listen_socket_close(struct listen_socket *socket);

/* ---- a worker's side ---- */

struct listener_owner {
    /* Asked before each accept: whether there is room for one more. If not, and none can be made,
     * connections wait in the kernel. */
    bool (*has_room)(struct listener_owner *owner);
    /* How many may be closed to make room. */
    size_t (*n_spare)(struct listener_owner *owner);
    /* Somebody waits, and there is no room, or the kernel had no descriptor left: looks at one of
     * them, and closes it if it can be spared. Returns false if there was none. */
    bool (*make_room)(struct listener_owner *owner);
    /* fd is the callee's: non-blocking, close-on-exec, TCP_NODELAY where it is TCP. */
    void (*accepted)(struct listener_owner *owner, int fd, const struct addr *peer);
};

/* Returns NULL without memory, logged. */
struct listener *listener_start(struct loop *loop, int fd, struct listener_owner *owner);

/* Accepts no more if a service manager passed the socket: who comes waits in its queue for the next
 * process. Returns whether that is so. listener_stop() is still to be called. */
bool listener_leave(struct listener *listener);

/* Accepts what is in the queue already, then has the kernel refuse new connections; those of a
 * socket that a service manager passed stay in the queue for who serves it next. listener_stop() is
 * still to be called. */
void listener_drain(struct listener *listener);

/* NULL is fine. */
void listener_stop(struct listener *listener);

#endif
