/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A complete head. The request line is ours, the header lines and what Connection means for keeping
 * the connection come from the packaged parser, what decides about framing is ours again.
 *
 * The packaged parser is lenient in ways that let two readers disagree (a space before the colon,
 * bare LF, folding, "Content-Length : 5" as an unknown header); the scan has refused all that
 * before. It also knows a fixed list of methods and fails at any other, whereas to us an unknown
 * one is the route's business (405): so it is always told of "GET /". Its limit on the size of a head is a
 * global of the library; HTTP1_HEAD_MAX lies below it.
 */
#include <http_parser.h>
#include <stddef.h>

#include "proto/http1.h"
#include "proto/http1_class.h"

static enum http1_result
refuse(struct http1_error *error, int status, const char *why)
{
    error->status = status;
    error->why = why;
    return HTTP1_ERROR;
}

/* ---- the request line ---- */

static enum http1_method
method_of(struct span name)
{
    static const struct {
        const char *name;
        enum http1_method method;
    } known[] = {
        {"GET", HTTP1_GET}, {"HEAD", HTTP1_HEAD},     {"POST", HTTP1_POST},
        {"PUT", HTTP1_PUT}, {"DELETE", HTTP1_DELETE}, {"OPTIONS", HTTP1_OPTIONS},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (span_is(name, known[i].name))
            return known[i].method;
    return HTTP1_OTHER;
}

/* Takes what comes before the next byte of that kind; false if there is none. */
static bool
take_until(struct span *rest, char stop, struct span *taken)
{
    const char *at = memchr(rest->at, stop, rest->len);

    if (!at)
        return false;
    *taken = (struct span){rest->at, at - rest->at};
    rest->len -= at + 1 - rest->at;
    rest->at = at + 1;
    return true;
}

static enum http1_result
read_version(struct span version, struct http1_request *request, struct http1_error *error)
{
    if (span_is(version, "HTTP/1.1"))
        request->minor = 1;
    else if (span_is(version, "HTTP/1.0"))
        request->minor = 0;
    else
        return refuse(error, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    return HTTP1_DONE;
}

/* Reads the request line off *rest and leaves it at the header lines. */
static enum http1_result
read_request_line(struct span *rest, struct http1_request *request, struct http1_error *error)
{
    struct span version;

    while (rest->len > 0 && (rest->at[0] == '\r' || rest->at[0] == '\n')) {
        rest->at++;
        rest->len--;
    }
    if (!take_until(rest, ' ', &request->method_name))
        return refuse(error, 400, "malformed request line");
    if (!take_until(rest, ' ', &request->target) || !take_until(rest, '\r', &version))
        return refuse(error, 400, "malformed request line");
    if (rest->len == 0 || rest->at[0] != '\n')
        return refuse(error, 400, "malformed request line");
    rest->at++;
    rest->len--;
    request->method = method_of(request->method_name);
    if (span_is(request->method_name, "CONNECT"))
        return refuse(error, 400, "CONNECT is not offered");
    return read_version(version, request, error);
}

/* ---- the header lines ---- */

struct lines {
    struct http1_request *request;
    bool too_many;
    bool complete;
};

static struct span
trimmed(const char *at, size_t len)
{
    while (len > 0 && http1_is_space(at[0])) {
        at++;
        len--;
    }
    while (len > 0 && http1_is_space(at[len - 1]))
        len--;
    return (struct span){at, len};
}

static int
on_field(http_parser *parser, const char *at, size_t len)
{
    struct lines *lines = parser->data;
    struct http1_request *request = lines->request;

    lines->too_many = request->n_headers == HTTP1_HEADERS_MAX;
    if (lines->too_many)
        return 1;
    request->headers[request->n_headers].name = (struct span){at, len};
    request->headers[request->n_headers].value = (struct span){at + len, 0};
    request->n_headers++;
    return 0;
}

static int
on_value(http_parser *parser, const char *at, size_t len)
{
    struct lines *lines = parser->data;
    struct http1_request *request = lines->request;

    if (request->n_headers == 0)
        return 1;
    request->headers[request->n_headers - 1].value = trimmed(at, len);
    return 0;
}

static int
on_complete(http_parser *parser)
{
    struct lines *lines = parser->data;

    lines->request->keep_alive = http_should_keep_alive(parser);
    lines->complete = true;
    return 1; /* no body is to be expected: it is not part of what is parsed here */
}

static enum http1_result
read_headers(struct span rest, struct http1_request *request, struct http1_error *error)
{
    static const http_parser_settings settings = {
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_complete,
    };
    const char *line = request->minor == 1 ? "GET / HTTP/1.1\r\n" : "GET / HTTP/1.0\r\n";
    struct lines lines = {.request = request};
    http_parser parser;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &lines;
    http_parser_execute(&parser, &settings, line, strlen(line));
    http_parser_execute(&parser, &settings, rest.at, rest.len);
    if (lines.complete)
        return HTTP1_DONE;
    if (lines.too_many)
        return refuse(error, 431, "too many header lines");
    if (HTTP_PARSER_ERRNO(&parser) == HPE_HEADER_OVERFLOW)
        return refuse(error, 431, "request head too large");
    return refuse(error, 400, http_errno_description(HTTP_PARSER_ERRNO(&parser)));
}

/* ---- Host ---- */

static enum http1_result
read_host(struct http1_request *request, struct http1_error *error)
{
    unsigned count;
    struct span host = http1_header(request, "Host", &count);

    if (count > 1)
        return refuse(error, 400, "several Host headers");
    if (count == 0)
        return request->minor == 0 ? HTTP1_DONE : refuse(error, 400, "Host missing");
    if (!http1_is_host(host))
        return refuse(error, 400, "malformed Host");
    request->host = host;
    return HTTP1_DONE;
}

/* ---- the target ---- */

static void
split_query(struct http1_request *request, struct span target)
{
    const char *mark = target.len > 0 ? memchr(target.at, '?', target.len) : NULL;

    request->path = target;
    request->query = (struct span){target.at + target.len, 0};
    if (!mark)
        return;
    request->path.len = mark - target.at;
    request->query = (struct span){mark + 1, target.at + target.len - mark - 1};
}

/* The length of the scheme of an absolute-form target, "://" included; 0 if it has another form. */
static size_t
scheme_len(struct span target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);

        if (target.len > len && strncasecmp(target.at, schemes[i], len) == 0)
            return len;
    }
    return 0;
}

