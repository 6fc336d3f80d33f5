/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/origin.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    NO_PORT = 0,
};

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static void
copy_lower(char *to, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        to[i] = lower(text.at[i]);
    to[text.len] = '\0';
}

/* ---- parsing ---- */

/* RFC 3986 section 3.1. */
static bool
is_scheme(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = lower(s.at[i]);
        bool letter = c >= 'a' && c <= 'z';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || memchr("+-.", c, 3))))
            return false;
    }
    return s.len > 0 && s.len <= ORIGIN_SCHEME_MAX;
}

static uint16_t
default_port(const char *scheme)
{
    if (strcmp(scheme, "http") == 0 || strcmp(scheme, "ws") == 0)
        return 80;
    if (strcmp(scheme, "https") == 0 || strcmp(scheme, "wss") == 0)
        return 443;
    return NO_PORT;
}

/* What http1_is_host() has taken: at most five digits, in range. */
static bool
read_port(struct span text, uint16_t *port)
{
    unsigned number = 0;

    if (text.at[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++)
        number = number * 10 + (unsigned)(text.at[i] - '0');
    *port = (uint16_t)number;
    return true;
}

/* An IPv6 address can be written in many ways. */
static bool
copy_ip6(char *to, struct span text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ip;

    if (text.len < 2 || text.len - 2 >= sizeof copy)
        return false;
    memcpy(copy, text.at + 1, text.len - 2);
    copy[text.len - 2] = '\0';
    if (inet_pton(AF_INET6, copy, &ip) != 1)
        return false;
    to[0] = '[';
    inet_ntop(AF_INET6, &ip, to + 1, INET6_ADDRSTRLEN);
    strcat(to, "]");
    return true;
}

/* host [":" port]; origin->port stays if none is told. */
static bool
read_host(struct span text, struct origin *origin)
{
    bool ip6 = text.len > 0 && text.at[0] == '[';
    struct span host = text;
    const char *end;

    if (text.len > ORIGIN_MAX || !http1_is_host(text))
        return false;
    end = memchr(text.at, ip6 ? ']' : ':', text.len);
    if (end && ip6)
        end++;
    if (end) {
        host.len = (size_t)(end - text.at);
        if (host.len < text.len &&
            !read_port((struct span){end + 1, text.len - host.len - 1}, &origin->port))
            return false;
    }
    if (ip6)
        return copy_ip6(origin->host, host);
    copy_lower(origin->host, host);
    return host.at[host.len - 1] != '.';
}

enum origin_result
origin_parse(struct span text, struct origin *origin)
{
    struct span scheme = text, host;
    const char *colon;

    memset(origin, 0, sizeof *origin);
    if (text.len > ORIGIN_MAX)
        return ORIGIN_LONG;
    if (span_is(text, "null"))
        return ORIGIN_NULL;
    colon = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
    if (!colon)
        return ORIGIN_MALFORMED;
    scheme.len = (size_t)(colon - text.at);
    host = (struct span){colon, text.len - scheme.len};
    if (!is_scheme(scheme) || host.len < 3 || memcmp(host.at, "://", 3) != 0)
        return ORIGIN_MALFORMED;
    copy_lower(origin->scheme, scheme);
    origin->port = default_port(origin->scheme);
    host = (struct span){host.at + 3, host.len - 3};
    return read_host(host, origin) ? ORIGIN_ALLOWED : ORIGIN_MALFORMED;
}

/* ---- checking ---- */

bool
origin_equal(const struct origin *a, const struct origin *b)
{
    return a->port == b->port && strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0;
}

/* A page of another kind (an extension, an app) is never that of a web server, whatever the name of
 * its host is. */
static bool
is_same(const struct origin *origin, struct span host)
{
    struct origin asked = *origin;

    asked.port = default_port(origin->scheme);
    if (asked.port == NO_PORT || !read_host(host, &asked))
        return false;
    return origin_equal(origin, &asked);
}

static bool
is_listed(const struct origin *origin, const struct origin_policy *policy)
{
    for (size_t i = 0; i < policy->n_listed; i++)
        if (origin_equal(origin, &policy->listed[i]))
            return true;
    return false;
}

static enum origin_result
check_absent(const struct origin_policy *policy, const struct http1_request *request)
{
    unsigned count;
    struct span site = http1_header(request, "Sec-Fetch-Site", &count);

    if (count > 1 || (count == 1 && !span_is(site, "same-origin") && !span_is(site, "none")))
        return ORIGIN_CROSS_SITE;
    return policy->required ? ORIGIN_MISSING : ORIGIN_ABSENT;
}

enum origin_result
origin_check(const struct origin_policy *policy, const struct http1_request *request,
             struct span host)
{
    struct origin origin;
    enum origin_result result;
    unsigned count;
    struct span value = http1_header(request, "Origin", &count);

    if (count == 0)
        return check_absent(policy, request);
    if (count > 1)
        return ORIGIN_SEVERAL;
    result = origin_parse(value, &origin);
    if (result != ORIGIN_ALLOWED || policy->mode == ORIGIN_MODE_ANY)
        return result;
    if (policy->mode == ORIGIN_MODE_LIST)
        return is_listed(&origin, policy) ? ORIGIN_ALLOWED : ORIGIN_NOT_LISTED;
    return is_same(&origin, host) ? ORIGIN_ALLOWED : ORIGIN_OTHER_HOST;
}

const char *
origin_reason(enum origin_result result)
{
    static const char *const reasons[] = {
        [ORIGIN_ABSENT] = "no Origin",
        [ORIGIN_ALLOWED] = "Origin allowed",
        [ORIGIN_MISSING] = "Origin missing",
        [ORIGIN_CROSS_SITE] = "asked by a page of another site",
        [ORIGIN_SEVERAL] = "several Origin headers",
        [ORIGIN_LONG] = "Origin too long",
        [ORIGIN_NULL] = "Origin is null",
        [ORIGIN_MALFORMED] = "malformed Origin",
        [ORIGIN_OTHER_HOST] = "Origin is another host's",
        [ORIGIN_NOT_LISTED] = "Origin is not on the list",
    };

    return reasons[result];
}
