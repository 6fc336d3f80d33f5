/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr -- socket addresses, to and from text. Numeric only: names are the resolver's.
 */
#ifndef CULVERT_NET_ADDR_H
#define CULVERT_NET_ADDR_H

#include <stdint.h>
#include <sys/socket.h>

enum {
    ADDR_TEXT = 128, /* bytes that hold any address as text, NUL included */
};

struct addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* host is an IPv4 or IPv6 address without brackets, perhaps with a scope. Returns 0 or -1. */
int addr_from_ip(struct addr *addr, const char *host, uint16_t port);

/* Returns 0, or -1 if the path is too long for a socket (107 bytes). */
int addr_from_path(struct addr *addr, const char *path);

/* "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:" for a nameless one. An IPv4-mapped
 * address is shown as IPv4. */
void addr_text(const struct addr *addr, char *out);

#endif
