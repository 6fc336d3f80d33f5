/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * networks -- a list of networks: "10.0.0.0/8, 192.168.1.1, fd00::/8, unix".
 *
 * An address without a prefix length is that one address; `unix` stands for all peers on unix
 * sockets. Networks of IPv4 hold IPv4-mapped IPv6 addresses too (::ffff:10.0.0.1 is 10.0.0.1, and
 * may be written so); networks of IPv6, even ::/0, never hold IPv4.
 *
 * Thread:    any; a list does not change.
 * Ownership: networks_free() what networks_parse() returned.
 */
#ifndef CULVERT_GUARD_NETWORKS_H
#define CULVERT_GUARD_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct networks;

struct networks_error {
    const char *at; /* the element at fault, in the text; empty if no memory was left */
    size_t len;
    const char *why; /* static */
};

/*
 * An empty text is a list that holds nothing. Refused: empty elements, other forms of addresses
 * than four decimal numbers or IPv6 without scope, prefix lengths out of range or with leading
 * zeros, bits set behind the prefix (10.0.0.1/8: somebody meant something else). Returns NULL with
 * *error set.
 */
struct networks *networks_parse(const char *text, struct networks_error *error)
    __attribute__((warn_unused_result));

void networks_free(struct networks *networks);

/* address is as long as its family says. Other families than AF_INET, AF_INET6 and AF_UNIX: false.
 * NULL networks hold nothing. */
bool networks_contain(const struct networks *networks, const struct sockaddr *address);

#endif
