/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mqtt_read.h"

#include <string.h>

#include "base/topic_filter.h"
#include "proto/utf8.h"

/* Goes through a body from its beginning, and stops at the first thing that is wrong or missing; what is
 * asked for after that is nothing. */
struct reader {
    const uint8_t *body;
    size_t at;
    size_t have; /* bytes that are there */
    size_t len;  /* of all of the body */
    size_t max;  /* bytes that may be read */
    size_t need; /* at MQTT_CUT */
    enum mqtt_found found;
    struct mqtt_fault fault;
};

static void
fail(struct reader *reader, enum mqtt_reason reason, const char *why)
{
    if (reader->found != MQTT_FOUND)
        return;
    reader->found = MQTT_WRONG;
    reader->fault = (struct mqtt_fault){reason, why};
}

/* The next n bytes; NULL: they are not there. */
static const uint8_t *
take(struct reader *reader, size_t n)
{
    const uint8_t *bytes = reader->body + reader->at;

    if (reader->found != MQTT_FOUND)
        return NULL;
    if (n > reader->len - reader->at) {
        fail(reader, MQTT_MALFORMED, "a packet ends inside a field");
        return NULL;
    }
    if (reader->at + n > reader->max) {
        fail(reader, MQTT_TOO_LARGE, "too much before the payload");
        return NULL;
    }
    if (reader->at + n > reader->have) {
        reader->found = MQTT_CUT;
        reader->need = reader->at + n;
        return NULL;
    }
    reader->at += n;
    return bytes;
}

static unsigned
take_u8(struct reader *reader)
{
    const uint8_t *bytes = take(reader, 1);

    return bytes != NULL ? bytes[0] : 0;
}

static uint16_t
take_u16(struct reader *reader)
{
    const uint8_t *bytes = take(reader, 2);

    return bytes != NULL ? (uint16_t)(bytes[0] << 8 | bytes[1]) : 0;
}

