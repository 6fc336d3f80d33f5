/* SPDX-License-Identifier: BSD-2-Clause */
#include "poll_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of a header, up to its line's end, or NULL. name is with the LF before and the colon after. */
static const char *
find_header(const char *head, const char *end, const char *name, size_t *len)
{
    size_t name_len = strlen(name);

    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        if ((size_t)(end - at) <= name_len || strncasecmp(at, name, name_len) != 0)
            continue;
        at += name_len;
        at += strspn(at, " ");
        *len = strcspn(at, "\r\n");
        return at;
    }
    return NULL;
}

static void
copy(char *out, size_t size, const char *text, size_t len)
{
    if (text == NULL)
        return;
    if (len >= size)
        len = size - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

/* It is the last member of culvert's object. */
static void
find_since(const char *body, size_t len, struct poll_place *place)
{
    static const char name[] = "\"since\":\"";
    const char *found = NULL, *at = body;

    while ((at = memmem(at, len - (size_t)(at - body), name, sizeof name - 1)) != NULL) {
        at += sizeof name - 1;
        found = at;
    }
    if (found != NULL)
        copy(place->since, sizeof place->since, found, strcspn(found, "\""));
}

ssize_t
poll_answer_read(const char *data, size_t len, const char **body, struct poll_place *place)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4), *value;
    size_t value_len, length = 0;
    int status;

    if (end == NULL)
        return 0;
    end += 4;
    if (len < 12 || memcmp(data, "HTTP/1.1 ", 9) != 0)
        return -1;
    status = atoi(data + 9);
    if ((status < 200 || status > 204) && status != 304)
        return -1;
    value = find_header(data, end, "\nContent-Length:", &value_len);
    if (value == NULL && status == 200)
        return -1; /* chunked: no server does that here */
    if (value != NULL)
        length = strtoul(value, NULL, 10);
    if (len - (size_t)(end - data) < length)
        return 0;
    value = find_header(data, end, "\nEtag:", &value_len);
    copy(place->etag, sizeof place->etag, value, value_len);
    value = find_header(data, end, "\nLast-Modified:", &value_len);
    copy(place->modified, sizeof place->modified, value, value_len);
    if (length > 0)
        find_since(end, length, place);
    *body = end;
    return end + length - data;
}

size_t
poll_answer_next(char *out, size_t size, const char *path, const char *headers,
                 const struct poll_place *place)
{
    int len =
        snprintf(out, size, "GET %s%s%s HTTP/1.1\r\nHost: localhost\r\n%s", path,
                 place->since[0] != '\0' ? strchr(path, '?') != NULL ? "&since=" : "?since=" : "",
                 place->since, headers);

    if (place->modified[0] != '\0')
        len += snprintf(out + len, size - (size_t)len,
                        "If-Modified-Since: %s\r\nIf-None-Match: %s\r\n", place->modified,
                        place->etag);
    len += snprintf(out + len, size - (size_t)len, "\r\n");
    return (size_t)len;
}
