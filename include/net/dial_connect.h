/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dial_connect -- the connection of one non-blocking socket, for dial.c. A connection that turns out to
 * be its own peer counts as refused.
 *
 * Thread:    any; no state.
 * Errors:    an errno, 0 when connected, EINPROGRESS while it is open how it ends.
 */
#ifndef CULVERT_NET_DIAL_CONNECT_H
#define CULVERT_NET_DIAL_CONNECT_H

struct addr;

/*
 * connect(), and again if that has only begun: a target on this machine has answered by then, so that
 * the loop need not be asked to tell, which costs more than the second call.
 */
int dial_connect(int fd, const struct addr *addr);

/* For a socket that the loop has told of; EINPROGRESS if it was woken for nothing. */
int dial_connect_outcome(int fd);

#endif
