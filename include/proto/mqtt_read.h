/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_read -- what a client's packets say (MQTT 3.1.1 and 5.0, sections 3.1, 3.3 and 3.8), as far as
 * somebody between it and the broker needs to know.
 *
 * Texts are checked: UTF-8 without NUL (section 1.5.4).
 *
 * Thread:    any; no state. Nothing is allocated: spans lie in the body that was read.
 * Errors:    a fault of the client's: the reason to refuse it with, and a sentence (static).
 */
#ifndef CULVERT_PROTO_MQTT_READ_H
#define CULVERT_PROTO_MQTT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mqtt_packet.h"
#include "proto/span.h"

struct mqtt_fault {
    enum mqtt_reason reason;
    const char *why;
};

/* ---- CONNECT ---- */

enum mqtt_connect_flag {
    MQTT_FLAG_WILL = 0x04,
    MQTT_FLAG_PASSWORD = 0x40,
    MQTT_FLAG_USERNAME = 0x80,
};

struct mqtt_connect {
    enum mqtt_version version; /* also after a fault, if it was seen */
    uint8_t flags;
    size_t flags_at;       /* in the body */
    size_t client_id_at;   /* of its length; as a span without */
    size_t credentials_at; /* the will's end */
    struct span client_id;
    struct span will_topic; /* with MQTT_FLAG_WILL */
    struct span username;   /* with MQTT_FLAG_USERNAME */
};

enum {
    /* So many bytes of a body, or all of a shorter one, are enough to tell its version. */
    MQTT_VERSION_BYTES = 7,
};

/* MQTT_VERSION_UNKNOWN: not one of those two. */
enum mqtt_version mqtt_read_version(const uint8_t *body, size_t len);

/* Reads a whole body. Returns false at a fault; one of MQTT_UNSUPPORTED_VERSION is told of MQTT 3.1 and
 * versions to come, and is to be answered in the words of 3.1.1. */
bool mqtt_read_connect(const uint8_t *body, size_t len, struct mqtt_connect *connect,
                       struct mqtt_fault *fault) __attribute__((warn_unused_result));

/* ---- PUBLISH ---- */

struct mqtt_publish {
    struct span topic; /* of MQTT 5 empty, if alias stands for it */
    unsigned qos;
    uint16_t packet_id; /* with qos > 0 */
    uint16_t alias;     /* 0: none */
};

struct mqtt_piece {
    const uint8_t *body;
    size_t len; /* bytes that are there */
    size_t max; /* up to which the payload has to begin */
};

/*
 * Reads what comes before the payload. header: of the packet. At MQTT_CUT *need is how many bytes of the
 * body there have to be to come further. What it tells does not depend on how the body is cut.
 */
enum mqtt_found mqtt_read_publish(const struct mqtt_header *header, enum mqtt_version version,
                                  const struct mqtt_piece *piece, struct mqtt_publish *publish,
                                  size_t *need, struct mqtt_fault *fault);

/* ---- SUBSCRIBE ---- */

struct mqtt_subscribe {
    uint16_t packet_id;
    size_t n;            /* filters */
    const uint8_t *rest; /* those that mqtt_next_filter() has not told yet */
};

/* Reads a whole body. Returns false at a fault. */
bool mqtt_read_subscribe(const struct mqtt_header *header, enum mqtt_version version,
                         const uint8_t *body, struct mqtt_subscribe *subscribe,
                         struct mqtt_fault *fault) __attribute__((warn_unused_result));

/* To be called n times at most. What it tells need not be a valid filter. */
struct span mqtt_next_filter(struct mqtt_subscribe *subscribe);

#endif
