/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Header values and lists. The scan is in http1_scan.c, the head in http1_parse.c and
 * http1_target.c, the body in http1_body.c.
 */
#include "proto/http1.h"
#include "proto/http1_class.h"

struct span
http1_header(const struct http1_request *request, const char *name, unsigned *count)
{
    struct span value = {NULL, 0};
    size_t len = strlen(name);

    *count = 0;
    for (unsigned i = 0; i < request->n_headers; i++) {
        const struct span *found = &request->headers[i].name;

        if (found->len != len || strncasecmp(found->at, name, len) != 0)
            continue;
        if ((*count)++ == 0)
            value = request->headers[i].value;
    }
    return value;
}

/* How long the element at the front of a list is: up to a comma that is not inside quotes. */
static size_t
element_len(struct span list)
{
    const char *comma = memchr(list.at, ',', list.len);
    size_t first = comma != NULL ? (size_t)(comma - list.at) : list.len;
    bool quoted = false;
    size_t i;

    if (memchr(list.at, '"', first) == NULL)
        return first;
    for (i = 0; i < list.len; i++) {
        char c = list.at[i];

        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted && i + 1 < list.len)
            i++;
        else if (c == ',' && !quoted)
            break;
    }
    return i;
}

bool
http1_list_next(struct span *rest, struct span *element)
{
    while (rest->len > 0 && (http1_is_space(rest->at[0]) || rest->at[0] == ',')) {
        rest->at++;
        rest->len--;
    }
    if (rest->len == 0)
        return false;
    *element = (struct span){rest->at, element_len(*rest)};
    rest->at += element->len;
    rest->len -= element->len;
    while (http1_is_space(element->at[element->len - 1]))
        element->len--;
    return true;
}

bool
http1_has_token(const struct http1_request *request, const char *name, const char *token)
{
    for (unsigned i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;

        if (!span_is_nocase(request->headers[i].name, name))
            continue;
        while (http1_list_next(&rest, &element))
            if (span_is_nocase(element, token))
                return true;
    }
    return false;
}

const char *
http1_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

bool
http1_is_media_type(struct span value, const char *media_type)
{
    size_t len = strlen(media_type);

    if (value.len < len || strncasecmp(value.at, media_type, len) != 0)
        return false;
    while (len < value.len && http1_is_space(value.at[len]))
        len++;
    return len == value.len || value.at[len] == ';';
}
