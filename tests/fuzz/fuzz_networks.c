/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of networks: a list is its elements, and an element is what a comparison bit by bit says.
 * Input: an address, the text.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fuzz.h"
#include "guard/networks.h"

static bool
contain_ip6(const struct networks *networks, const uint8_t ip[16])
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in6 *copy;
    bool yes;

    memcpy(&in6.sin6_addr, ip, 16);
    copy = fuzz_copy(&in6, sizeof in6);
    yes = networks_contain(networks, (const struct sockaddr *)copy);
    free(copy);
    return yes;
}

static bool
contain_ip4(const struct networks *networks, const uint8_t ip[4])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in *copy;
    bool yes;

    memcpy(&in.sin_addr, ip, 4);
    copy = fuzz_copy(&in, sizeof in);
    yes = networks_contain(networks, (const struct sockaddr *)copy);
    free(copy);
    return yes;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8)
            return false;
    return true;
}

/* An element that was taken and is not `unix`, against the address in both families. */
static void
check_element(const char *text, const struct networks *networks, const uint8_t ip[16])
{
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff}, base[16];
    char *copy = fuzz_copy(text, strlen(text) + 1), *slash = strchr(copy, '/');
    unsigned bits = slash ? (unsigned)atoi(slash + 1) : 128;
    bool is_mapped, holds;

    if (slash)
        *slash = '\0';
    memcpy(mapped + 12, ip, 4);
    if (inet_pton(AF_INET, copy, base) == 1) {
        bits = bits > 32 ? 32 : bits;
        holds = same_bits(base, ip, bits);
        CHECK(contain_ip4(networks, ip) == holds);
        CHECK(contain_ip6(networks, mapped) == holds);
        CHECK(contain_ip4(networks, base));
    } else {
        CHECK(inet_pton(AF_INET6, copy, base) == 1);
        is_mapped = same_bits(ip, mapped, 96);
        CHECK(contain_ip6(networks, ip) ==
              (same_bits(base, ip, bits) && (!is_mapped || bits >= 96)));
        CHECK(contain_ip6(networks, base) || (same_bits(base, mapped, 96) && bits < 96));
        CHECK(contain_ip4(networks, ip) == (bits >= 96 && same_bits(base, mapped, bits)));
    }
    free(copy);
}

static char *
next_element(char **rest)
{
    char *element = strsep(rest, ",");
    size_t len;

    if (!element)
        return NULL;
    element += strspn(element, " \t");
    len = strlen(element);
    while (len > 0 && strchr(" \t", element[len - 1]))
        element[--len] = '\0';
    return element;
}

/* Each by itself. Returns whether one of them holds the address. */
static bool
check_elements(char *rest, const uint8_t ip[16])
{
    bool any = false;
    char *element;

    while ((element = next_element(&rest)) != NULL) {
        struct networks_error error;
        struct networks *one = networks_parse(element, &error);

        CHECK(one != NULL);
        any |= contain_ip6(one, ip);
        if (element[0] != '\0' && strcmp(element, "unix") != 0)
            check_element(element, one, ip);
        networks_free(one);
    }
    return any;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    struct fuzz_log log = {0};
    struct networks_error error;
    struct networks *networks;
    uint8_t ip[16];
    char *text;

    for (int i = 0; i < 16; i++)
        ip[i] = fuzz_byte(&in);
    fuzz_log(&log, in.at, in.len);
    fuzz_log(&log, "", 1);
    text = fuzz_copy(log.at, strlen((char *)log.at) + 1);
    networks = networks_parse(text, &error);
    if (networks) {
        bool yes = contain_ip6(networks, ip);

        CHECK(check_elements(text, ip) == yes);
    } else {
        CHECK(error.why && error.at >= text && error.at + error.len <= text + strlen(text));
    }
    networks_free(networks);
    free(text);
    free(log.at);
    return 0;
}
