/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_write -- a broker's refusals, and a CONNECT that says something else than the client's did.
 *
 * What a version has no words for is written as no bytes.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_PROTO_MQTT_WRITE_H
#define CULVERT_PROTO_MQTT_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/mqtt_packet.h"

struct gather;
struct mqtt_connect;

enum {
    MQTT_REFUSAL_MAX = 8, /* bytes */
};

/* Each writes to out (MQTT_REFUSAL_MAX bytes) and returns how many. */
size_t mqtt_write_connack(uint8_t *out, enum mqtt_version version, enum mqtt_reason reason);
size_t mqtt_write_disconnect(uint8_t *out, enum mqtt_version version, enum mqtt_reason reason);
/* PUBACK or PUBREC, by qos. */
size_t mqtt_write_puback(uint8_t *out, enum mqtt_version version, unsigned qos, uint16_t packet_id,
                         enum mqtt_reason reason);

/* Adds a SUBACK up to the n reason codes that belong behind it. Returns 0, or -1 without memory. */
int mqtt_write_suback(struct gather *out, enum mqtt_version version, uint16_t packet_id, size_t n)
    __attribute__((warn_unused_result));

/* Terminated; empty or NULL: what the client says stays. */
struct mqtt_identity {
    const char *client_id_prefix;
    const char *username; /* with it the password is replaced too */
    const char *password; /* NULL: none */
};

/* Adds the packet to out. body is what connect was read from. Returns 0, or -1 without memory. The client
 * identifier with its prefix is at most 65535 bytes long, as each of the other two is. */
int mqtt_write_connect(struct gather *out, const uint8_t *body, size_t len,
                       const struct mqtt_connect *connect, const struct mqtt_identity *identity)
    __attribute__((warn_unused_result));

#endif
