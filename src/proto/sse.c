/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/sse.h"

#include <stdio.h>
#include <string.h>

#include "proto/base64.h"

#define BINARY_BEGIN "event: binary\nid: "
#define TEXT_BEGIN   "event: text\nid: "
#define DATA         "\ndata: "
#define END          "\n\n"

/* ---- JSON ---- */

/* How long a byte is in a JSON string. */
static size_t
escaped_len(uint8_t byte)
{
    if (byte == '"' || byte == '\\' || byte == '\n' || byte == '\r' || byte == '\t')
        return 2;
    return byte < 0x20 ? 6 : 1;
}

static char *
escape(char *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    if (byte >= 0x20 || byte == '\n' || byte == '\r' || byte == '\t') {
        *out++ = '\\';
        *out++ = byte == '\n' ? 'n' : byte == '\r' ? 'r' : byte == '\t' ? 't' : (char)byte;
        return out;
    }
    out = stpcpy(out, "\\u00");
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
    return out;
}

size_t
sse_json_len(const uint8_t *text, size_t len)
{
    size_t n = 2;

    for (size_t i = 0; i < len; i++)
        n += escaped_len(text[i]);
    return n;
}

size_t
sse_json(char *out, const uint8_t *text, size_t len)
{
    char *at = out;

    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (escaped_len(text[i]) == 1)
            *at++ = (char)text[i];
        else
            at = escape(at, text[i]);
    }
    *at++ = '"';
    return (size_t)(at - out);
}

/* ---- events ---- */

size_t
sse_message_len(size_t id_len, const uint8_t *data, size_t len, bool text)
{
    size_t begin = text ? sizeof TEXT_BEGIN - 1 : sizeof BINARY_BEGIN - 1;

    return begin + id_len + sizeof DATA - 1 + sizeof END - 1 +
           (text ? sse_json_len(data, len) : base64_encoded_len(len));
}

size_t
sse_message(char *out, const char *id, const uint8_t *data, size_t len, bool text)
{
    char *at = stpcpy(stpcpy(stpcpy(out, text ? TEXT_BEGIN : BINARY_BEGIN), id), DATA);

    if (text) {
        at += sse_json(at, data, len);
    } else {
        base64_encode(at, data, len);
        at += base64_encoded_len(len);
    }
    memcpy(at, END, sizeof END - 1);
    return (size_t)(at - out) + sizeof END - 1;
}

size_t
sse_event(char *out, size_t size, const char *name, const char *id, const char *data)
{
    int n = snprintf(out, size, "event: %s\n%s%s%sdata: %s\n\n", name, id != NULL ? "id: " : "",
                     id != NULL ? id : "", id != NULL ? "\n" : "", data);

    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}
