/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http -- an HTTP/1.1 client's connection: one request at a time, the answer by its pieces.
 *
 *     http_open() → open → http_request() → head → body … → done → http_request() …
 *
 * Thread, lifetime, errors: see link.h. An answer that is not one, or a connection that ends within
 * one, ends the process.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link.h"

struct http;

struct http_events {
    void (*open)(struct http *http);
    void (*head)(struct http *http); /* may be NULL */
    void (*body)(struct http *http, uint8_t *data, size_t len);
    void (*done)(struct http *http);
    void (*ended)(struct http *http); /* between answers; NULL: that should not be */
};

struct http_answer {
    enum {
        HTTP_NONE, /* nothing is under way */
        HTTP_STATUS,
        HTTP_FIELDS,
        HTTP_LENGTH,     /* a body whose length is known */
        HTTP_CHUNK_SIZE, /* the line before a chunk */
        HTTP_CHUNK,
        HTTP_CHUNK_END, /* the empty line behind it */
        HTTP_TRAILER,
    } state;
    int status;
    bool chunked, has_length;
    uint64_t left; /* of the body or chunk */
    char etag[64], modified[64];
    char line[1024];
    size_t line_len;
};

struct http {
    struct link link;
    const struct http_events *events;
    struct http_answer answer;
};

void http_init(struct http *http, struct crowd *crowd, const struct http_events *events);
void http_open(struct http *http);
void http_close(struct http *http);

/* Whether an answer is awaited or on its way. */
bool http_is_busy(const struct http *http);

/* headers: lines with CR LF, or "". A body that is NULL means none; else it has a Content-Length. */
void http_request(struct http *http, const char *method, const char *path, const char *headers,
                  const void *body, size_t len);

#endif
