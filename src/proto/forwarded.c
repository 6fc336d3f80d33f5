/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "proto/http1_class.h"

enum {
    NODE_MAX = 64, /* an address and a port, with room to spare */
};

/* ---- addresses ---- */

static void
set_ip4(struct sockaddr_storage *to, const void *ip, unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    memset(to, 0, sizeof *to);
    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(to, &in, sizeof in);
}

static void
set_ip6(struct sockaddr_storage *to, const struct in6_addr *ip, unsigned port)
{
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *ip};

    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        set_ip4(to, &ip->s6_addr[12], port);
        return;
    }
    memset(to, 0, sizeof *to);
    memcpy(to, &in6, sizeof in6);
}

static bool
read_ip(struct span text, unsigned port, bool ip6, struct sockaddr_storage *to)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr in6;
    struct in_addr in;

    if (text.len >= sizeof copy || memchr(text.at, '\0', text.len))
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (ip6 && inet_pton(AF_INET6, copy, &in6) == 1) {
        set_ip6(to, &in6, port);
        return true;
    }
    if (!ip6 && inet_pton(AF_INET, copy, &in) == 1) {
        set_ip4(to, &in, port);
        return true;
    }
    return false;
}

/* Nothing, or ':' and a port; an obfuscated one ("_" and a name) counts as none. */
static bool
read_port(struct span text, unsigned *port)
{
    bool hidden = text.len > 2 && text.at[1] == '_';

    *port = 0;
    if (text.len == 0)
        return true;
    if (text.at[0] != ':' || text.len < 2 || (!hidden && text.len > 6))
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (hidden && http1_is_token_char(text.at[i]))
            continue;
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *port = *port * 10 + (unsigned)(text.at[i] - '0');
    }
    return *port <= 65535;
}

/* The rest of text from at on. */
static struct span
from(struct span text, const char *at)
{
    return (struct span){at, (size_t)(text.at + text.len - at)};
}

/* An address, perhaps with a port; IPv6 in brackets or, if that is allowed, bare and without a
 * port. Names ("unknown", "_hidden") are none. */
static bool
read_node(struct span text, bool bare_ip6, struct sockaddr_storage *to)
{
    const char *colon = text.len > 0 ? memchr(text.at, ':', text.len) : NULL, *end;
    struct span ip = text;
    unsigned port = 0;

    if (text.len > 0 && text.at[0] == '[') {
        end = memchr(text.at, ']', text.len);
        if (!end || !read_port(from(text, end + 1), &port))
            return false;
        return read_ip((struct span){text.at + 1, (size_t)(end - text.at - 1)}, port, true, to);
    }
    if (bare_ip6 && colon && memchr(colon + 1, ':', from(text, colon + 1).len))
        return read_ip(text, 0, true, to);
    if (colon) {
        ip.len = (size_t)(colon - text.at);
        if (!read_port(from(text, colon), &port))
            return false;
    }
    return read_ip(ip, port, false, to);
}

/* ---- elements of Forwarded ---- */

static void
skip(struct span *s, size_t n)
{
    s->at += n;
    s->len -= n;
}

