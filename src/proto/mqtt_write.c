/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mqtt_write.h"

#include <stdbool.h>
#include <string.h>

#include "base/gather.h"
#include "proto/mqtt_read.h"

static size_t
write_bytes(uint8_t *out, uint8_t type, const uint8_t *body, size_t len)
{
    size_t n = mqtt_header_write(out, (uint8_t)(type << 4), len);

    memcpy(out + n, body, len);
    return n + len;
}

/* ---- refusals ---- */

/* The return code of MQTT 3.1.1 section 3.2.2.3; 0: there is none for it. */
static uint8_t
return_code(enum mqtt_reason reason)
{
    switch (reason) {
    case MQTT_UNSUPPORTED_VERSION:
        return 1;
    case MQTT_BAD_CLIENT_ID:
        return 2;
    case MQTT_NOT_AUTHORIZED:
        return 5;
    default:
        return 0;
    }
}

size_t
mqtt_write_connack(uint8_t *out, enum mqtt_version version, enum mqtt_reason reason)
{
    uint8_t body[] = {0, (uint8_t)reason, 0}; /* the last: no properties */

    if (version == MQTT_VERSION_5)
        return write_bytes(out, MQTT_CONNACK, body, 3);
    body[1] = return_code(reason);
    if (body[1] == 0)
        return 0;
    return write_bytes(out, MQTT_CONNACK, body, 2);
}

size_t
mqtt_write_disconnect(uint8_t *out, enum mqtt_version version, enum mqtt_reason reason)
{
    uint8_t body[] = {(uint8_t)reason, 0};

    return version == MQTT_VERSION_5 ? write_bytes(out, MQTT_DISCONNECT, body, 2) : 0;
}

size_t
mqtt_write_puback(uint8_t *out, enum mqtt_version version, unsigned qos, uint16_t packet_id,
                  enum mqtt_reason reason)
{
    uint8_t body[] = {(uint8_t)(packet_id >> 8), (uint8_t)packet_id, (uint8_t)reason, 0};

    if (version != MQTT_VERSION_5 || qos == 0)
        return 0;
    return write_bytes(out, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, body, 4);
}

int
mqtt_write_suback(struct gather *out, enum mqtt_version version, uint16_t packet_id, size_t n)
{
    uint8_t head[MQTT_HEADER_MAX + 3];
    size_t id_len = version == MQTT_VERSION_5 ? 3 : 2;
    size_t len = mqtt_header_write(head, MQTT_SUBACK << 4, id_len + n);

    head[len] = (uint8_t)(packet_id >> 8);
    head[len + 1] = (uint8_t)packet_id;
    head[len + 2] = 0; /* of 5: no properties */
    return gather_add(out, head, len + id_len);
}

/* ---- CONNECT ---- */

/* Parts of a body, in order, and how long they are together. */
struct part {
    const void *at;
    size_t len;
};

enum {
    PARTS_MAX = 16,
};

struct parts {
    struct part list[PARTS_MAX];
    unsigned n;
    size_t len;
    uint8_t numbers[6]; /* the lengths of texts, which parts refer to */
    unsigned n_numbers;
};

static void
add(struct parts *parts, const void *at, size_t len)
{
    parts->list[parts->n++] = (struct part){at, len};
    parts->len += len;
}

static void
add_length(struct parts *parts, size_t len)
{
    uint8_t *number = parts->numbers + parts->n_numbers;

    number[0] = (uint8_t)(len >> 8);
    number[1] = (uint8_t)len;
    parts->n_numbers += 2;
    add(parts, number, 2);
}

static void
add_text(struct parts *parts, const char *text)
{
    add_length(parts, strlen(text));
    add(parts, text, strlen(text));
}

static uint8_t
flags_of(const struct mqtt_connect *connect, const struct mqtt_identity *identity, bool replaces)
{
    uint8_t flags = connect->flags;

    if (!replaces)
        return flags;
    flags = (uint8_t)(flags & ~MQTT_FLAG_PASSWORD) | MQTT_FLAG_USERNAME;
    return identity->password != NULL ? flags | MQTT_FLAG_PASSWORD : flags;
}

int
mqtt_write_connect(struct gather *out, const uint8_t *body, size_t len,
                   const struct mqtt_connect *connect, const struct mqtt_identity *identity)
{
    bool replaces = identity->username != NULL && identity->username[0] != '\0';
    const char *prefix = identity->client_id_prefix != NULL ? identity->client_id_prefix : "";
    uint8_t flags = flags_of(connect, identity, replaces);
    size_t behind_id = connect->client_id_at + 2 + connect->client_id.len;
    size_t behind_flags = connect->flags_at + 1;
    struct parts parts = {.n = 0};
    uint8_t header[MQTT_HEADER_MAX];
    int result;

    add(&parts, body, connect->flags_at);
    add(&parts, &flags, 1);
    add(&parts, body + behind_flags, connect->client_id_at - behind_flags);
    add_length(&parts, strlen(prefix) + connect->client_id.len);
    add(&parts, prefix, strlen(prefix));
    add(&parts, connect->client_id.at, connect->client_id.len);
    add(&parts, body + behind_id, (replaces ? connect->credentials_at : len) - behind_id);
    if (replaces)
        add_text(&parts, identity->username);
    if (replaces && identity->password != NULL)
        add_text(&parts, identity->password);
    result = gather_add(out, header, mqtt_header_write(header, MQTT_CONNECT << 4, parts.len));
    for (unsigned i = 0; result == 0 && i < parts.n; i++)
        result = gather_add(out, parts.list[i].at, parts.list[i].len);
    return result;
}
