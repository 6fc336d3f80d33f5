/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies (RFC 9112 sections 6 and 7.1). The chunked coding is read to the letter: where the grammar
 * is stretched, two readers may see the end of a body in two places.
 */
#include "proto/http1.h"
#include "proto/http1_class.h"

enum state {
    SIZE_FIRST,
    SIZE,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    END_LF,
    END,
    BAD,
    /* From here on each byte counts as extra. */
    EXTENSION,
    EXTENSION_NAME,
    EXTENSION_VALUE_FIRST,
    EXTENSION_VALUE,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPED,
    EXTENSION_UNQUOTED,
    TRAILER,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
};

static enum http1_result
refuse(struct http1_body *body, const char *why)
{
    body->state = BAD;
    body->error.status = 400;
    body->error.why = why;
    return HTTP1_ERROR;
}

void
http1_body_init(struct http1_body *body, const struct http1_request *request)
{
    memset(body, 0, sizeof *body);
    body->chunked = request->chunked;
    body->left = request->chunked ? 0 : request->content_length;
    body->state = body->chunked ? SIZE_FIRST : DATA;
}

/* What may follow a size, a name or a value in the line of a chunk's size. */
static uint8_t
after_part(char byte)
{
    return byte == ';' ? EXTENSION : byte == '\r' ? SIZE_LF : BAD;
}

static uint8_t
size_digit(struct http1_body *body, char byte)
{
    unsigned digit = (unsigned char)byte - '0';

    if (digit > 9) {
        digit = ((unsigned char)byte | 0x20) - 'a' + 10;
        if (digit < 10 || digit > 15)
            return body->state == SIZE ? after_part(byte) : BAD;
    }
    if (body->left > (uint64_t)INT64_MAX >> 4)
        return BAD;
    if (body->left == 0 && digit == 0)
        body->extra++; /* or zeros could be sent for ever */
    body->left = body->left << 4 | digit;
    return SIZE;
}

static uint8_t
extension_step(uint8_t state, char byte)
{
    switch (state) {
    case EXTENSION:
        return http1_is_token_char(byte) ? EXTENSION_NAME : BAD;
    case EXTENSION_NAME:
        if (byte == '=')
            return EXTENSION_VALUE_FIRST;
        return http1_is_token_char(byte) ? EXTENSION_NAME : after_part(byte);
    case EXTENSION_VALUE_FIRST:
        if (byte == '"')
            return EXTENSION_QUOTED;
        return http1_is_token_char(byte) ? EXTENSION_VALUE : BAD;
    case EXTENSION_VALUE:
        return http1_is_token_char(byte) ? EXTENSION_VALUE : after_part(byte);
    case EXTENSION_QUOTED:
        if (byte == '"')
            return EXTENSION_UNQUOTED;
        if (byte == '\\')
            return EXTENSION_ESCAPED;
        return http1_is_field_char(byte) ? EXTENSION_QUOTED : BAD;
    case EXTENSION_ESCAPED:
        return http1_is_field_char(byte) ? EXTENSION_QUOTED : BAD;
    default:
        return after_part(byte);
    }
}

static uint8_t
trailer_step(uint8_t state, char byte)
{
    switch (state) {
    case TRAILER:
        if (byte == '\r')
            return END_LF;
        return http1_is_token_char(byte) ? TRAILER_NAME : BAD;
    case TRAILER_NAME:
        if (byte == ':')
            return TRAILER_VALUE;
        return http1_is_token_char(byte) ? TRAILER_NAME : BAD;
    case TRAILER_VALUE:
        if (byte == '\r')
            return TRAILER_LF;
        return http1_is_field_char(byte) ? TRAILER_VALUE : BAD;
    default:
        return byte == '\n' ? TRAILER : BAD;
    }
}

static uint8_t
next_state(struct http1_body *body, char byte)
{
    switch (body->state) {
    case SIZE_FIRST:
    case SIZE:
        return size_digit(body, byte);
    case SIZE_LF:
        if (byte != '\n')
            return BAD;
        return body->left > 0 ? DATA : TRAILER;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE_FIRST : BAD;
    case END_LF:
        return byte == '\n' ? END : BAD;
    default:
        return body->state < TRAILER ? extension_step(body->state, byte)
                                     : trailer_step(body->state, byte);
    }
}

static size_t
take_data(struct http1_body *body, char *data, size_t len, char **data_at, size_t *data_len)
{
    *data_at = data;
    *data_len = body->left < len ? body->left : len;
    body->left -= *data_len;
    body->total += *data_len;
    return *data_len;
}

static enum http1_result
chunked(struct http1_body *body, char *data, size_t len, size_t *used, char **data_at,
        size_t *data_len)
{
    while (*used < len && body->state != END && body->state != BAD) {
        if (body->state == DATA) {
            if (*data_len > 0)
                return HTTP1_MORE; /* one piece a call: moving them together is not worth it */
            *used += take_data(body, data + *used, len - *used, data_at, data_len);
            if (body->left == 0)
                body->state = DATA_CR;
            continue;
        }
        if (body->state >= EXTENSION)
            body->extra++;
        body->state = next_state(body, data[(*used)++]);
        if (body->state == BAD)
            return refuse(body, "malformed chunked body");
        if (body->extra > HTTP1_EXTRA_MAX)
            return refuse(body, "too much beside the data in a chunked body");
    }
    return body->state == END ? HTTP1_DONE : body->state == BAD ? HTTP1_ERROR : HTTP1_MORE;
}

enum http1_result
http1_body(struct http1_body *body, char *data, size_t len, size_t *used, char **data_at,
           size_t *data_len)
{
    *used = 0;
    *data_at = data;
    *data_len = 0;
    if (body->chunked)
        return chunked(body, data, len, used, data_at, data_len);
    *used = take_data(body, data, len, data_at, data_len);
    return body->left == 0 ? HTTP1_DONE : HTTP1_MORE;
}
