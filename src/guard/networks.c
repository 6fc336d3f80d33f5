/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/span.h"

enum {
    IP6_BITS = 128,
    MAPPED_BITS = 96, /* of the prefix of IPv4-mapped addresses */
};

/* An IPv4 network is that of the mapped addresses. */
struct network {
    uint8_t ip[16];
    uint8_t bits;
};

struct networks {
    size_t n;
    bool unix_peers;
    struct network list[];
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool
is_mapped(const uint8_t ip[16])
{
    return memcmp(ip, mapped, sizeof mapped) == 0;
}

static void
map(uint8_t ip[16], const void *ip4)
{
    memcpy(ip, mapped, sizeof mapped);
    memcpy(ip + sizeof mapped, ip4, 4);
}

/* ---- parsing ---- */

/* Sets *width to the bits of the family that the address is written in. */
static bool
read_ip(struct span text, uint8_t ip[16], unsigned *width)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip4[4];

    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, ip4) == 1) {
        map(ip, ip4);
        *width = 32;
        return true;
    }
    *width = IP6_BITS;
    return inet_pton(AF_INET6, copy, ip) == 1;
}

static bool
read_bits(struct span text, unsigned width, unsigned *bits)
{
    *bits = 0;
    if (text.len == 0 || text.len > 3 || (text.len > 1 && text.at[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(text.at[i] - '0');
    }
    return *bits <= width;
}

static bool
bit(const uint8_t ip[16], unsigned i)
{
    return ip[i / 8] >> (7 - i % 8) & 1;
}

/* Returns NULL, or why not. */
static const char *
read_network(struct span text, struct network *network)
{
    const char *slash = memchr(text.at, '/', text.len);
    struct span ip = text;
    unsigned width, bits;

    if (slash)
        ip.len = (size_t)(slash - text.at);
    if (!read_ip(ip, network->ip, &width))
        return "not an IP address";
    bits = width;
    if (slash && !read_bits((struct span){slash + 1, text.len - ip.len - 1}, width, &bits))
        return "not a prefix length";
    network->bits = (uint8_t)(IP6_BITS - width + bits);
    for (unsigned i = network->bits; i < IP6_BITS; i++)
        if (bit(network->ip, i))
            return "bits set behind the prefix";
    return NULL;
}

static const char *
add(struct networks *networks, struct span element)
{
    const char *why;

    if (element.len == 0)
        return "empty element";
    if (span_is(element, "unix")) {
        networks->unix_peers = true;
        return NULL;
    }
    why = read_network(element, &networks->list[networks->n]);
    if (!why)
        networks->n++;
    return why;
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct span
trimmed(struct span s)
{
    for (; s.len > 0 && is_space(s.at[0]); s.len--)
        s.at++;
    while (s.len > 0 && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

static size_t
count_elements(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ',';
    return n;
}

struct networks *
networks_parse(const char *text, struct networks_error *error)
{
    size_t n = count_elements(text);
    struct networks *networks = calloc(1, sizeof *networks + n * sizeof networks->list[0]);
    struct span rest = {text, strlen(text)};

    *error = (struct networks_error){.at = text, .why = "out of memory"};
    if (!networks || trimmed(rest).len == 0)
        return networks;
    for (; n > 0; n--) {
        size_t len = strcspn(rest.at, ",");
        struct span element = trimmed((struct span){rest.at, len});

        error->at = element.at;
        error->len = element.len;
        error->why = add(networks, element);
        if (error->why)
            goto fail;
        rest.at += len + 1;
    }
    return networks;

fail:
    free(networks);
    return NULL;
}

void
networks_free(struct networks *networks)
{
    free(networks);
}

/* ---- asking ---- */

static bool
holds(const struct network *network, const uint8_t ip[16], bool ip4)
{
    size_t bytes = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (ip4 && network->bits < MAPPED_BITS)
        return false;
    if (memcmp(network->ip, ip, bytes) != 0)
        return false;
    return rest == 0 || (network->ip[bytes] ^ ip[bytes]) >> (8 - rest) == 0;
}

bool
networks_contain(const struct networks *networks, const struct sockaddr *address)
{
    const void *raw = address;
    struct sockaddr_in6 in6;
    struct sockaddr_in in;
    uint8_t ip[16];
    bool ip4;

    if (!networks)
        return false;
    if (address->sa_family == AF_UNIX)
        return networks->unix_peers;
    if (address->sa_family == AF_INET) {
        memcpy(&in, raw, sizeof in);
        map(ip, &in.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, raw, sizeof in6);
        memcpy(ip, &in6.sin6_addr, sizeof ip);
    } else {
        return false;
    }
    ip4 = is_mapped(ip);
    for (size_t i = 0; i < networks->n; i++)
        if (holds(&networks->list[i], ip, ip4))
            return true;
    return false;
}
