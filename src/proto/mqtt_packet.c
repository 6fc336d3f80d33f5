/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mqtt_packet.h"

/* Lengths that are longer than they need be are taken: 3.1.1 allows them, and they mean the same to
 * everybody. */
enum mqtt_found
mqtt_header_read(const uint8_t *bytes, size_t len, struct mqtt_header *header)
{
    uint32_t body = 0;

    for (size_t i = 1; i < MQTT_HEADER_MAX; i++) {
        if (i >= len)
            return MQTT_CUT;
        body |= (uint32_t)(bytes[i] & 0x7f) << (7 * (i - 1));
        if ((bytes[i] & 0x80) != 0)
            continue;
        *header = (struct mqtt_header){bytes[0], (uint8_t)(i + 1), body};
        return MQTT_FOUND;
    }
    return MQTT_WRONG;
}

size_t
mqtt_header_write(uint8_t *out, uint8_t first, size_t body)
{
    size_t len = 0;

    out[len++] = first;
    do {
        out[len++] = (uint8_t)((body & 0x7f) | (body > 0x7f ? 0x80 : 0));
        body >>= 7;
    } while (body > 0);
    return len;
}

/* Takes a header, or what there is of it. */
static size_t
take_header(struct mqtt_bounds *bounds, const uint8_t *bytes, size_t len)
{
    struct mqtt_header header;
    size_t n = 0;

    while (n < len) {
        bounds->cut[bounds->cut_len++] = bytes[n++];
        switch (mqtt_header_read(bounds->cut, bounds->cut_len, &header)) {
        case MQTT_FOUND:
            bounds->left = header.body;
            bounds->cut_len = 0;
            return n;
        case MQTT_WRONG:
            bounds->lost = true;
            return len;
        case MQTT_CUT:
            break;
        }
    }
    return n;
}

size_t
mqtt_bounds_next(struct mqtt_bounds *bounds, const uint8_t *bytes, size_t len)
{
    size_t n = 0, body;

    if (bounds->lost || len == 0)
        return len;
    if (bounds->left == 0) {
        n = take_header(bounds, bytes, len);
        if (bounds->lost)
            return len;
    }
    body = bounds->left < len - n ? bounds->left : len - n;
    bounds->left -= (uint32_t)body;
    return n + body;
}

void
mqtt_bounds_skip(struct mqtt_bounds *bounds, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = mqtt_bounds_next(bounds, bytes, len);

        bytes += n;
        len -= n;
    }
}
