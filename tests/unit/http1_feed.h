/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http1_feed -- heads for the tests of proto/http1: put through the scan in pieces, then parsed,
 * always against a guard page.
 */
#ifndef CULVERT_TESTS_HTTP1_FEED_H
#define CULVERT_TESTS_HTTP1_FEED_H

#include <stdio.h>

#include "guard.h"
#include "proto/http1.h"

enum { FEED_HEAD_MAX = 32768 };

/* The area is kept, as the spans of a parsed request point into it. */
struct feed {
    struct guard guard;
    struct http1_request request;
    struct http1_error error;
};

static inline struct feed *
feed_open(void)
{
    struct feed *feed = calloc(1, sizeof *feed);

    feed->guard = guard_open(2 * HTTP1_HEAD_MAX);
    return feed;
}

static inline void
feed_close(struct feed *feed)
{
    guard_close(&feed->guard);
    free(feed);
}

/* Scans data in pieces: the first of `first` bytes, the others of `step`. *used is how many bytes
 * the head has. */
static inline enum http1_result
feed_scan(struct feed *feed, struct span data, size_t head_max, size_t first, size_t step,
          size_t *used)
{
    enum http1_result result = HTTP1_MORE;
    struct http1_scan scan;
    size_t piece = first, taken;

    http1_scan_init(&scan, head_max);
    *used = 0;
    while (result == HTTP1_MORE && *used < data.len) {
        if (piece > data.len - *used)
            piece = data.len - *used;
        result = http1_scan(&scan, guard_end(&feed->guard, data.at + *used, piece), piece, &taken);
        assert(result != HTTP1_MORE || taken == piece);
        assert(taken <= piece);
        *used += taken;
        piece = step;
    }
    if (result == HTTP1_ERROR)
        feed->error = scan.error;
    return result;
}

/* The whole way: the status of the answer, or 0 if feed->request is good. */
static inline int
feed_parse(struct feed *feed, struct span head)
{
    size_t used;
    enum http1_result result = feed_scan(feed, head, FEED_HEAD_MAX, head.len, 1, &used);

    if (result == HTTP1_DONE)
        result =
            http1_parse(guard_end(&feed->guard, head.at, used), used, &feed->request, &feed->error);
    if (result == HTTP1_MORE)
        return -1;
    return result == HTTP1_ERROR ? feed->error.status : 0;
}

static inline int
feed_text(struct feed *feed, const char *head)
{
    return feed_parse(feed, (struct span){head, strlen(head)});
}

/* A GET of / with Host and these header lines, each ended by CRLF. */
static inline int
feed_headers(struct feed *feed, const char *lines)
{
    char head[FEED_HEAD_MAX];

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: example.org\r\n%s\r\n", lines);
    return feed_text(feed, head);
}

#endif
