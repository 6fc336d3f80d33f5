/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http1 -- the heads and bodies of HTTP/1.1 requests (RFC 9112), strictly.
 *
 * A head passes twice: first through our own linear scan, byte by byte as it comes, which admits
 * only what cannot be read in two ways (CRLF only, token names, no folding, bounded sizes); then,
 * complete, through the packaged parser, which knows methods and versions. Framing decisions
 * (Host, Content-Length, Transfer-Encoding) are ours.
 *
 * Thread:    any; no state outside the structs.
 * Ownership: spans point into the caller's bytes and live as long as they do.
 * Errors:    an HTTP status to answer with and a sentence (static text) that says why.
 */
#ifndef CULVERT_PROTO_HTTP1_H
#define CULVERT_PROTO_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/span.h"

enum {
    HTTP1_HEADERS_MAX = 100, /* header lines in a head; more: 431 */
    HTTP1_TARGET_MAX = 8192, /* bytes of the request target; more: 414 */
    HTTP1_METHOD_MAX = 32,   /* bytes of the method; more: 400 */
    HTTP1_NAME_MAX = 256,    /* bytes of a header name; more: 431 */
    HTTP1_LEADING_MAX = 2,   /* empty lines before the request line; more: 400 */
    HTTP1_HEAD_MAX = 65536,  /* the highest head_max; the packaged parser's own is 80 KiB */
    HTTP1_EXTRA_MAX = 4096,  /* bytes of a body's chunk extensions and trailers; more: 400 */
};

enum http1_result {
    HTTP1_MORE,  /* consistent so far, more bytes are needed */
    HTTP1_DONE,  /* complete */
    HTTP1_ERROR, /* answer with .status and .why, then close */
};

struct http1_error {
    int status;      /* 400, 414, 417, 426 (ws_handshake), 431, 501, 505 */
    const char *why; /* static */
};

/* ---- the scan: where does a head end, and is it well-formed so far ---- */

struct http1_scan {
    size_t seen;     /* bytes of the head looked at */
    size_t head_max; /* whole head, request line included; more: 431 */
    struct http1_error error;
    uint16_t lines;    /* header lines so far */
    uint16_t line_len; /* of the current method, target, name or value */
    uint8_t state;
    uint8_t leading; /* empty lines before the request line (RFC 9112 section 2.2) */
};

/* A head_max above HTTP1_HEAD_MAX counts as that. */
void http1_scan_init(struct http1_scan *scan, size_t head_max);

/*
 * Looks at the next len bytes of a head. On HTTP1_DONE, *used is how many of them belong to it; on
 * HTTP1_MORE it is len; on HTTP1_ERROR it is where the fault was seen. Each byte is looked at once,
 * and the result does not depend on how the head is cut. When head_max bytes were seen and the head
 * is not complete, that is 431 at once, not HTTP1_MORE: a buffer of that size could not go on.
 */
enum http1_result http1_scan(struct http1_scan *scan, const char *data, size_t len, size_t *used);

/* ---- a complete head ---- */

struct http1_header {
    struct span name;
    struct span value; /* without white space around it */
};

enum http1_method {
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
    HTTP1_OTHER, /* any other token: the route answers 405 */
};

struct http1_request {
    enum http1_method method;
    struct span method_name;
    struct span target; /* as it came */
    struct span path;   /* raw, still percent-encoded; of an absolute-form target its path */
    struct span query;  /* raw, without '?' */
    struct span host;   /* value of Host, port included; empty if there is none (HTTP/1.0 only) */
    int minor;          /* HTTP/1.minor, 0 or 1 */
    bool keep_alive;    /* may another request follow */
    bool expect_continue;
    bool chunked;            /* body comes in chunks */
    bool upgrade;            /* an Upgrade header is present */
    uint64_t content_length; /* 0 if there is none */
    unsigned n_headers;
    struct http1_header headers[HTTP1_HEADERS_MAX];
};

/*
 * Reads a head that http1_scan() found complete (leading empty lines included). Refuses: other
 * versions than 1.0 and 1.1 (505); no Host on 1.1, two Hosts, a malformed Host (400); absolute-form
 * whose authority differs from Host (400); authority-form and CONNECT (400); asterisk-form but for
 * OPTIONS; several Content-Length lines or lists, even of equal numbers, or one that is no number
 * or above 2^63-1 (400); Content-Length with Transfer-Encoding, a Transfer-Encoding on 1.0 (400) or
 * another than exactly "chunked" (501); an Expect other than 100-continue (417). Returns HTTP1_DONE
 * or HTTP1_ERROR with *error set.
 */
