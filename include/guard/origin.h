/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin -- from which pages a browser may reach a route (RFC 6454, PROTOCOL.md section 1). Pages
 * of other sites can open WebSockets and send requests with the user's cookies; only the Origin
 * header, which they cannot forge, tells them apart. Whole origins are compared, after parsing;
 * never texts.
 *
 * Thread:    any; no state outside the structs.
 * Ownership: a policy borrows its list.
 */
#ifndef CULVERT_GUARD_ORIGIN_H
#define CULVERT_GUARD_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/http1.h"

enum {
    ORIGIN_MAX = 256, /* bytes of an Origin; more is refused */
    ORIGIN_SCHEME_MAX = 31,
};

enum origin_result {
    ORIGIN_ABSENT,  /* no Origin, and none is needed: pass, without Access-Control-… headers */
    ORIGIN_ALLOWED, /* pass; the header's value is well-formed and may be sent back as it is */
    /* Refused with 403: */
    ORIGIN_MISSING,
    ORIGIN_CROSS_SITE,
    ORIGIN_SEVERAL,
    ORIGIN_LONG,
    ORIGIN_NULL,
    ORIGIN_MALFORMED,
    ORIGIN_OTHER_HOST,
    ORIGIN_NOT_LISTED,
};

/* A scheme, a host and a port, comparable byte by byte. */
struct origin {
    char scheme[ORIGIN_SCHEME_MAX + 1]; /* lower case */
    char host[ORIGIN_MAX + 1]; /* lower case; IPv6 in its one canonical form, in brackets */
    uint16_t port;             /* the scheme's, if none was told; 0 if it has none */
};

enum origin_mode {
    ORIGIN_MODE_SAME, /* the page came from the host that it now asks */
    ORIGIN_MODE_ANY,
    ORIGIN_MODE_LIST,
};

struct origin_policy {
    enum origin_mode mode;
    bool required; /* refuse requests without Origin */
    const struct origin *listed;
    size_t n_listed;
};

/*
 * Reads scheme "://" host [":" port], as an Origin header and a configured list have it. Refused:
 * user info, paths (the one '/' too), several values, `null`, an empty text, a port of 0 or with
 * leading zeros, a host that http1_is_host() does not take or that ends in a dot. Returns
 * ORIGIN_ALLOWED, ORIGIN_LONG, ORIGIN_NULL or ORIGIN_MALFORMED.
 */
enum origin_result origin_parse(struct span text, struct origin *origin)
    __attribute__((warn_unused_result));

bool origin_equal(const struct origin *a, const struct origin *b);

/*
 * Whether a request may pass. host is what the client has asked for: request->host, or what a
 * trusted proxy says that it was; ports left out there are those of Origin's scheme. What is no
 * well-formed Origin is refused whatever the policy is. Without Origin, a Sec-Fetch-Site other than
 * same-origin and none tells that another site's page is asking, in a way that sends no Origin.
 */
enum origin_result origin_check(const struct origin_policy *policy,
                                const struct http1_request *request, struct span host)
    __attribute__((warn_unused_result));

static inline bool
origin_passes(enum origin_result result)
{
    return result == ORIGIN_ABSENT || result == ORIGIN_ALLOWED;
}

/* A sentence, static, for the answer and the log. */
const char *origin_reason(enum origin_result result);

#endif
