/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forwarded -- what proxies in front of us say about a request: X-Forwarded-For, Forwarded (RFC
 * 7239), X-Forwarded-Host, X-Forwarded-Proto.
 *
 *     X-Forwarded-For: forged, client, outer      peer: inner
 *                              ^ ← trusted ← trusted ← the connection
 *
 * Each proxy adds the address that it was connected from on the right. So the walk begins with the
 * peer and goes left as long as the address reached is a trusted one; the first that is not is the
 * client. What stands further left anybody may have written.
 *
 * Thread:    any; no state.
 * Ownership: spans point into the request's head.
 */
#ifndef CULVERT_PROTO_FORWARDED_H
#define CULVERT_PROTO_FORWARDED_H

#include <stdbool.h>
#include <sys/socket.h>

#include "proto/http1.h"

struct networks;

/* Whether an address is one of those that are trusted: networks_contain(). */
typedef bool forwarded_trust_cb(const struct networks *trusted, const struct sockaddr *address);

enum forwarded_result {
    FORWARDED_PEER,    /* *client is the peer: it is not trusted, or has said nothing */
    FORWARDED_FOUND,   /* *client is what trusted proxies have said */
    FORWARDED_STOPPED, /* the walk came to something that is not to be believed: *client is the last
                          address before it, that of a trusted proxy */
};

/*
 * Finds the client's address. All trusted: the leftmost. The walk stops at a malformed element, at
 * "unknown" and at obfuscated names. If a request has both headers, one of them may be the client's
 * own, passed on by a proxy that only knows the other: the walk goes no further than both agree.
 * IPv4-mapped addresses come out as IPv4; the port is 0 if none was told. Linear in the lines'
 * length. peer and client may be the same.
 */
enum forwarded_result forwarded_client(const struct http1_request *request,
                                       const struct sockaddr_storage *peer,
                                       const struct networks *trusted, forwarded_trust_cb *trusts,
                                       struct sockaddr_storage *client);

/* The rest is to be asked for only if the peer is trusted. */

/* The first value of X-Forwarded-Host. Returns 1 if found, 0 if there is none, -1 if it is not what
 * http1_is_host() takes. */
int forwarded_host(const struct http1_request *request, struct span *host);

enum forwarded_proto {
    FORWARDED_PROTO_NONE,
    FORWARDED_PROTO_HTTP,  /* or ws */
    FORWARDED_PROTO_HTTPS, /* or wss */
    FORWARDED_PROTO_MALFORMED,
};

/* The first value of X-Forwarded-Proto. */
enum forwarded_proto forwarded_proto(const struct http1_request *request);

#endif
