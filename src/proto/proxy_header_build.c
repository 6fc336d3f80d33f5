/* SPDX-License-Identifier: BSD-2-Clause */
/* The header for a target; the parser is in proxy_header.c. */
#include "proto/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum {
    PATH_LEN = 108,
    VERSION_LOCAL = 0x20,
    VERSION_PROXY = 0x21,
    FAMILY_NONE = 0x0,
    FAMILY_IP4 = 0x1,
    FAMILY_IP6 = 0x2,
    FAMILY_UNIX = 0x3,
    STREAM = 0x1,
};

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                      '\n', 'Q',  'U',  'I',  'T',  '\n'};

struct endpoint {
    uint8_t ip[16]; /* an IPv4 address mapped */
    unsigned port;
};

/* Returns false if it is no IP address. */
static bool
read_endpoint(const struct sockaddr_storage *from, struct endpoint *to)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    memset(to, 0, sizeof *to);
    if (from->ss_family == AF_INET) {
        memcpy(&in, from, sizeof in);
        to->ip[10] = to->ip[11] = 0xff;
        memcpy(to->ip + 12, &in.sin_addr, 4);
        to->port = ntohs(in.sin_port);
        return true;
    }
    if (from->ss_family != AF_INET6)
        return false;
    memcpy(&in6, from, sizeof in6);
    memcpy(to->ip, &in6.sin6_addr, sizeof to->ip);
    to->port = ntohs(in6.sin6_port);
    return true;
}

static bool
is_mapped(const struct endpoint *endpoint)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(endpoint->ip, prefix, sizeof prefix) == 0;
}

/* FAMILY_IP4 if both can be told so, FAMILY_IP6 if both are IP addresses, else FAMILY_NONE. */
static unsigned
read_both(const struct proxy_header *header, struct endpoint *source, struct endpoint *destination)
{
    if (header->local || !read_endpoint(&header->source, source) ||
        !read_endpoint(&header->destination, destination))
        return FAMILY_NONE;
    return is_mapped(source) && is_mapped(destination) ? FAMILY_IP4 : FAMILY_IP6;
}

/* The grammar has no dotted form inside IPv6 addresses, which inet_ntop() writes for some. */
static void
write_ip(const struct endpoint *endpoint, unsigned family, char out[INET6_ADDRSTRLEN])
{
    const uint8_t *ip = endpoint->ip;

    if (family == FAMILY_IP4) {
        inet_ntop(AF_INET, ip + 12, out, INET6_ADDRSTRLEN);
        return;
    }
    inet_ntop(AF_INET6, ip, out, INET6_ADDRSTRLEN);
    if (!strchr(out, '.'))
        return;
    for (size_t i = 0; i < 16; i += 2)
        out += sprintf(out, i > 0 ? ":%x" : "%x", (unsigned)ip[i] << 8 | ip[i + 1]);
}

size_t
proxy_header_build_v1(const struct proxy_header *header, char out[PROXY_HEADER_V1_MAX])
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], line[PROXY_HEADER_V1_MAX + 1];
    struct endpoint from, to;
    unsigned family = read_both(header, &from, &to);
    int len;

    if (family == FAMILY_NONE) {
        len = snprintf(line, sizeof line, "PROXY UNKNOWN\r\n");
    } else {
        write_ip(&from, family, source);
        write_ip(&to, family, destination);
        len = snprintf(line, sizeof line, "PROXY TCP%c %s %s %u %u\r\n",
                       family == FAMILY_IP4 ? '4' : '6', source, destination, from.port, to.port);
    }
    memcpy(out, line, (size_t)len);
    return (size_t)len;
}

static uint8_t *
put(uint8_t *out, const void *data, size_t len)
{
    memcpy(out, data, len);
    return out + len;
}

static uint8_t *
put_16(uint8_t *out, unsigned number)
{
    *out++ = (uint8_t)(number >> 8);
    *out++ = (uint8_t)number;
    return out;
}

/* A path, filled up with zeros. */
static uint8_t *
put_path(uint8_t *out, const struct sockaddr_storage *address, socklen_t address_len)
{
    size_t begin = offsetof(struct sockaddr_un, sun_path);
    size_t len = address_len > begin ? address_len - begin : 0;
    struct sockaddr_un un;

    memcpy(&un, address, sizeof un);
    memset(out, 0, PATH_LEN);
    memcpy(out, un.sun_path, len < PATH_LEN ? len : PATH_LEN);
    return out + PATH_LEN;
}

size_t
proxy_header_build_v2(const struct proxy_header *header, uint8_t out[PROXY_HEADER_V2_MAX])
{
    struct endpoint from, to;
    unsigned family = read_both(header, &from, &to);
    uint8_t *at = put(out, signature, sizeof signature);
    size_t ip_len = family == FAMILY_IP4 ? 4 : 16;

    if (!header->local && header->source.ss_family == AF_UNIX &&
        header->destination.ss_family == AF_UNIX)
        family = FAMILY_UNIX;
    *at++ = family == FAMILY_NONE ? VERSION_LOCAL : VERSION_PROXY;
    *at++ = (uint8_t)(family == FAMILY_NONE ? 0 : family << 4 | STREAM);
    if (family == FAMILY_NONE) {
        at = put_16(at, 0);
    } else if (family == FAMILY_UNIX) {
        at = put_16(at, 2 * PATH_LEN);
        at = put_path(at, &header->source, header->source_len);
        at = put_path(at, &header->destination, header->destination_len);
    } else {
        at = put_16(at, (unsigned)(2 * ip_len + 2 * 2));
        at = put(at, from.ip + 16 - ip_len, ip_len);
        at = put(at, to.ip + 16 - ip_len, ip_len);
        at = put_16(at, from.port);
        at = put_16(at, to.port);
    }
    return (size_t)(at - out);
}
