/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics -- counters that one worker writes and main reads at any time.
 *
 *      worker 1: struct metrics_worker   struct metrics_route of /a, of /b …
 *      worker 2: struct metrics_worker   struct metrics_route of /a, of /b …     main adds them up
 *
 * Each has one writer, so counting is a plain load, add and store: no lock, no locked instruction,
 * and no cache line that two workers write. The structs hold nothing but 64-bit words, so that
 * adding up is one loop; what goes down again is two words or more (opened and ended), or a word
 * that is set.
 *
 * Thread:    metrics_add() and its like on the writer's thread; metrics_read() and metrics_sum()
 *            on any.
 * Lifetime:  a worker's belong to its loop (loop_metrics()), a route's to the registry
 *            (base/metrics_routes.h).
 */
#ifndef CULVERT_BASE_METRICS_H
#define CULVERT_BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_LINE = 64,    /* bytes that no two workers share */
    METRICS_BUCKETS = 16, /* bounds of a histogram; one bucket more is above all of them */
};

enum metrics_direction {
    METRICS_IN, /* client to target */
    METRICS_OUT,
    METRICS_DIRECTIONS,
};

enum metrics_transport {
    METRICS_WEBSOCKET,
    METRICS_SSE,
    METRICS_LONGPOLL,
    METRICS_TRANSPORTS,
};

enum metrics_initiator {
    METRICS_BY_CLIENT,
    METRICS_BY_TARGET,
    METRICS_BY_CULVERT,
    METRICS_INITIATORS,
};

/* Why a request or a connection was refused. Metrics and their documentation name all of them. */
enum metrics_refusal {
    METRICS_REFUSED_BY_STATUS, /* no reason of its own: metrics_refusal_of() finds one */
    METRICS_REFUSED_MALFORMED,
    METRICS_REFUSED_HEADER_TIMEOUT,
    METRICS_REFUSED_HEADER_SIZE,
    METRICS_REFUSED_NO_ROUTE,
    METRICS_REFUSED_NO_FILE,
    METRICS_REFUSED_FORBIDDEN,
    METRICS_REFUSED_ORIGIN,
    METRICS_REFUSED_METHOD,
    METRICS_REFUSED_UPGRADE,
    METRICS_REFUSED_TRANSPORT,
    METRICS_REFUSED_SESSION, /* gone, somebody else's, or asked for out of order */
    METRICS_REFUSED_LIMIT_IP,
    METRICS_REFUSED_LIMIT_ROUTE,
    METRICS_REFUSED_FULL,
    METRICS_REFUSED_HALF_OPEN,
    METRICS_REFUSED_DRAINING,
    METRICS_REFUSED_TARGET_FAILED,
    METRICS_REFUSED_TARGET_TIMEOUT,
    METRICS_REFUSED_TOKEN,
    METRICS_REFUSED_PROXY_HEADER,
    METRICS_REFUSED_UNTRUSTED_PROXY,
    METRICS_REFUSED_MEMORY,
    METRICS_REFUSED_ERROR, /* anything else */
    METRICS_REFUSALS,
};

enum {
    METRICS_CODES = 18, /* of closes: the known ones, "3xxx", "4xxx" and "other" */
};

/* Upper bounds are metrics_bound(); not cumulative. */
struct metrics_histogram {
    uint64_t buckets[METRICS_BUCKETS + 1];
    uint64_t nanoseconds; /* the sum of what was observed */
};

/* Of conversations over one transport. */
struct metrics_flow {
    uint64_t opened;
    uint64_t ended;
    uint64_t bytes[METRICS_DIRECTIONS];    /* of messages, as the client sees them */
    uint64_t messages[METRICS_DIRECTIONS]; /* complete ones */
};

/* Of conversations that outlive their connections. */
struct metrics_sessions {
    uint64_t opened;
    uint64_t ended;
    uint64_t parked; /* clients that left: now there are parked - unparked away */
    uint64_t unparked;
    uint64_t resumed; /* carriers after a session's first */
    uint64_t expired; /* nobody came back in time */
};

/* Of topics. */
struct metrics_topics {
    uint64_t published; /* by clients, and taken by the bus */
    uint64_t failed;    /* publications that are not known to be */
    uint64_t dropped;   /* times that a subscriber's full queue lost something */
};

/* Of one route on one worker. */
struct metrics_route {
    struct metrics_flow flows[METRICS_TRANSPORTS];
    struct metrics_sessions sessions;
    struct metrics_topics topics;
    uint64_t closes[METRICS_INITIATORS][METRICS_CODES];
    uint64_t refusals[METRICS_REFUSALS];
    struct metrics_histogram connect;   /* from the request to the connected target */
    struct metrics_histogram heartbeat; /* from PING to PONG */
} __attribute__((aligned(METRICS_LINE)));

/* Of one worker. */
struct metrics_worker {
    uint64_t accepted;
    uint64_t http_opened; /* connections that speak HTTP: now there are opened - ended */
    uint64_t http_ended;
    uint64_t exchanges_begun; /* requests being answered */
    uint64_t exchanges_ended;
    uint64_t answers[6];                 /* by the status's first digit */
    uint64_t refusals[METRICS_REFUSALS]; /* of requests that no route was found for yet */
    uint64_t tls_done;                   /* handshakes with clients */
    uint64_t tls_failed;
    uint64_t dns_queries; /* that left for a name server */
    uint64_t dns_failed;
    uint64_t pauses;        /* of accepting, for want of descriptors or memory */
    uint64_t listening;     /* set: listeners that accept now */
    uint64_t sockets;       /* set: in use */
    uint64_t buffer_blocks; /* set: borrowed from the pool */
    uint64_t buffer_bytes;  /* set: that wait in them, and in pipes */
    uint64_t pipes;         /* set: that hold some of them */
    uint64_t turn_max;      /* set: nanoseconds of the longest turn so far */
    struct metrics_histogram turns;
} __attribute__((aligned(METRICS_LINE)));

/* ---- counting ---- */

static inline uint64_t
metrics_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void
metrics_set(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/* Two of these are no atomic addition together, and need not be: there is one writer. */
static inline void
metrics_add(uint64_t *counter, uint64_t n)
{
    metrics_set(counter, metrics_read(counter) + n);
}

/* seconds below 0 count as 0. */
void metrics_observe(struct metrics_histogram *histogram, double seconds);

/* ---- reading ---- */

/* Adds n words of counters to those of sum. */
void metrics_sum(uint64_t *sum, const uint64_t *counters, size_t n);
void metrics_sum_route(struct metrics_route *sum, const struct metrics_route *route);
void metrics_sum_worker(struct metrics_worker *sum, const struct metrics_worker *worker);

/* a - b, 0 if a was read before its latest additions. */
static inline uint64_t
metrics_left(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Seconds, rising with i < METRICS_BUCKETS. */
double metrics_bound(unsigned i);

/* ---- names ---- */

/* Which of the METRICS_CODES counters a close code belongs to. */
unsigned metrics_code_of(unsigned code);
const char *metrics_code_name(unsigned i); /* "1000", "4xxx", "other" */

/* The reason that a status alone tells; has_route: the request had found its route. */
enum metrics_refusal metrics_refusal_of(int status, bool has_route);
const char *metrics_refusal_name(enum metrics_refusal refusal);
const char *metrics_transport_name(enum metrics_transport transport);
const char *metrics_initiator_name(enum metrics_initiator initiator);
const char *metrics_direction_name(enum metrics_direction direction);

#endif
