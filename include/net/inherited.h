/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inherited -- listening sockets that a service manager opened and passed on, as sd_listen_fds(3)
 * has it: LISTEN_PID is this process, and LISTEN_FDS sockets stand at the descriptors from 3 on.
 *
 *      ListenStream=127.0.0.1:8080  ──→  descriptor 3  ──→  listen = 127.0.0.1:8080
 *
 * An address of the configuration whose socket was passed is not opened but taken over, so that one
 * file serves with and without a socket unit, and clients that come while culvert is restarted wait
 * in the socket's queue.
 *
 * Thread:    any. There is no state but the environment, which nobody changes, and the passed
 *            descriptors, which stay open as long as the process: what is taken is a duplicate. So
 *            an address that a reload removes can come back, and a descriptor never stands for
 *            another file.
 * Ownership: what inherited_take() returns is the caller's.
 */
#ifndef CULVERT_NET_INHERITED_H
#define CULVERT_NET_INHERITED_H

#include <stdbool.h>

struct addr;
struct conf;
struct conf_listen;
struct log;

enum {
    INHERITED_FIRST = 3,
    INHERITED_MAX = 1024, /* LISTEN_FDS above it is taken for a mistake, and nothing for passed */
};

/*
 * Duplicates the passed sockets that listen on that address, at most max. :PORT is :: or 0.0.0.0.
 * Returns how many, with their address in addr; or -1 with errno, none taken.
 */
int inherited_take(const struct conf_listen *listen, int *fds, unsigned max, struct addr *addr)
    __attribute__((warn_unused_result));

/* Whether fd is a duplicate of a passed socket: nobody may shut that down, the service manager's
 * listens on. */
bool inherited_is(int fd);

/* Warns of passed sockets whose clients would wait for ever: those that no address of the
 * configuration stands for, and more for one address than there are workers. Call once, at the
 * start. */
void inherited_warn(const struct conf *conf, struct log *log);

#endif
