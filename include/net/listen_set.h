/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen_set -- the listening sockets of one configuration.
 *
 * On a reload a second set is opened beside the first: addresses that both configurations name share
 * their sockets, so that no connection in a queue is lost. Closing a set closes the sockets that are
 * in no other.
 *
 * Thread:    main's.
 * Ownership: a set holds a reference to its configuration; descriptors are lent to the workers.
 */
#ifndef CULVERT_NET_LISTEN_SET_H
#define CULVERT_NET_LISTEN_SET_H

#include <stdbool.h>
#include <stddef.h>

struct addr;
struct conf;
struct conf_listen;
struct listen_set;
struct log;

/*
 * Opens conf's addresses for n_workers workers; previous may be NULL. An address with port 0 is the
 * same as one that is written the same. Returns NULL, logged, with nothing opened.
 */
struct listen_set *listen_set_open(struct conf *conf, unsigned n_workers,
                                   const struct listen_set *previous, struct log *log)
    __attribute__((warn_unused_result));

/* Unix sockets that are in no other set are removed from the file system. NULL is fine. */
void listen_set_close(struct listen_set *set);

/* As many, and in the same order, as the configuration has. */
size_t listen_set_count(const struct listen_set *set);
const struct conf_listen *listen_set_conf(const struct listen_set *set, size_t index);
const struct addr *listen_set_addr(const struct listen_set *set, size_t index);
int listen_set_fd(const struct listen_set *set, size_t index, unsigned worker);

/* Whether other (NULL: no) has the socket too. */
bool listen_set_shares(const struct listen_set *set, size_t index, const struct listen_set *other);

#endif
