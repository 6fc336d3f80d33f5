/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(sizeof "unix:" + sizeof(((struct sockaddr_un *)0)->sun_path) <= ADDR_TEXT,
               "any unix path fits");

/* An interface's name or number; 0 if there is none such. */
static unsigned
scope_id(const char *scope)
{
    char *end;
    unsigned long number;

    if (!isdigit((unsigned char)scope[0]))
        return if_nametoindex(scope);
    number = strtoul(scope, &end, 10);
    return *end == '\0' && number <= UINT32_MAX ? (unsigned)number : 0;
}

static int
from_ip6(struct addr *addr, const char *host, uint16_t port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const char *percent = strchr(host, '%');
    size_t len = percent != NULL ? (size_t)(percent - host) : strlen(host);
    char text[INET6_ADDRSTRLEN];

    if (len >= sizeof text)
        return -1;
    memcpy(text, host, len);
    text[len] = '\0';
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
        return -1;
    if (percent != NULL && (in6.sin6_scope_id = scope_id(percent + 1)) == 0)
        return -1;
    memcpy(&addr->storage, &in6, sizeof in6);
    addr->len = sizeof in6;
    return 0;
}

/* inet_pton() takes four decimal numbers only; "127.1" and "0x7f000001", which getaddrinfo() takes
 * too, are read differently by different programs. */
int
addr_from_ip(struct addr *addr, const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    memset(addr, 0, sizeof *addr);
    if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
        return from_ip6(addr, host, port);
    memcpy(&addr->storage, &in, sizeof in);
    addr->len = sizeof in;
    return 0;
}

int
addr_from_path(struct addr *addr, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    memset(addr, 0, sizeof *addr);
    if (len == 0 || len >= sizeof un.sun_path)
        return -1;
    memcpy(un.sun_path, path, len);
    memcpy(&addr->storage, &un, sizeof un);
    addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

static void
text_ip4(const void *bytes, in_port_t port, char *out)
{
    char ip[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, bytes, ip, sizeof ip);
    snprintf(out, ADDR_TEXT, "%s:%u", ip, ntohs(port));
}

static void
text_ip6(const struct sockaddr_in6 *in6, char *out)
{
    char ip[INET6_ADDRSTRLEN];
    char scope[1 + IF_NAMESIZE] = "";

    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        text_ip4(&in6->sin6_addr.s6_addr[12], in6->sin6_port, out);
        return;
    }
    inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof ip);
    if (in6->sin6_scope_id != 0) {
        scope[0] = '%';
        if (if_indextoname(in6->sin6_scope_id, scope + 1) == NULL)
            snprintf(scope + 1, IF_NAMESIZE, "%u", in6->sin6_scope_id);
    }
    snprintf(out, ADDR_TEXT, "[%s%s]:%u", ip, scope, ntohs(in6->sin6_port));
}

/* The kernel ends a path with NUL or, if it is as long as can be, not at all; one of Linux's
 * abstract names begins with NUL and is shown with '@', as ss(8) does. */
static void
text_unix(const struct sockaddr_un *un, socklen_t addr_len, char *out)
{
    size_t begin = offsetof(struct sockaddr_un, sun_path);
    size_t len = addr_len > begin ? addr_len - begin : 0;
    char *end = stpcpy(out, "unix:");

    if (len > sizeof un->sun_path)
        len = sizeof un->sun_path;
    if (len > 0 && un->sun_path[0] != '\0')
        len = strnlen(un->sun_path, len);
    for (size_t i = 0; i < len; i++)
        *end++ = un->sun_path[i] != '\0' ? un->sun_path[i] : '@';
    *end = '\0';
}

void
addr_text(const struct addr *addr, char *out)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;

    switch (addr->len > 0 ? addr->storage.ss_family : AF_UNSPEC) {
    case AF_INET:
        memcpy(&in, &addr->storage, sizeof in);
        text_ip4(&in.sin_addr, in.sin_port, out);
        return;
    case AF_INET6:
        memcpy(&in6, &addr->storage, sizeof in6);
        text_ip6(&in6, out);
        return;
    case AF_UNIX:
        memcpy(&un, &addr->storage, sizeof un);
        text_unix(&un, addr->len, out);
        return;
    default:
        strcpy(out, "unknown");
    }
}
