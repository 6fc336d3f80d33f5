/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * files_http -- what HTTP says about serving a file, without the file: media types, dates,
 * validators, conditions and ranges (RFC 9110 sections 5.6.7, 8.8, 13 and 14).
 *
 * Thread:    any; no state.
 * Errors:    what a client sends and cannot be read is ignored, as the RFC has it; never a failure.
 */
#ifndef CULVERT_TARGET_FILES_HTTP_H
#define CULVERT_TARGET_FILES_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "proto/span.h"

struct http1_request;

enum {
    FILES_HTTP_DATE = 30, /* bytes of "Sun, 06 Nov 1994 08:49:37 GMT" with its NUL */
    FILES_HTTP_ETAG = 40, /* bytes of an entity tag of ours with its NUL */
};

/* ---- pieces ---- */

/* Whether all segments of a path may be served: none is empty (but the last), ".", ".." or begins
 * with '.', but ".well-known". */
bool files_http_path_ok(const char *path);

/* The media type for a file's name, by its extension without regard to case; static. */
const char *files_http_type(const char *name);

void files_http_date_format(time_t when, char out[FILES_HTTP_DATE]);

/* Reads the three forms of section 5.6.7. Returns 0, or -1 if it is none of them or no such day. */
int files_http_date_parse(struct span text, time_t *when) __attribute__((warn_unused_result));

/* A strong tag of the modification time and the size. */
void files_http_etag_format(struct timespec modified, uint64_t size, char out[FILES_HTTP_ETAG]);

/* Whether a list of entity tags, or "*", holds etag (quotes included). weak: W/ makes no
 * difference (section 8.8.3.2); otherwise a weak tag matches nothing. Linear. */
bool files_http_etag_listed(struct span list, const char *etag, bool weak);

enum files_http_range {
    FILES_HTTP_RANGE_NONE,  /* not one range of bytes: send the whole */
    FILES_HTTP_RANGE_PART,  /* *first and *len are set */
    FILES_HTTP_RANGE_WRONG, /* nothing of it lies in the file: 416 */
};

/* Reads the value of Range for a file of size bytes. Several ranges in one are served as none. */
enum files_http_range files_http_range_parse(struct span value, uint64_t size, uint64_t *first,
                                             uint64_t *len);

/* ---- the whole ---- */

/* What is to be served. */
struct files_http_version {
    const char *etag;
    time_t modified;
    uint64_t size;
};

/*
 * Weighs the conditions of a GET or HEAD in the order of section 13.2.2. Returns the status: 200,
 * 206, 304, 412 or 416; *first and *len are the piece of the file to send for 200 and 206.
 */
int files_http_decide(const struct http1_request *request, const struct files_http_version *version,
                      uint64_t *first, uint64_t *len);

#endif
