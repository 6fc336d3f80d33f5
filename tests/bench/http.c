/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/list.h"
#include "client.h"

enum {
    REQUEST_MAX = 65536,
};

/* ---- answers ---- */

static void
take_status(struct http_answer *answer)
{
    if (sscanf(answer->line, "HTTP/1.1 %3d", &answer->status) != 1)
        fail("an answer that is not HTTP/1.1");
    answer->state = HTTP_FIELDS;
}

static const char *
value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    line += len + 1;
    return line + strspn(line, " \t");
}

static void
take_field(struct http_answer *answer)
{
    const char *line = answer->line, *value;

    if ((value = value_of(line, "Content-Length")) != NULL) {
        answer->left = strtoull(value, NULL, 10);
        answer->has_length = true;
    }
    if ((value = value_of(line, "Transfer-Encoding")) != NULL)
        answer->chunked = true;
    if ((value = value_of(line, "ETag")) != NULL)
        snprintf(answer->etag, sizeof answer->etag, "%s", value);
    if ((value = value_of(line, "Last-Modified")) != NULL)
        snprintf(answer->modified, sizeof answer->modified, "%s", value);
}

static void
finish(struct http *http)
{
    http->answer.state = HTTP_NONE;
    http->events->done(http);
}

static void
end_of_head(struct http *http)
{
    struct http_answer *answer = &http->answer;

    answer->state = answer->chunked ? HTTP_CHUNK_SIZE : HTTP_LENGTH;
    if (answer->status == 200 && !answer->chunked && !answer->has_length)
        answer->left = UINT64_MAX; /* a stream that the connection's end ends */
    if (http->events->head != NULL)
        http->events->head(http);
    if (!answer->chunked && answer->left == 0)
        finish(http);
}

static void
take_line(struct http *http)
{
    struct http_answer *answer = &http->answer;

    switch (answer->state) {
    case HTTP_STATUS:
        take_status(answer);
        break;
    case HTTP_FIELDS:
        if (answer->line[0] == '\0')
            end_of_head(http);
        else
            take_field(answer);
        break;
    case HTTP_CHUNK_SIZE:
        answer->left = strtoull(answer->line, NULL, 16);
        answer->state = answer->left > 0 ? HTTP_CHUNK : HTTP_TRAILER;
        break;
    case HTTP_CHUNK_END:
        answer->state = HTTP_CHUNK_SIZE;
        break;
    case HTTP_TRAILER:
        if (answer->line[0] == '\0')
            finish(http);
        break;
    default:
        fail("an answer that nobody asked for");
    }
}

/* Bytes of a line; the line is taken when it is complete. Returns how many. */
static size_t
collect_line(struct http *http, const uint8_t *data, size_t len)
{
    struct http_answer *answer = &http->answer;
    const uint8_t *end = memchr(data, '\n', len);
    size_t n = end != NULL ? (size_t)(end - data) : len;

    if (answer->line_len + n >= sizeof answer->line)
        fail("a line of an answer is too long");
    memcpy(answer->line + answer->line_len, data, n);
    answer->line_len += n;
    if (end == NULL)
        return n;
    if (answer->line_len > 0 && answer->line[answer->line_len - 1] == '\r')
        answer->line_len--;
    answer->line[answer->line_len] = '\0';
    answer->line_len = 0;
    take_line(http);
    return n + 1;
}

static size_t
pass_body(struct http *http, uint8_t *data, size_t len)
{
    struct http_answer *answer = &http->answer;
    size_t n = len < answer->left ? len : (size_t)answer->left;

    answer->left -= n;
    http->events->body(http, data, n);
    if (answer->left > 0 || http->link.wire.fd < 0)
        return n;
    if (answer->state == HTTP_CHUNK)
        answer->state = HTTP_CHUNK_END;
    else
        finish(http);
    return n;
}

static void
on_data(struct link *link, uint8_t *data, size_t len)
{
    struct http *http = container_of(link, struct http, link);

    while (len > 0 && link->wire.fd >= 0) {
        bool body = http->answer.state == HTTP_LENGTH || http->answer.state == HTTP_CHUNK;
        size_t n = body ? pass_body(http, data, len) : collect_line(http, data, len);

        data += n;
        len -= n;
    }
}

/* ---- connections ---- */

static void
on_open(struct link *link)
{
    struct http *http = container_of(link, struct http, link);

    http->events->open(http);
}

static void
on_ended(struct link *link)
{
    struct http *http = container_of(link, struct http, link);

    if (http_is_busy(http) || http->events->ended == NULL)
        fail("the server ended a connection");
    http->events->ended(http);
}

void
http_init(struct http *http, struct crowd *crowd, const struct http_events *events)
{
    static const struct link_events link_events = {on_open, on_data, on_ended};

    memset(http, 0, sizeof *http);
    link_init(&http->link, crowd, &link_events);
    http->events = events;
}

void
http_open(struct http *http)
{
    http->answer.state = HTTP_NONE;
    link_open(&http->link);
}

void
http_close(struct http *http)
{
    link_close(&http->link);
}

bool
http_is_busy(const struct http *http)
{
    return http->answer.state != HTTP_NONE;
}

void
http_request(struct http *http, const char *method, const char *path, const char *headers,
             const void *body, size_t len)
{
    static char request[REQUEST_MAX];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method,
                     path, headers);

    if (body != NULL)
        n += sprintf(request + n, "Content-Length: %zu\r\n", len);
    n += sprintf(request + n, "\r\n");
    if ((size_t)n + len > sizeof request)
        fail("a request is too long");
    if (body != NULL)
        memcpy(request + n, body, len);
    memset(&http->answer, 0, sizeof http->answer);
    http->answer.state = HTTP_STATUS;
    link_send(&http->link, request, (size_t)n + len);
}