static struct span
trimmed(struct span s)
{
    while (s.len > 0 && http1_is_space(s.at[0]))
        skip(&s, 1);
    while (s.len > 0 && http1_is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

static bool
take_token(struct span *s, struct span *token)
{
    *token = (struct span){s->at, 0};
    while (token->len < s->len && http1_is_token_char(s->at[token->len]))
        token->len++;
    skip(s, token->len);
    return token->len > 0;
}

/* A quoted string. What it holds goes to out, as far as it fits; *len tells how much that would
 * be. */
static bool
take_quoted(struct span *s, char out[NODE_MAX], size_t *len)
{
    *len = 0;
    skip(s, 1);
    while (s->len > 0 && s->at[0] != '"') {
        if (s->at[0] == '\\')
            skip(s, 1);
        if (s->len == 0)
            return false;
        if (*len < NODE_MAX)
            out[*len] = s->at[0];
        ++*len;
        skip(s, 1);
    }
    if (s->len == 0)
        return false;
    skip(s, 1);
    return true;
}

/* The value of a pair, unquoted into out; none, if it does not fit. */
static bool
take_value(struct span *s, char out[NODE_MAX], struct span *value)
{
    struct span token;
    size_t len;

    if (s->len > 0 && s->at[0] == '"') {
        if (!take_quoted(s, out, &len))
            return false;
    } else {
        if (!take_token(s, &token))
            return false;
        len = token.len;
        memcpy(out, token.at, len < NODE_MAX ? len : NODE_MAX);
    }
    *value = (struct span){out, len <= NODE_MAX ? len : 0};
    return true;
}

/* One element: pairs separated by ';' (RFC 7239 section 4), one of them `for`. White space around
 * the ';' is taken: proxies write it. */
static bool
read_element(struct span s, struct sockaddr_storage *to)
{
    char copy[NODE_MAX];
    struct span name, value;
    bool found = false;

    while (s.len > 0) {
        if (s.at[0] == ';' || http1_is_space(s.at[0])) {
            skip(&s, 1);
            continue;
        }
        if (!take_token(&s, &name) || s.len == 0 || s.at[0] != '=')
            return false;
        skip(&s, 1);
        if (!take_value(&s, copy, &value))
            return false;
        if (span_is_nocase(name, "for")) {
            if (found || !read_node(value, false, to))
                return false;
            found = true;
        }
        while (s.len > 0 && http1_is_space(s.at[0]))
            skip(&s, 1);
        if (s.len > 0 && s.at[0] != ';')
            return false;
    }
    return found;
}

/* ---- walking left ---- */

struct walk {
    const struct http1_request *request;
    const char *name;
    bool present;
    unsigned lines;   /* those before are still to be looked at */
    struct span rest; /* of the current line */
};

static void
walk_init(struct walk *walk, const struct http1_request *request, const char *name)
{
    unsigned count;

    http1_header(request, name, &count);
    *walk = (struct walk){
        .request = request, .name = name, .present = count > 0, .lines = request->n_headers};
}

static bool
previous_line(struct walk *walk)
{
    while (walk->lines > 0) {
        const struct http1_header *header = &walk->request->headers[--walk->lines];

        if (!span_is_nocase(header->name, walk->name))
            continue;
        walk->rest = header->value;
        return true;
    }
    return false;
}

/* Whether the quote at i, left of a closing one, is not the opening one. That follows a '=' if all
 * is well; if not, the element is malformed, wherever it begins. */
static bool
is_escaped(struct span s, size_t i)
{
    return i > 0 && s.at[i - 1] == '\\';
}

/*
 * Where the last element of a list begins. Read from the right on purpose: an unfinished quoted
 * string that a client has sent would swallow, read from the left, what proxies have added behind
 * it.
 */
static size_t
last_element(struct span s)
{
    bool quoted = false;
    size_t i = s.len;

    for (; i > 0; i--) {
        char c = s.at[i - 1];

        if (c == '"' && !(quoted && is_escaped(s, i - 1)))
            quoted = !quoted;
        else if (c == ',' && !quoted)
            break;
    }
    return i;
}

/* The next element to the left that is not empty; false at the end. */
static bool
walk_next(struct walk *walk, struct span *element)
{
    for (;;) {
        size_t begin;

        if (walk->rest.len == 0 && !previous_line(walk))
            return false;
        begin = last_element(walk->rest);
        *element = trimmed((struct span){walk->rest.at + begin, walk->rest.len - begin});
        walk->rest.len = begin > 0 ? begin - 1 : 0;
        if (element->len > 0)
            return true;
    }
}

enum hop {
    HOP_END,
    HOP_BAD,
    HOP_ADDRESS,
};

static enum hop
next_hop(struct walk *walk, bool quoted, struct sockaddr_storage *to)
{
    struct span element;
    bool good;

    if (!walk_next(walk, &element))
        return HOP_END;
    good = quoted ? read_element(element, to) : read_node(element, true, to);
    return good ? HOP_ADDRESS : HOP_BAD;
}

static bool
same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct sockaddr_in a4, b4;
    struct sockaddr_in6 a6, b6;

    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET) {
        memcpy(&a4, a, sizeof a4);
        memcpy(&b4, b, sizeof b4);
        return a4.sin_addr.s_addr == b4.sin_addr.s_addr;
    }
    memcpy(&a6, a, sizeof a6);
    memcpy(&b6, b, sizeof b6);
    return memcmp(&a6.sin6_addr, &b6.sin6_addr, sizeof a6.sin6_addr) == 0;
}

/* One step to the left, by all headers that are there. */
static enum hop
step(struct walk *plain, struct walk *standard, struct sockaddr_storage *to)
{
    struct sockaddr_storage other;
    enum hop hop, second;

    if (!standard->present)
        return next_hop(plain, false, to);
    hop = next_hop(standard, true, to);
    if (!plain->present)
        return hop;
    second = next_hop(plain, false, &other);
    if (hop != second || (hop == HOP_ADDRESS && !same_ip(to, &other)))
        return HOP_BAD;
    return hop;
}

enum forwarded_result
forwarded_client(const struct http1_request *request, const struct sockaddr_storage *peer,
                 const struct networks *trusted, forwarded_trust_cb *trusts,
                 struct sockaddr_storage *client)
{
    enum forwarded_result result = FORWARDED_PEER;
    struct sockaddr_storage next;
    struct walk plain, standard;
    enum hop hop;

    memmove(client, peer, sizeof *client);
    walk_init(&plain, request, "X-Forwarded-For");
    walk_init(&standard, request, "Forwarded");
    while (trusts(trusted, (const struct sockaddr *)client)) {
        hop = step(&plain, &standard, &next);
        if (hop == HOP_END)
            return result;
        if (hop == HOP_BAD)
            return FORWARDED_STOPPED;
        *client = next;
        result = FORWARDED_FOUND;
    }
    return result;
}

/* ---- host and protocol ---- */

/* The first value of the first line of a header; empty if there is none in it. */
static bool
first_value(const struct http1_request *request, const char *name, struct span *value)
{
    unsigned count;
    struct span rest = http1_header(request, name, &count);

    *value = (struct span){"", 0};
    if (count > 0)
        http1_list_next(&rest, value);
    return count > 0;
}

int
forwarded_host(const struct http1_request *request, struct span *host)
{
    if (!first_value(request, "X-Forwarded-Host", host))
        return 0;
    return http1_is_host(*host) ? 1 : -1;
}

enum forwarded_proto
forwarded_proto(const struct http1_request *request)
{
    struct span value;

    if (!first_value(request, "X-Forwarded-Proto", &value))
        return FORWARDED_PROTO_NONE;
    if (span_is_nocase(value, "http") || span_is_nocase(value, "ws"))
        return FORWARDED_PROTO_HTTP;
    if (span_is_nocase(value, "https") || span_is_nocase(value, "wss"))
        return FORWARDED_PROTO_HTTPS;
    return FORWARDED_PROTO_MALFORMED;
}
