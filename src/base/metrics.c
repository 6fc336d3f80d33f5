/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/metrics.h"

enum {
    WORD = sizeof(uint64_t),
    WORDS_ROUTE = sizeof(struct metrics_route) / WORD,
    WORDS_WORKER = sizeof(struct metrics_worker) / WORD,
};

/* ---- histograms ---- */

/* One row for all: from what a turn of the loop takes to what a connection may. */
static const double bounds[METRICS_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

double
metrics_bound(unsigned i)
{
    return bounds[i];
}

void
metrics_observe(struct metrics_histogram *histogram, double seconds)
{
    unsigned i = 0;

    if (!(seconds > 0))
        seconds = 0;
    while (i < METRICS_BUCKETS && seconds > bounds[i])
        i++;
    metrics_add(&histogram->buckets[i], 1);
    metrics_add(&histogram->nanoseconds, (uint64_t)(seconds * 1e9));
}

/* ---- sums ---- */

void
metrics_sum(uint64_t *sum, const uint64_t *counters, size_t n)
{
    while (n-- > 0)
        *sum++ += metrics_read(counters++);
}

void
metrics_sum_route(struct metrics_route *sum, const struct metrics_route *route)
{
    metrics_sum((uint64_t *)sum, (const uint64_t *)route, WORDS_ROUTE);
}

void
metrics_sum_worker(struct metrics_worker *sum, const struct metrics_worker *worker)
{
    metrics_sum((uint64_t *)sum, (const uint64_t *)worker, WORDS_WORKER);
}

/* ---- names ---- */

/* RFC 6455 section 7.4 and the registry that it founded. */
static const struct {
    unsigned from, to;
    const char *name;
} codes[METRICS_CODES] = {
    {1000, 1000, "1000"}, {1001, 1001, "1001"}, {1002, 1002, "1002"}, {1003, 1003, "1003"},
    {1005, 1005, "1005"}, {1006, 1006, "1006"}, {1007, 1007, "1007"}, {1008, 1008, "1008"},
    {1009, 1009, "1009"}, {1010, 1010, "1010"}, {1011, 1011, "1011"}, {1012, 1012, "1012"},
    {1013, 1013, "1013"}, {1014, 1014, "1014"}, {1015, 1015, "1015"}, {3000, 3999, "3xxx"},
    {4000, 4999, "4xxx"}, {0, 65535, "other"},
};

unsigned
metrics_code_of(unsigned code)
{
    unsigned i = 0;

    while (i < METRICS_CODES - 1 && (code < codes[i].from || code > codes[i].to))
        i++;
    return i;
}

const char *
metrics_code_name(unsigned i)
{
    return codes[i].name;
}

enum metrics_refusal
metrics_refusal_of(int status, bool has_route)
{
    switch (status) {
    case 400:
        return METRICS_REFUSED_MALFORMED;
    case 403:
        return METRICS_REFUSED_FORBIDDEN;
    case 404:
        return has_route ? METRICS_REFUSED_NO_FILE : METRICS_REFUSED_NO_ROUTE;
    case 405:
        return METRICS_REFUSED_METHOD;
    case 406:
        return METRICS_REFUSED_TRANSPORT;
    case 409:
    case 410:
        return METRICS_REFUSED_SESSION;
    case 408:
        return METRICS_REFUSED_HEADER_TIMEOUT;
    case 414:
    case 431:
        return METRICS_REFUSED_HEADER_SIZE;
    case 413:
    case 417:
    case 501:
    case 505:
        return METRICS_REFUSED_MALFORMED;
    case 426:
        return METRICS_REFUSED_UPGRADE;
    case 429:
        return METRICS_REFUSED_LIMIT_ROUTE;
    case 502:
        return METRICS_REFUSED_TARGET_FAILED;
    case 503:
        return METRICS_REFUSED_MEMORY;
    case 504:
        return METRICS_REFUSED_TARGET_TIMEOUT;
    default:
        return METRICS_REFUSED_ERROR;
    }
}

const char *
metrics_refusal_name(enum metrics_refusal refusal)
{
    static const char *const names[METRICS_REFUSALS] = {
        [METRICS_REFUSED_BY_STATUS] = "status",
        [METRICS_REFUSED_MALFORMED] = "malformed",
        [METRICS_REFUSED_HEADER_TIMEOUT] = "header_timeout",
        [METRICS_REFUSED_HEADER_SIZE] = "header_size",
        [METRICS_REFUSED_NO_ROUTE] = "no_route",
        [METRICS_REFUSED_NO_FILE] = "no_file",
        [METRICS_REFUSED_FORBIDDEN] = "forbidden",
        [METRICS_REFUSED_ORIGIN] = "origin",
        [METRICS_REFUSED_METHOD] = "method",
        [METRICS_REFUSED_UPGRADE] = "upgrade",
        [METRICS_REFUSED_TRANSPORT] = "transport",
        [METRICS_REFUSED_SESSION] = "session",
        [METRICS_REFUSED_LIMIT_IP] = "limit_ip",
        [METRICS_REFUSED_LIMIT_ROUTE] = "limit_route",
        [METRICS_REFUSED_FULL] = "full",
        [METRICS_REFUSED_HALF_OPEN] = "half_open",
        [METRICS_REFUSED_DRAINING] = "draining",
        [METRICS_REFUSED_TARGET_FAILED] = "target_failed",
        [METRICS_REFUSED_TARGET_TIMEOUT] = "target_timeout",
        [METRICS_REFUSED_TOKEN] = "token",
        [METRICS_REFUSED_PROXY_HEADER] = "proxy_header",
        [METRICS_REFUSED_UNTRUSTED_PROXY] = "untrusted_proxy",
        [METRICS_REFUSED_MEMORY] = "memory",
        [METRICS_REFUSED_ERROR] = "error",
    };

    return names[refusal];
}

const char *
metrics_transport_name(enum metrics_transport transport)
{
    static const char *const names[METRICS_TRANSPORTS] = {"websocket", "sse", "longpoll"};

    return names[transport];
}

const char *
metrics_initiator_name(enum metrics_initiator initiator)
{
    static const char *const names[METRICS_INITIATORS] = {"client", "target", "culvert"};

    return names[initiator];
}

const char *
metrics_direction_name(enum metrics_direction direction)
{
    return direction == METRICS_IN ? "in" : "out";
}
