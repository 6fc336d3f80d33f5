/* SPDX-License-Identifier: BSD-2-Clause */
#include "packets.h"

#include <string.h>

enum {
    CONNECT = 0x10,
    PUBLISH = 0x30,
    SUBSCRIBE = 0x82,
    TEXT = 0x81,
    BINARY = 0x82,
};

/* Makes what is in out, below 64 KiB, a masked frame's payload. */
static size_t
put_in_frame(uint8_t *out, uint8_t first, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t header = len < 126 ? 6 : 8;

    memmove(out + header, out, len);
    out[0] = first;
    out[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
    if (len >= 126) {
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
    }
    memcpy(out + header - 4, key, sizeof key);
    for (size_t i = 0; i < len; i++)
        out[header + i] ^= key[i % sizeof key];
    return header + len;
}

static size_t
put_string(uint8_t *out, const char *text)
{
    size_t len = strlen(text);

    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    memcpy(out + 2, text, len);
    return 2 + len;
}

/* The type and the length of the rest. */
static size_t
begin(uint8_t *out, uint8_t type, size_t rest)
{
    size_t at = 0;

    out[at++] = type;
    for (; rest >= 128; rest /= 128)
        out[at++] = (uint8_t)(0x80 | rest % 128);
    out[at++] = (uint8_t)rest;
    return at;
}

size_t
packet_connect(uint8_t *out, bool framed)
{
    static const uint8_t body[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
    size_t at = begin(out, CONNECT, sizeof body);

    memcpy(out + at, body, sizeof body);
    at += sizeof body;
    return framed ? put_in_frame(out, BINARY, at) : at;
}

size_t
packet_subscribe(uint8_t *out, bool framed, const char *topic)
{
    size_t at = begin(out, SUBSCRIBE, 2 + 2 + strlen(topic) + 1);

    out[at++] = 0;
    out[at++] = 1;
    at += put_string(out + at, topic);
    out[at++] = 0;
    return framed ? put_in_frame(out, BINARY, at) : at;
}

size_t
packet_publish(uint8_t *out, bool framed, const char *topic, const void *data, size_t len)
{
    size_t at = begin(out, PUBLISH, 2 + strlen(topic) + len);

    at += put_string(out + at, topic);
    memcpy(out + at, data, len);
    at += len;
    return framed ? put_in_frame(out, BINARY, at) : at;
}

size_t
packet_text(uint8_t *out, const void *data, size_t len)
{
    memcpy(out, data, len);
    return put_in_frame(out, TEXT, len);
}
