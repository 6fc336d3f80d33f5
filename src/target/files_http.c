/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "proto/http1.h"
#include "target/files_http.h"

bool
files_http_path_ok(const char *path)
{
    if (*path != '/')
        return false;
    while (*path) {
        const char *segment = path + 1;
        size_t len = strcspn(segment, "/");

        path = segment + len;
        if (len == 0 && *path)
            return false;
        if (*segment == '.' && !(len == 11 && memcmp(segment, ".well-known", 11) == 0))
            return false;
    }
    return true;
}

/* ---- entity tags ---- */

void
files_http_etag_format(struct timespec modified, uint64_t size, char out[FILES_HTTP_ETAG])
{
    uint64_t stamp = (uint64_t)modified.tv_sec * 1000000000u + (uint64_t)modified.tv_nsec;

    snprintf(out, FILES_HTTP_ETAG, "\"%" PRIx64 "-%" PRIx64 "\"", stamp, size);
}

static bool
is_gap(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

bool
files_http_etag_listed(struct span list, const char *etag, bool weak)
{
    const char *at = list.at;
    const char *end = list.at + list.len;

    if (span_is(list, "*"))
        return true;
    while (at < end) {
        bool is_weak;
        const char *close;

        if (is_gap(*at)) {
            at++;
            continue;
        }
        is_weak = end - at >= 2 && at[0] == 'W' && at[1] == '/';
        if (is_weak)
            at += 2;
        if (at == end || *at != '"')
            return false;
        close = memchr(at + 1, '"', (size_t)(end - at - 1));
        if (!close)
            return false;
        close++;
        if ((weak || !is_weak) && span_is((struct span){at, (size_t)(close - at)}, etag))
            return true;
        at = close;
    }
    return false;
}

/* ---- ranges ---- */

/* Digits at *at, moved past them; what does not fit becomes UINT64_MAX, which lies behind the end
 * of every file. Returns false if there is no digit. */
static bool
take_number(const char **at, const char *end, uint64_t *number)
{
    const char *from = *at;

    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');

        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    return *at > from;
}

static enum files_http_range
take_suffix(uint64_t want, uint64_t size, uint64_t *first, uint64_t *len)
{
    if (want == 0)
        return FILES_HTTP_RANGE_WRONG;
    if (size == 0)
        return FILES_HTTP_RANGE_NONE;
    *len = want < size ? want : size;
    *first = size - *len;
    return FILES_HTTP_RANGE_PART;
}

enum files_http_range
files_http_range_parse(struct span value, uint64_t size, uint64_t *first, uint64_t *len)
{
    const char *at;
    const char *end = value.at + value.len;
    uint64_t from;
    uint64_t to = UINT64_MAX;
    bool has_from;
    bool has_to;

    if (value.len < 6 || !span_is_nocase((struct span){value.at, 6}, "bytes="))
        return FILES_HTTP_RANGE_NONE;
    at = value.at + 6;
    has_from = take_number(&at, end, &from);
    if (at == end || *at++ != '-')
        return FILES_HTTP_RANGE_NONE;
    has_to = take_number(&at, end, &to);
    if (at != end || (!has_from && !has_to))
        return FILES_HTTP_RANGE_NONE;
    if (!has_from)
        return take_suffix(to, size, first, len);
    if (!has_to)
        to = UINT64_MAX;
    if (to < from)
        return FILES_HTTP_RANGE_NONE;
    if (from >= size)
        return FILES_HTTP_RANGE_WRONG;
    *first = from;
    *len = (to < size ? to + 1 : size) - from;
    return FILES_HTTP_RANGE_PART;
}

/* ---- conditions ---- */

/* Whether any line of that name lists etag; *present tells whether there is one. */
static bool
header_lists(const struct http1_request *request, const char *name, const char *etag, bool weak,
             bool *present)
{
    bool listed = false;

    *present = false;
    for (unsigned i = 0; i < request->n_headers; i++) {
        const struct http1_header *header = &request->headers[i];

        if (!span_is_nocase(header->name, name))
            continue;
        *present = true;
        listed = listed || files_http_etag_listed(header->value, etag, weak);
    }
    return listed;
}

/* The date in a header that is there once; -1 if there is none. */
static int
header_date(const struct http1_request *request, const char *name, time_t *when)
{
    unsigned count;
    struct span value = http1_header(request, name, &count);

    return count == 1 ? files_http_date_parse(value, when) : -1;
}

/* Section 13.1.5: no condition, or one that this version meets. */
static bool
if_range_met(const struct http1_request *request, const struct files_http_version *version)
{
    unsigned count;
    struct span value = http1_header(request, "If-Range", &count);
    time_t when;

    if (count == 0)
        return true;
    if (count > 1)
        return false;
    if (span_is(value, version->etag))
        return true;
    return files_http_date_parse(value, &when) == 0 && when == version->modified;
}

static int
precondition(const struct http1_request *request, const struct files_http_version *version)
{
    bool present;
    time_t when;

    if (!header_lists(request, "If-Match", version->etag, false, &present)) {
        if (present)
            return 412;
        if (header_date(request, "If-Unmodified-Since", &when) == 0 && version->modified > when)
            return 412;
    }
    if (header_lists(request, "If-None-Match", version->etag, true, &present))
        return 304;
    if (!present && header_date(request, "If-Modified-Since", &when) == 0 &&
        version->modified <= when)
        return 304;
    return 200;
}

int
files_http_decide(const struct http1_request *request, const struct files_http_version *version,
                  uint64_t *first, uint64_t *len)
{
    int status = precondition(request, version);
    struct span range;
    unsigned count;

    *first = 0;
    *len = version->size;
    if (status != 200 || request->method != HTTP1_GET)
        return status;
    range = http1_header(request, "Range", &count);
    if (count != 1 || !if_range_met(request, version))
        return 200;
    switch (files_http_range_parse(range, version->size, first, len)) {
    case FILES_HTTP_RANGE_PART:
        return 206;
    case FILES_HTTP_RANGE_WRONG:
        return 416;
    case FILES_HTTP_RANGE_NONE:
        break;
    }
    return 200;
}
