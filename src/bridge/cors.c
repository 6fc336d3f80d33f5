/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/cors.h"

#include <assert.h>
#include <stdio.h>

#include "client/http.h"
#include "proto/http1.h"

#define EXPOSE "Access-Control-Expose-Headers: Retry-After\r\n"
/* Of all transports, whichever this route offers: what it does not is refused when it is asked. */
#define PREFLIGHT                                                                                  \
    "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"                                          \
    "Access-Control-Allow-Headers: Authorization, Content-Type, Culvert-Session, "                 \
    "Last-Event-ID\r\n"                                                                            \
    "Access-Control-Max-Age: 600\r\n"

void
cors_lines(const struct origin_policy *policy, const struct http1_request *request,
           char out[CORS_LINES_MAX])
{
    const char *preflight = request->method == HTTP1_OPTIONS ? PREFLIGHT : "";
    struct span origin;
    unsigned count;
    int n;

    if (policy->mode == ORIGIN_MODE_ANY) {
        n = snprintf(out, CORS_LINES_MAX, "Access-Control-Allow-Origin: *\r\n" EXPOSE "%s",
                     preflight);
    } else {
        origin = http1_header(request, "Origin", &count);
        assert(count == 1);
        n = snprintf(out, CORS_LINES_MAX,
                     "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n"
                     "Access-Control-Allow-Credentials: true\r\n" EXPOSE "%s",
                     (int)origin.len, origin.at, preflight);
    }
    assert(n > 0 && n < CORS_LINES_MAX);
}

void
cors_allow(struct exchange *exchange, const struct origin_policy *policy)
{
    char lines[CORS_LINES_MAX];

    cors_lines(policy, exchange_request(exchange), lines);
    exchange_add_lines(exchange, lines);
}
