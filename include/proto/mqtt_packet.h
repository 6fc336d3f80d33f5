/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_packet -- where MQTT's packets begin and end (MQTT 3.1.1 and 5.0, section 2.1).
 *
 *      +-------------+------------------------+---- - - - ----+
 *      | type, flags | length of the body,    | the body      |
 *      |    1 byte   | 1 to 4 bytes           |               |
 *      +-------------+------------------------+---- - - - ----+
 *
 * Thread:    any; a struct mqtt_bounds is embedded in its owner.
 */
#ifndef CULVERT_PROTO_MQTT_PACKET_H
#define CULVERT_PROTO_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_DISCONNECT = 14,
};

/* By the protocol level of CONNECT. */
enum mqtt_version {
    MQTT_VERSION_UNKNOWN = 0,
    MQTT_VERSION_3_1_1 = 4,
    MQTT_VERSION_5 = 5,
};

/* Of MQTT 5.0 section 2.4. */
enum mqtt_reason {
    MQTT_UNSPECIFIED = 0x80,
    MQTT_MALFORMED = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_UNSUPPORTED_VERSION = 0x84,
    MQTT_BAD_CLIENT_ID = 0x85,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_BAD_ALIAS = 0x94,
    MQTT_TOO_LARGE = 0x95,
};

enum {
    MQTT_HEADER_MAX = 5,
    MQTT_BODY_MAX = 268435455,
};

/* What comes of bytes that may be cut. */
enum mqtt_found {
    MQTT_FOUND,
    MQTT_CUT,  /* more bytes are needed */
    MQTT_WRONG /* no bytes behind these could make it right */
};

struct mqtt_header {
    uint8_t first; /* type and flags */
    uint8_t len;   /* of the header itself */
    uint32_t body; /* bytes behind it */
};

static inline unsigned
mqtt_type_of(const struct mqtt_header *header)
{
    return header->first >> 4;
}

/* Of a packet with its header. */
static inline size_t
mqtt_size_of(const struct mqtt_header *header)
{
    return header->len + (size_t)header->body;
}

enum mqtt_found mqtt_header_read(const uint8_t *bytes, size_t len, struct mqtt_header *header);

/* Writes it to out (MQTT_HEADER_MAX bytes). Returns its length. body is MQTT_BODY_MAX at most. */
size_t mqtt_header_write(uint8_t *out, uint8_t first, size_t body);

/* ---- a stream of which nothing but its packets' ends is of interest ---- */

/* All zero is the beginning. */
struct mqtt_bounds {
    uint8_t cut[MQTT_HEADER_MAX]; /* a header that is not complete */
    uint8_t cut_len;
    bool lost;     /* something that is no packet: no end is seen any more */
    uint32_t left; /* of the current body */
};

/* Whether the next byte begins a packet. */
static inline bool
mqtt_bounds_between(const struct mqtt_bounds *bounds)
{
    return bounds->left == 0 && bounds->cut_len == 0 && !bounds->lost;
}

/* Takes bytes up to the next end of a packet, or all. Returns how many. */
size_t mqtt_bounds_next(struct mqtt_bounds *bounds, const uint8_t *bytes, size_t len);

/* Takes all. */
void mqtt_bounds_skip(struct mqtt_bounds *bounds, const uint8_t *bytes, size_t len);

#endif
