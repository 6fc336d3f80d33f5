/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/units.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "bridge/endpoint.h"
#include "conf/conf.h"
#include "net/stream.h"
#include "proto/framing.h"

struct units {
    struct framing_decoder decoder;
    struct framing_encoder encoder;
    struct gather kept; /* of a unit that is not complete */
};

static enum framing
framing_of(const struct conf_route *route)
{
    switch (route->framing) {
    case CONF_FRAMING_LINE:
        return FRAMING_LINE;
    case CONF_FRAMING_LENGTH16:
        return FRAMING_LENGTH16;
    case CONF_FRAMING_LENGTH32:
        return FRAMING_LENGTH32;
    case CONF_FRAMING_NONE:
        break;
    }
    return FRAMING_NONE;
}

struct units *
units_new(const struct conf_route *route)
{
    struct units *units = calloc(1, sizeof *units);

    if (units == NULL)
        return NULL;
    framing_decoder_init(&units->decoder, framing_of(route), route->message_max);
    framing_encoder_init(&units->encoder, framing_of(route));
    return units;
}

void
units_free(struct units *units)
{
    if (units == NULL)
        return;
    gather_clear(&units->kept);
    free(units);
}

/* ---- target to client ---- */

static void
deliver_kept(struct units *units, struct endpoint *endpoint)
{
    uint8_t empty[GATHER_HEADROOM + 1]; /* a message of no bytes gets a header too */
    struct gather unit = units->kept;

    memset(&units->kept, 0, sizeof units->kept);
    endpoint->events->deliver(endpoint,
                              gather_len(&unit) > 0 ? gather_data(&unit) : empty + GATHER_HEADROOM,
                              gather_len(&unit), 0);
    gather_clear(&unit);
}

/* Returns NULL, or what is wrong. in: where the piece lies, writable; NULL where it lies in a
 * constant. */
static const char *
take(struct units *units, struct endpoint *endpoint, const struct framing_piece *piece, uint8_t *in)
{
    if (piece->stop == FRAMING_ERROR)
        return piece->why;
    if (piece->stop == FRAMING_UNIT && piece->first && in != NULL) {
        endpoint->events->deliver(endpoint, in, piece->len, 0);
        return NULL;
    }
    if (gather_add(&units->kept, piece->at, piece->len) != 0)
        return "out of memory";
    if (piece->stop == FRAMING_UNIT)
        deliver_kept(units, endpoint);
    return NULL;
}

/* Where in the caller's bytes a piece lies. */
static uint8_t *
writable(const struct framing_piece *piece, uint8_t *data, size_t len)
{
    if (piece->at < data || piece->at > data + len)
        return NULL;
    return data + (piece->at - data);
}

const char *
units_from_target(struct units *units, struct endpoint *endpoint, uint8_t *data, size_t len,
                  const bool *over)
{
    struct framing_piece piece;

    while (len > 0 && !*over) {
        size_t used = framing_decode(&units->decoder, data, len, &piece);
        const char *why = take(units, endpoint, &piece, writable(&piece, data, len));

        if (why != NULL)
            return why;
        data += used;
        len -= used;
    }
    return NULL;
}

const char *
units_end(struct units *units, struct endpoint *endpoint)
{
    struct framing_piece piece;

    framing_decode_end(&units->decoder, &piece);
    return take(units, endpoint, &piece, NULL);
}

/* ---- client to target ---- */

void
units_to_target(struct units *units, struct stream *stream, uint8_t *data, size_t len)
{
    uint8_t prefix[FRAMING_PREFIX_MAX];
    uint8_t suffix[FRAMING_SUFFIX_MAX];
    int before = framing_encode_begin(&units->encoder, len, prefix);
    size_t behind;

    assert(before >= 0); /* the client's side has refused what does not fit */
    framing_encode_piece(&units->encoder, data, len);
    behind = framing_encode_end(&units->encoder, suffix);
    /* All in one write. The room is before the data: behind it the client's next frame may lie. */
    memmove(data - behind, data, len);
    data -= behind;
    memcpy(data + len, suffix, behind);
    memcpy(data - before, prefix, (size_t)before);
    stream_write(stream, data - before, (size_t)before + len + behind);
}
