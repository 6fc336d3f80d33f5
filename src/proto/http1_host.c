/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>

#include "proto/http1.h"

static bool
is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Letters, digits and what else stands unencoded in names, without empty labels but at the end (RFC
 * 3986 is wider). */
static bool
is_name(struct span s)
{
    char before = '.';

    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.at[i]) && !memchr("-._~", s.at[i], 4))
            return false;
        if (s.at[i] == '.' && before == '.')
            return false;
        before = s.at[i];
    }
    return s.len > 0 && s.len <= 255;
}

static bool
is_ipv6(struct span s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (s.len >= sizeof text || memchr(s.at, '\0', s.len))
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool
is_port(struct span s)
{
    unsigned port = 0;

    if (s.len == 0 || s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        port = port * 10 + (s.at[i] - '0');
    }
    return port > 0 && port <= 65535;
}

bool
http1_is_host(struct span s)
{
    struct span host = s;
    const char *end;
    bool ipv6 = s.len > 0 && s.at[0] == '[';

    end = s.len > 0 ? memchr(s.at, ipv6 ? ']' : ':', s.len) : NULL;
    if (ipv6 && !end)
        return false;
    if (ipv6)
        end++;
    if (end) {
        size_t rest = s.at + s.len - end;

        host.len = end - s.at;
        if (rest > 0 && (*end != ':' || !is_port((struct span){end + 1, rest - 1})))
            return false;
    }
    return ipv6 ? is_ipv6((struct span){host.at + 1, host.len - 2}) : is_name(host);
}

void
http1_host_name(struct span host, char out[HTTP1_HOST_NAME])
{
    const char *end;

    if (host.len > 0 && host.at[0] == '[') {
        host.at++;
        host.len--;
        end = memchr(host.at, ']', host.len);
    } else {
        end = host.len > 0 ? memchr(host.at, ':', host.len) : NULL;
    }
    if (end != NULL)
        host.len = (size_t)(end - host.at);
    if (host.len >= HTTP1_HOST_NAME)
        host.len = 0;
    if (host.len > 0)
        memcpy(out, host.at, host.len);
    out[host.len] = '\0';
}
