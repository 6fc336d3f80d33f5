/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads: the scan whole, cut in two and byte by byte; then, if complete, the parser and the readers
 * of paths, queries and lists. Input: head_max, where to cut, the head.
 */
#include "fuzz.h"
#include "proto/http1.h"
#include "proto/http1_class.h"
#include "proto/utf8.h"

struct scanned {
    enum http1_result result;
    int status;
    const char *why;
    size_t used; /* on HTTP1_DONE */
};

static struct scanned
scan_cut(struct fuzz in, size_t head_max, size_t first, size_t step)
{
    struct scanned out = {.result = HTTP1_MORE};
    struct http1_scan scan;
    size_t at = 0, len = first, used;

    http1_scan_init(&scan, head_max);
    while (at < in.len && out.result == HTTP1_MORE) {
        char *piece;

        if (len > in.len - at)
            len = in.len - at;
        piece = fuzz_copy(in.at + at, len);
        out.result = http1_scan(&scan, piece, len, &used);
        free(piece);
        CHECK(used <= len && (out.result != HTTP1_MORE || used == len));
        at += used;
        len = step;
    }
    CHECK(scan.seen <= head_max || in.len == 0);
    if (out.result == HTTP1_ERROR) {
        out.status = scan.error.status;
        out.why = scan.error.why;
        CHECK(out.status == 400 || out.status == 414 || out.status == 431);
    }
    out.used = out.result == HTTP1_DONE ? at : 0;
    return out;
}

static void
check_same(struct scanned a, struct scanned b)
{
    CHECK(a.result == b.result);
    CHECK(a.status == b.status);
    CHECK(a.why == b.why || strcmp(a.why, b.why) == 0);
    CHECK(a.used == b.used);
}

static void
check_inside(struct span s, const char *head, size_t len)
{
    CHECK(s.at >= head && s.len <= len && s.at + s.len <= head + len);
}

static void
check_path(struct span path)
{
    char *out = malloc(path.len + 1);
    int len;

    CHECK(out != NULL);
    len = http1_path_decode(path, out);
    if (len >= 0) {
        CHECK(out[0] == '/' && strlen(out) == (size_t)len && (size_t)len <= path.len);
        CHECK(!strstr(out, "//") && !strstr(out, "/./") && !strstr(out, "/../"));
        CHECK(!strchr(out, '\\'));
        CHECK(len < 2 || strcmp(out + len - 2, "/.") != 0);
        CHECK(len < 3 || strcmp(out + len - 3, "/..") != 0);
    }
    free(out);
}

static void
check_query(struct span query)
{
    static const char *const keys[] = {"session", "a", ""};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        for (size_t size = 1; size <= 64; size *= 8) {
            char *out = malloc(size);

            CHECK(out != NULL);
            if (http1_query_get(query, keys[i], out, size) == 1)
                CHECK(strlen(out) < size && utf8_valid((const uint8_t *)out, strlen(out)));
            free(out);
        }
}

static void
check_list(struct span list)
{
    struct span rest = list, element;
    const char *seen = list.at;

    while (http1_list_next(&rest, &element)) {
        CHECK(element.len > 0 && element.at >= seen);
        CHECK(!http1_is_space(element.at[0]) && !http1_is_space(element.at[element.len - 1]));
        check_inside(element, list.at, list.len);
        CHECK(rest.at >= element.at + element.len && rest.at + rest.len == list.at + list.len);
        seen = rest.at;
    }
}

static void
check_header(const struct http1_header *header, const char *head, size_t len)
{
    check_inside(header->name, head, len);
    check_inside(header->value, head, len);
    CHECK(http1_is_token(header->name));
    for (size_t i = 0; i < header->value.len; i++)
        CHECK(http1_is_field_char(header->value.at[i]));
    if (header->value.len > 0)
        CHECK(!http1_is_space(header->value.at[0]) &&
              !http1_is_space(header->value.at[header->value.len - 1]));
    check_list(header->value);
}

/* How many lines between the request line and the empty one there are: each is a header of its own.
 */
static unsigned
count_lines(const char *head, size_t len)
{
    unsigned lines = 0;
    size_t at = 0;

    while (head[at] == '\r')
        at += 2;
    for (; at < len; at++)
        lines += head[at] == '\n';
    return lines - 2;
}

static void
check_request(const struct http1_request *r, const char *head, size_t len)
{
    CHECK(r->n_headers == count_lines(head, len));
    for (unsigned i = 0; i < r->n_headers; i++)
        check_header(&r->headers[i], head, len);
    check_inside(r->method_name, head, len);
    check_inside(r->target, head, len);
    CHECK(http1_is_token(r->method_name) && r->target.len > 0);
    CHECK(r->path.len > 0 && (r->path.at[0] == '/' || span_is(r->path, "*")));
    check_inside(r->path, head, len);
    check_inside(r->query, head, len);
    CHECK(r->minor == 0 || r->minor == 1);
    CHECK(r->minor == 0 || http1_is_host(r->host));
    CHECK(!r->chunked || (r->content_length == 0 && r->minor == 1));
    CHECK(r->content_length <= INT64_MAX);
    check_path(r->path);
    check_query(r->query);
    http1_has_token(r, "Connection", "upgrade");
}

static void
parse(struct fuzz in, size_t used)
{
    struct http1_request *request = malloc(sizeof *request);
    struct http1_error error = {0};
    char *head = fuzz_copy(in.at, used);

    CHECK(request != NULL);
    memset(request, 0xa5, sizeof *request);
    if (http1_parse(head, used, request, &error) == HTTP1_DONE)
        check_request(request, head, used);
    else
        CHECK(error.why && http1_reason(error.status)[0] != 'U' /* nknown */);
    free(head);
    free(request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    size_t head_max = fuzz_u16(&in), cut = fuzz_u16(&in);
    struct scanned whole;

    if (in.len == 0 || head_max == 0)
        return 0;
    whole = scan_cut(in, head_max, in.len, 1);
    check_same(whole, scan_cut(in, head_max, cut % in.len, in.len));
    check_same(whole, scan_cut(in, head_max, 1, 1));
    if (whole.result == HTTP1_DONE)
        parse(in, whole.used);
    check_path((struct span){(const char *)in.at, in.len});
    check_query((struct span){(const char *)in.at, in.len});
    check_list((struct span){(const char *)in.at, in.len});
    return 0;
}
