/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_header -- what a proxy says before the first byte of a connection: whose it is (HAProxy's
 * proxy-protocol specification), version 1, a line, or version 2, binary.
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r \n
 *
 * To be read only where the configuration says that there is one, from peers that are trusted.
 *
 * Thread:    any; no state outside the structs.
 * Errors:    PROXY_HEADER_ERROR with a sentence (static text): close the connection.
 */
#ifndef CULVERT_PROTO_PROXY_HEADER_H
#define CULVERT_PROTO_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    PROXY_HEADER_V1_MAX = 107,    /* a line, CRLF included */
    PROXY_HEADER_V2_MAX = 232,    /* one of version 2 without further fields: two unix paths */
    PROXY_HEADER_READ_MAX = 4096, /* one of version 2 that is taken, its further fields included */
};

struct proxy_header {
    /* The addresses of the connection itself are the right ones, those below are empty: LOCAL (the
     * proxy's own connection, a health check), UNKNOWN, and what is no stream over a family that
     * is known. */
    bool local;
    socklen_t source_len, destination_len;
    struct sockaddr_storage source;      /* the client */
    struct sockaddr_storage destination; /* where it connected to */
};

/* ---- from a proxy ---- */

enum proxy_header_result {
    PROXY_HEADER_MORE,
    PROXY_HEADER_DONE,  /* .header; what follows is the connection's own */
    PROXY_HEADER_ERROR, /* .why */
};

struct proxy_header_parser {
    struct proxy_header header;
    const char *why;
    uint16_t len;  /* bytes of the current piece so far */
    uint16_t want; /* and when it is complete */
    uint16_t left; /* version 2: what the header still has, behind the current piece */
    uint8_t state;
    uint8_t piece[PROXY_HEADER_V2_MAX];
};

void proxy_header_init(struct proxy_header_parser *parser);

/*
 * Takes the next bytes; *used is how many of them belong to the header (len at PROXY_HEADER_MORE).
 * The result does not depend on how the header is cut. Not to be called again after
 * PROXY_HEADER_DONE or PROXY_HEADER_ERROR.
 *
 * Version 1: exactly the specification's grammar. IPv4 in four decimal numbers and ports without
 * leading zeros, single spaces, CRLF within 107 bytes; whatever follows UNKNOWN is ignored.
 * Version 2: further fields (TLVs) are skipped, but must fill the header exactly; their checksum is
 * not looked at. A longer header than PROXY_HEADER_READ_MAX is an error.
 */
enum proxy_header_result proxy_header_parse(struct proxy_header_parser *parser, const void *data,
                                            size_t len, size_t *used)
    __attribute__((warn_unused_result));

/* ---- to a target ---- */

/*
 * Write a header to out (PROXY_HEADER_V1_MAX or PROXY_HEADER_V2_MAX bytes). Return its length.
 * IPv4-mapped addresses are written as IPv4 if both are; if only one is IPv4, both are written as
 * IPv6. What a version cannot express (unix paths in version 1, one unix path with an IP address)
 * is written as UNKNOWN, or as LOCAL, which every receiver must take.
 */
size_t proxy_header_build_v1(const struct proxy_header *header, char out[PROXY_HEADER_V1_MAX]);
size_t proxy_header_build_v2(const struct proxy_header *header, uint8_t out[PROXY_HEADER_V2_MAX]);

#endif