enum http1_result http1_parse(const char *head, size_t len, struct http1_request *request,
                              struct http1_error *error) __attribute__((warn_unused_result));

/* The value of the only header of that name; *count tells how often it occurs, the first is
 * returned. at is NULL if none. */
struct span http1_header(const struct http1_request *request, const char *name, unsigned *count);

/*
 * Whether s is host [":" port] as Host and authorities have it: a name of letters, digits and
 * "-._~" without empty labels (but at the end), or an IPv6 address in brackets; a port from 1 to
 * 65535.
 */
bool http1_is_host(struct span s);

enum {
    HTTP1_HOST_NAME = 256, /* bytes that hold any name of DNS, NUL included */
};

/* A host that http1_is_host() takes, without port and brackets, as a string; empty if it is too long
 * to be any. */
void http1_host_name(struct span host, char out[HTTP1_HOST_NAME]);

/*
 * Takes the next element off a comma-separated list (RFC 9110 section 5.6.1): white space trimmed,
 * empty elements skipped, quoted strings kept whole. Linear over the whole list. Returns false at
 * its end.
 */
bool http1_list_next(struct span *rest, struct span *element);

/* Whether any line of header name holds token in its comma-separated list, without regard to case.
 * Linear. */
bool http1_has_token(const struct http1_request *request, const char *name, const char *token);

/* Whether a value or an element of a list is of a media type: "text/html; q=0.9" is text/html. */
bool http1_is_media_type(struct span value, const char *media_type);

/*
 * Percent-decodes a path once into out (at least path.len + 1 bytes, NUL-terminated) and refuses
 * what could be read in two ways: an empty segment (but a trailing one), "." and ".." segments,
 * encoded '/' or NUL, a backslash in any form, a broken escape, a path that does not begin with
 * '/'. Returns the length, or -1.
 */
int http1_path_decode(struct span path, char *out);

/*
 * Finds key in a raw query and percent-decodes its value once into out (size bytes,
 * NUL-terminated); '+' stays '+'. Returns 1 if found, 0 if not, -1 if the escape is broken, the
 * value is NUL-bearing, not UTF-8 or does not fit, or key comes twice. Keys are compared decoded,
 * so that no spelling hides one; pairs are separated by '&' alone.
 */
int http1_query_get(struct span query, const char *key, char *out, size_t size);

/* The next value of a key that may come more than once, decoded in the same way; *query becomes what is behind
 * it. Returns 1, 0 if there is no more, or -1. */
int http1_query_next(struct span *query, const char *key, char *out, size_t size);

/* Whether one of at most 32 keys, NULL-terminated, comes twice, however it is spelled. */
bool http1_query_doubles(struct span query, const char *const *keys);

/* Whether every key and value of a raw query can be decoded: no broken escape, no NUL, UTF-8. */
bool http1_query_valid(struct span query);

/* ---- a body ---- */

struct http1_body {
    uint64_t left;  /* of the body or the chunk */
    uint64_t total; /* decoded bytes so far */
    uint32_t extra; /* bytes spent on chunk extensions and trailers; bounded */
    uint8_t state;
    bool chunked;
    struct http1_error error;
};

void http1_body_init(struct http1_body *body, const struct http1_request *request);

/*
 * Decodes the next bytes of a body in place: *used tells how many were taken; data_at/data_len is
 * the decoded piece inside data, perhaps empty. HTTP1_DONE when the body is complete (bytes after
 * *used belong to the next request). Call again with the rest while *used < len and the result is
 * HTTP1_MORE. Chunk sizes above 2^63-1, bare LF, malformed extensions (white space around them
 * counts as that), more than HTTP1_EXTRA_MAX bytes of extensions and trailers: HTTP1_ERROR.
 * Trailers are checked and dropped.
 */
enum http1_result http1_body(struct http1_body *body, char *data, size_t len, size_t *used,
                             char **data_at, size_t *data_len);

/* Of the packaged parser that is linked: major << 16 | minor << 8 | patch. */
unsigned http1_parser_version(void);

/* The reason phrase of a status code; "Unknown" for others. */
const char *http1_reason(int status);

#endif