static uint32_t
take_varint(struct reader *reader)
{
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 28; shift += 7) {
        unsigned byte = take_u8(reader);

        value |= (uint32_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    fail(reader, MQTT_MALFORMED, "a number of more than four bytes");
    return 0;
}

/* Any bytes with their length before them. */
static struct span
take_data(struct reader *reader)
{
    size_t len = take_u16(reader);
    const uint8_t *bytes = take(reader, len);

    return bytes != NULL ? (struct span){(const char *)bytes, len} : (struct span){"", 0};
}

static struct span
take_text(struct reader *reader)
{
    struct span text = take_data(reader);

    if (reader->found == MQTT_FOUND && (!utf8_valid((const uint8_t *)text.at, text.len) ||
                                        memchr(text.at, '\0', text.len) != NULL))
        fail(reader, MQTT_MALFORMED, "a text is not UTF-8, or holds NUL");
    return text;
}

static void
skip_properties(struct reader *reader, enum mqtt_version version)
{
    if (version == MQTT_VERSION_5)
        (void)take(reader, take_varint(reader));
}

static bool
ends_well(struct reader *reader, struct mqtt_fault *fault)
{
    if (reader->at != reader->len)
        fail(reader, MQTT_MALFORMED, "bytes behind the end of a packet");
    *fault = reader->fault;
    return reader->found == MQTT_FOUND;
}

static struct reader
begin(const uint8_t *body, size_t len)
{
    return (struct reader){.body = body, .have = len, .len = len, .max = SIZE_MAX};
}

/* ---- CONNECT ---- */

enum mqtt_version
mqtt_read_version(const uint8_t *body, size_t len)
{
    if (len < MQTT_VERSION_BYTES || memcmp(body, "\0\4MQTT", 6) != 0)
        return MQTT_VERSION_UNKNOWN;
    if (body[6] == MQTT_VERSION_3_1_1 || body[6] == MQTT_VERSION_5)
        return (enum mqtt_version)body[6];
    return MQTT_VERSION_UNKNOWN;
}

static void
check_flags(struct reader *reader, const struct mqtt_connect *connect)
{
    unsigned flags = connect->flags;
    bool will = (flags & MQTT_FLAG_WILL) != 0;

    if ((flags & 1) != 0 || (flags & 0x18) == 0x18 || (!will && (flags & 0x38) != 0))
        fail(reader, MQTT_MALFORMED, "the flags of CONNECT contradict each other");
    if (connect->version == MQTT_VERSION_3_1_1 && (flags & MQTT_FLAG_PASSWORD) != 0 &&
        (flags & MQTT_FLAG_USERNAME) == 0)
        fail(reader, MQTT_MALFORMED, "a password without a user name");
}

static void
read_protocol(struct reader *reader, struct mqtt_connect *connect)
{
    struct span name = take_data(reader);
    unsigned level = take_u8(reader);

    connect->version = mqtt_read_version(reader->body, reader->len);
    if (!span_is(name, "MQTT") && !span_is(name, "MQIsdp"))
        fail(reader, MQTT_PROTOCOL_ERROR, "CONNECT names another protocol");
    if (connect->version == MQTT_VERSION_UNKNOWN)
        fail(reader, MQTT_UNSUPPORTED_VERSION,
             level == 3 ? "MQTT 3.1 is too old" : "an unknown version of MQTT");
}

bool
mqtt_read_connect(const uint8_t *body, size_t len, struct mqtt_connect *connect,
                  struct mqtt_fault *fault)
{
    struct reader reader = begin(body, len);

    memset(connect, 0, sizeof *connect);
    read_protocol(&reader, connect);
    connect->flags_at = reader.at;
    connect->flags = (uint8_t)take_u8(&reader);
    check_flags(&reader, connect);
    (void)take_u16(&reader); /* keep-alive */
    skip_properties(&reader, connect->version);
    connect->client_id_at = reader.at;
    connect->client_id = take_text(&reader);
    if ((connect->flags & MQTT_FLAG_WILL) != 0) {
        skip_properties(&reader, connect->version);
        connect->will_topic = take_text(&reader);
        if (!topic_name_is_valid(connect->will_topic.at, connect->will_topic.len))
            fail(&reader, MQTT_MALFORMED, "the topic of a will is none");
        (void)take_data(&reader);
    }
    connect->credentials_at = reader.at;
    if ((connect->flags & MQTT_FLAG_USERNAME) != 0)
        connect->username = take_text(&reader);
    if ((connect->flags & MQTT_FLAG_PASSWORD) != 0)
        (void)take_data(&reader);
    return ends_well(&reader, fault);
}

/* ---- PUBLISH ---- */

static void
take_alias(struct reader *reader, struct mqtt_publish *publish)
{
    uint16_t alias = take_u16(reader);

    if (publish->alias != 0)
        fail(reader, MQTT_PROTOCOL_ERROR, "two topic aliases");
    if (alias == 0)
        fail(reader, MQTT_BAD_ALIAS, "the topic alias 0");
    publish->alias = alias;
}

/* Section 3.3.2.3. */
static void
take_property(struct reader *reader, struct mqtt_publish *publish)
{
    switch (take_u8(reader)) {
    case 0x01: /* payload format */
        (void)take(reader, 1);
        break;
    case 0x02: /* message expiry */
        (void)take(reader, 4);
        break;
    case 0x03: /* content type */
    case 0x08: /* response topic */
    case 0x09: /* correlation data */
        (void)take_data(reader);
        break;
    case 0x0b: /* subscription identifier */
        (void)take_varint(reader);
        break;
    case 0x23:
        take_alias(reader, publish);
        break;
    case 0x26: /* user property */
        (void)take_data(reader);
        (void)take_data(reader);
        break;
    default:
        fail(reader, MQTT_MALFORMED, "a property that PUBLISH does not have");
        break;
    }
}

/* Only when all of them are there: so each is looked at once, however the body is cut. */
static void
read_properties(struct reader *reader, struct mqtt_publish *publish)
{
    size_t len = take_varint(reader);
    const uint8_t *bytes = take(reader, len);
    struct reader inner;

    if (bytes == NULL)
        return;
    inner = begin(bytes, len);
    while (inner.found == MQTT_FOUND && inner.at < len)
        take_property(&inner, publish);
    if (inner.found != MQTT_FOUND)
        fail(reader, inner.fault.reason, inner.fault.why);
}

static void
read_topic(struct reader *reader, enum mqtt_version version, struct mqtt_publish *publish)
{
    publish->topic = take_text(reader);
    if (publish->topic.len == 0 && version == MQTT_VERSION_5)
        return; /* for an alias to stand in */
    if (!topic_name_is_valid(publish->topic.at, publish->topic.len))
        fail(reader, MQTT_MALFORMED, "the topic of PUBLISH is none");
}

enum mqtt_found
mqtt_read_publish(const struct mqtt_header *header, enum mqtt_version version,
                  const struct mqtt_piece *piece, struct mqtt_publish *publish, size_t *need,
                  struct mqtt_fault *fault)
{
    struct reader reader = {
        .body = piece->body, .have = piece->len, .len = header->body, .max = piece->max};

    memset(publish, 0, sizeof *publish);
    publish->qos = header->first >> 1 & 3;
    if (publish->qos == 3 || (publish->qos == 0 && (header->first & 8) != 0))
        fail(&reader, MQTT_MALFORMED, "the flags of PUBLISH contradict each other");
    read_topic(&reader, version, publish);
    if (publish->qos > 0) {
        publish->packet_id = take_u16(&reader);
        if (publish->packet_id == 0)
            fail(&reader, MQTT_PROTOCOL_ERROR, "the packet identifier 0");
    }
    if (version == MQTT_VERSION_5)
        read_properties(&reader, publish);
    if (publish->topic.len == 0 && publish->alias == 0)
        fail(&reader, MQTT_PROTOCOL_ERROR, "PUBLISH without a topic");
    *need = reader.need;
    *fault = reader.fault;
    return reader.found;
}

/* ---- SUBSCRIBE ---- */

bool
mqtt_read_subscribe(const struct mqtt_header *header, enum mqtt_version version,
                    const uint8_t *body, struct mqtt_subscribe *subscribe, struct mqtt_fault *fault)
{
    struct reader reader = begin(body, header->body);

    memset(subscribe, 0, sizeof *subscribe);
    if ((header->first & 15) != 2)
        fail(&reader, MQTT_MALFORMED, "the flags of SUBSCRIBE are not its own");
    subscribe->packet_id = take_u16(&reader);
    skip_properties(&reader, version);
    if (subscribe->packet_id == 0)
        fail(&reader, MQTT_PROTOCOL_ERROR, "the packet identifier 0");
    subscribe->rest = body + reader.at;
    do {
        (void)take_text(&reader);
        (void)take_u8(&reader); /* its options */
        subscribe->n++;
    } while (reader.found == MQTT_FOUND && reader.at < reader.len);
    return ends_well(&reader, fault);
}

struct span
mqtt_next_filter(struct mqtt_subscribe *subscribe)
{
    const uint8_t *at = subscribe->rest;
    size_t len = (size_t)(at[0] << 8 | at[1]);

    subscribe->rest += 2 + len + 1;
    return (struct span){(const char *)at + 2, len};
}
