/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/messages.h"

#include <string.h>

#include "bridge/endpoint.h"
#include "conf/conf.h"
#include "proto/base64.h"

enum {
    SLICE =
        12288, /* bytes encoded at once; a multiple of 3, so that padding comes at the end alone */
};

_Static_assert((int)GATHER_HEADROOM >= (int)ENDPOINT_HEADROOM,
               "collected messages get headers too");
_Static_assert(SLICE % 3 == 0, "slices of base64 are joined");

void
messages_init(struct messages *messages, const struct conf_route *route,
              struct metrics_route *metrics)
{
    memset(messages, 0, sizeof *messages);
    messages->route = route;
    messages->metrics = metrics;
}

void
messages_deinit(struct messages *messages)
{
    gather_clear(&messages->kept);
}

bool
messages_are_whole(const struct conf_route *route)
{
    return route->framing != CONF_FRAMING_NONE || route->messages == CONF_MESSAGES_BASE64;
}

static void
count(struct messages *messages, enum metrics_direction direction, size_t bytes, size_t n)
{
    struct metrics_flow *flow = &messages->metrics->flows[messages->transport];

    metrics_add(&flow->bytes[direction], bytes);
    metrics_add(&flow->messages[direction], n);
}

/* ---- client to target ---- */

void
messages_count_in(struct messages *messages, const struct ws_chunk *chunk)
{
    if (chunk->len > 0 || chunk->n_messages > 0)
        count(messages, METRICS_IN, chunk->len, chunk->n_messages);
}

/* Binary frames are bytes on every route. */
static void
decode(struct messages *messages, enum ws_opcode type, uint8_t *data, size_t *len,
       struct messages_fault *fault)
{
    if (messages->route->messages != CONF_MESSAGES_BASE64 || type != WS_TEXT)
        return;
    if (!base64_decode(data, (const char *)data, *len, len))
        *fault = (struct messages_fault){1007, "the message is not base64"};
}

/* MQTT 5.0 section 6: packets come in binary frames, text is to be closed. */
static bool
is_forbidden(const struct messages *messages, const struct ws_chunk *chunk)
{
    return chunk->type == WS_TEXT && conf_route_use(messages->route) == CONF_USE_MQTT;
}

bool
messages_from_client(struct messages *messages, const struct ws_chunk *chunk, uint8_t **data,
                     size_t *len, struct messages_fault *fault)
{
    bool complete = chunk->stop == WS_STOP_MESSAGE;

    *data = chunk->data;
    *len = chunk->len;
    if (is_forbidden(messages, chunk)) {
        *fault = (struct messages_fault){1003, "MQTT comes in binary messages"};
        return false;
    }
    if (!messages_are_whole(messages->route))
        return chunk->len > 0;
    if (!complete || gather_len(&messages->kept) > 0) {
        if (gather_add(&messages->kept, chunk->data, chunk->len) != 0) {
            *fault = (struct messages_fault){1011, "out of memory"};
            return false;
        }
        if (!complete)
            return false;
        *data = gather_data(&messages->kept);
        *len = gather_len(&messages->kept);
    }
    decode(messages, chunk->type, *data, len, fault);
    if (messages->route->framing == CONF_FRAMING_LENGTH16 && *len > UINT16_MAX)
        *fault = (struct messages_fault){1009, "the message does not fit a length of 16 bits"};
    return fault->code == 0;
}

void
messages_sent(struct messages *messages)
{
    gather_clear(&messages->kept);
}

/* ---- target to client ---- */

void
messages_count_out(struct messages *messages, size_t bytes, size_t n)
{
    count(messages, METRICS_OUT, bytes, n);
}

/* Each time one whole message: parts, where it does not fit into one slice. */
static void
put_base64(struct messages *messages, messages_put_cb *put, const uint8_t *data, size_t len)
{
    uint8_t text[ENDPOINT_HEADROOM + SLICE / 3 * 4];
    enum ws_opcode opcode = WS_TEXT;

    do {
        size_t slice = len < SLICE ? len : SLICE;

        base64_encode((char *)text + ENDPOINT_HEADROOM, data, slice);
        put(messages, text + ENDPOINT_HEADROOM, base64_encoded_len(slice), opcode, slice == len);
        opcode = WS_CONTINUATION;
        data += slice;
        len -= slice;
    } while (len > 0);
}

/* What comes before the first invalid byte, up to the end of a character. */
static size_t
valid_part(const uint8_t *data, size_t len)
{
    struct utf8 utf8 = {0};
    size_t valid = utf8_take(&utf8, data, len);

    return valid - utf8_cut(data, valid);
}

static void
put_text(struct messages *messages, messages_put_cb *put, uint8_t *data, size_t len,
         struct messages_fault *fault)
{
    bool framed = messages->route->framing != CONF_FRAMING_NONE;
    size_t cut;

    /* What was cut goes in front; a header still fits before it. */
    data -= messages->cut_len;
    len += messages->cut_len;
    memcpy(data, messages->cut, messages->cut_len);
    cut = framed ? 0 : utf8_cut(data, len);
    messages->cut_len = (uint8_t)cut;
    memcpy(messages->cut, data + len - cut, cut);
    len -= cut;
    if (!utf8_valid(data, len)) {
        *fault = (struct messages_fault){1007, "the target's bytes are not UTF-8"};
        len = framed ? 0 : valid_part(data, len);
    }
    if (len > 0 || (framed && fault->code == 0))
        put(messages, data, len, WS_TEXT, true);
}

void
messages_to_client(struct messages *messages, messages_put_cb *put, uint8_t *data, size_t len,
                   struct messages_fault *fault)
{
    switch (messages->route->messages) {
    case CONF_MESSAGES_BINARY:
        put(messages, data, len, WS_BINARY, true);
        break;
    case CONF_MESSAGES_TEXT:
        put_text(messages, put, data, len, fault);
        break;
    case CONF_MESSAGES_BASE64:
        put_base64(messages, put, data, len);
        break;
    }
}

bool
messages_may_be_piped(const struct conf_route *route)
{
    return route->messages == CONF_MESSAGES_BINARY && route->framing == CONF_FRAMING_NONE;
}

void
messages_end(struct messages *messages, struct messages_fault *fault)
{
    if (messages->cut_len > 0)
        *fault = (struct messages_fault){1007, "the target's text ends inside a character"};
}
