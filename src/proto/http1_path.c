/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is percent-encoded in a request target: decoded once, and refused where it could be read in
 * two ways.
 */
#include <limits.h>

#include "proto/http1.h"
#include "proto/utf8.h"

static int
hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one byte off the front of *text, decoded. Returns it (0 to 255), or -1 if the escape is
 * broken. */
static int
take_byte(struct span *text, bool *encoded)
{
    int high, low;

    *encoded = text->at[0] == '%';
    if (!*encoded) {
        text->len--;
        return (unsigned char)*text->at++;
    }
    if (text->len < 3)
        return -1;
    high = hex(text->at[1]);
    low = hex(text->at[2]);
    if (high < 0 || low < 0)
        return -1;
    text->at += 3;
    text->len -= 3;
    return high << 4 | low;
}

/* "", "." and "..": segments that name nothing, or something else than they say. */
static bool
is_odd_segment(const char *segment, size_t len)
{
    return len == 0 || (len == 1 && segment[0] == '.') ||
           (len == 2 && segment[0] == '.' && segment[1] == '.');
}

int
http1_path_decode(struct span path, char *out)
{
    char *at = out, *segment = out + 1;
    bool encoded;

    if (path.len == 0 || path.len > INT_MAX || path.at[0] != '/')
        return -1;
    while (path.len > 0) {
        int byte = take_byte(&path, &encoded);

        if (byte <= 0 || byte == '\\' || (encoded && byte == '/'))
            return -1;
        if (byte == '/' && at > out) {
            if (is_odd_segment(segment, at - segment))
                return -1;
            segment = at + 1;
        }
        *at++ = (char)byte;
    }
    if (at > segment && is_odd_segment(segment, at - segment))
        return -1;
    *at = '\0';
    return at - out;
}

/* Whether raw, decoded, is key. */
static bool
is_key(struct span raw, const char *key)
{
    bool encoded;

    if (raw.len > 0 && raw.at[0] != '%' && raw.at[0] != *key)
        return false; /* as most are */
    if (raw.len == 0 || memchr(raw.at, '%', raw.len) == NULL)
        return span_is(raw, key);
    for (; raw.len > 0; key++) {
        int byte = take_byte(&raw, &encoded);

        if (byte < 0 || *key == '\0' || byte != (unsigned char)*key)
            return false;
    }
    return *key == '\0';
}

/* Nothing in it is encoded, and nothing is NUL. */
static bool
is_plain(struct span raw)
{
    return raw.len == 0 ||
           (memchr(raw.at, '%', raw.len) == NULL && memchr(raw.at, '\0', raw.len) == NULL);
}

static int
decode_value(struct span raw, char *out, size_t size)
{
    bool encoded;
    size_t len = 0;

    if (raw.len < size && is_plain(raw)) {
        if (raw.len > 0)
            memcpy(out, raw.at, raw.len);
        len = raw.len;
        raw.len = 0;
    }
    while (raw.len > 0) {
        int byte = take_byte(&raw, &encoded);

        if (byte <= 0 || len + 1 >= size)
            return -1;
        out[len++] = (char)byte;
    }
    if (size == 0 || !utf8_valid((const uint8_t *)out, len))
        return -1;
    out[len] = '\0';
    return 1;
}

/* Takes the next "key=value" or "key" off a raw query. */
static bool
next_pair(struct span *query, struct span *key, struct span *value)
{
    const char *end, *equals;

    if (query->len == 0)
        return false;
    end = memchr(query->at, '&', query->len);
    *key = (struct span){query->at, end ? (size_t)(end - query->at) : query->len};
    query->at += key->len + (end ? 1 : 0);
    query->len -= key->len + (end ? 1 : 0);
    *value = (struct span){key->at + key->len, 0};
    equals = key->len > 0 ? memchr(key->at, '=', key->len) : NULL;
    if (!equals)
        return true;
    *value = (struct span){equals + 1, key->at + key->len - equals - 1};
    key->len = equals - key->at;
    return true;
}

int
http1_query_get(struct span query, const char *key, char *out, size_t size)
{
    struct span name, value;
    int result = 0;

    while (next_pair(&query, &name, &value)) {
        if (!is_key(name, key))
            continue;
        if (result != 0)
            return -1;
        result = decode_value(value, out, size);
        if (result < 0)
            return -1;
    }
    return result;
}

int
http1_query_next(struct span *query, const char *key, char *out, size_t size)
{
    struct span name, value;

    while (next_pair(query, &name, &value)) {
        if (is_key(name, key))
            return decode_value(value, out, size) < 0 ? -1 : 1;
    }
    return 0;
}

bool
http1_query_doubles(struct span query, const char *const *keys)
{
    struct span name, value;
    unsigned seen = 0;

    while (next_pair(&query, &name, &value)) {
        for (unsigned i = 0; keys[i] != NULL; i++) {
            if (!is_key(name, keys[i]))
                continue;
            if ((seen & 1U << i) != 0)
                return true;
            seen |= 1U << i;
        }
    }
    return false;
}

bool
http1_query_valid(struct span query)
{
    char decoded[HTTP1_TARGET_MAX + 1];
    struct span key, value;

    if (is_plain(query))
        return query.len == 0 || utf8_valid((const uint8_t *)query.at, query.len);
    while (next_pair(&query, &key, &value)) {
        if (decode_value(key, decoded, sizeof decoded) < 0 ||
            decode_value(value, decoded, sizeof decoded) < 0)
            return false;
    }
    return true;
}
