/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll_answer -- an answer to a long poll, and where the next one goes on.
 *
 * Servers tell the place in one of three ways: culvert as "since" in its JSON, for the query; nchan as
 * Last-Modified and Etag, for If-Modified-Since and If-None-Match; Pushpin not at all.
 *
 * Thread: any. No input or output.
 */
#ifndef BENCH_POLL_ANSWER_H
#define BENCH_POLL_ANSWER_H

#include <stddef.h>
#include <sys/types.h>

struct poll_place {
    char since[72];
    char etag[64], modified[48];
};

/* Bytes that the answer takes once it is complete, 0 before, or -1 if it is no answer or an error's. The
 * body is at *body then. place is set as far as the answer tells one. data[len] is NUL. */
ssize_t poll_answer_read(const char *data, size_t len, const char **body, struct poll_place *place);

/* The request behind that place, in out. Its length. path has a query already or gets one. */
size_t poll_answer_next(char *out, size_t size, const char *path, const char *headers,
                        const struct poll_place *place);

#endif