static enum http1_result
read_absolute(struct http1_request *request, struct http1_error *error, size_t scheme)
{
    struct span rest = {request->target.at + scheme, request->target.len - scheme};
    struct span authority = {rest.at, 0};

    while (authority.len < rest.len && !memchr("/?", rest.at[authority.len], 2))
        authority.len++;
    if (request->host.len == 0 || authority.len != request->host.len ||
        strncasecmp(authority.at, request->host.at, authority.len) != 0)
        return refuse(error, 400, "request target and Host name different hosts");
    rest.at += authority.len;
    rest.len -= authority.len;
    split_query(request, rest);
    /* No path is the root's. The slash is the scheme's, as spans point into the head. */
    if (request->path.len == 0)
        request->path = (struct span){request->target.at + scheme - 1, 1};
    return HTTP1_DONE;
}

static enum http1_result
read_target(struct http1_request *request, struct http1_error *error)
{
    struct span target = request->target;
    size_t scheme;

    if (read_host(request, error) != HTTP1_DONE)
        return HTTP1_ERROR;
    if (target.len > 0 && target.at[0] == '/') {
        split_query(request, target);
        return HTTP1_DONE;
    }
    if (span_is(target, "*") && request->method == HTTP1_OPTIONS) {
        split_query(request, target);
        return HTTP1_DONE;
    }
    scheme = scheme_len(target);
    return scheme ? read_absolute(request, error, scheme)
                  : refuse(error, 400, "malformed request target");
}

/* ---- what decides where the body ends ---- */

static bool
read_number(struct span text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.at[i] - '0';

        if (digit > 9 || *number > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return text.len > 0;
}

static enum http1_result
read_framing(struct http1_request *request, struct http1_error *error)
{
    unsigned lengths, codings;
    struct span length = http1_header(request, "Content-Length", &lengths);
    struct span coding = http1_header(request, "Transfer-Encoding", &codings);

    if (lengths > 0 && codings > 0)
        return refuse(error, 400, "Content-Length with Transfer-Encoding");
    if (lengths > 1)
        return refuse(error, 400, "several Content-Length headers");
    if (lengths == 1 && !read_number(length, &request->content_length))
        return refuse(error, 400, "malformed Content-Length");
    if (codings > 0 && request->minor == 0)
        return refuse(error, 400, "Transfer-Encoding in HTTP/1.0");
    if (codings > 1 || (codings == 1 && !span_is_nocase(coding, "chunked")))
        return refuse(error, 501, "only the chunked transfer coding is known here");
    request->chunked = codings == 1;
    return HTTP1_DONE;
}

static enum http1_result
read_expect(struct http1_request *request, struct http1_error *error)
{
    for (unsigned i = 0; i < request->n_headers; i++) {
        if (!span_is_nocase(request->headers[i].name, "Expect"))
            continue;
        if (!span_is_nocase(request->headers[i].value, "100-continue"))
            return refuse(error, 417, "only Expect: 100-continue is met here");
        /* A 1.0 client could not read the interim answer (RFC 9110 section 10.1.1). */
        request->expect_continue = request->minor == 1;
    }
    return HTTP1_DONE;
}

enum http1_result
http1_parse(const char *head, size_t len, struct http1_request *request, struct http1_error *error)
{
    struct span rest = {head, len};
    unsigned count;

    memset(request, 0, offsetof(struct http1_request, headers));
    if (read_request_line(&rest, request, error) != HTTP1_DONE ||
        read_headers(rest, request, error) != HTTP1_DONE ||
        read_framing(request, error) != HTTP1_DONE || read_target(request, error) != HTTP1_DONE ||
        read_expect(request, error) != HTTP1_DONE)
        return HTTP1_ERROR;
    http1_header(request, "Upgrade", &count);
    request->upgrade = count > 0;
    return HTTP1_DONE;
}

unsigned
http1_parser_version(void)
{
    return (unsigned)http_parser_version();
}
