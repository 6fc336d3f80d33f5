/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_gate -- what one MQTT client sends, held against rules before it reaches the broker.
 *
 *      client ──→ feed ─┬─ pass ────→ broker      as it came, in place; a CONNECT perhaps rewritten
 *                       └─ answer ──→ client      in place of what was refused
 *
 * Packets may be cut at any byte and follow each other without a gap. Whatever no rule asks about is passed
 * as it comes, also packets that are not known here. Only what has to be decided as a whole is held, up to
 * rules->held_max: CONNECT, SUBSCRIBE, and PUBLISH up to its payload.
 *
 * A refused PUBLISH or SUBSCRIBE is answered where MQTT has an answer, and the client goes on. Of a SUBSCRIBE
 * with several filters nothing is subscribed to if one is forbidden: what the broker says to the rest would
 * have to be waited for and merged into the answer. Everything else that is refused ends the connection,
 * with DISCONNECT or CONNACK where there are words for it. What came before is passed.
 *
 * Thread:    any; embedded in its owner: mqtt_gate_init() to mqtt_gate_deinit().
 */
#ifndef CULVERT_PROTO_MQTT_GATE_H
#define CULVERT_PROTO_MQTT_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gather.h"
#include "proto/mqtt_packet.h"
#include "proto/mqtt_rules.h"
#include "proto/span.h"

struct mqtt_gate {
    struct mqtt_rules rules;
    struct mqtt_client client;
    enum mqtt_version
        version;        /* of the client; MQTT_VERSION_UNKNOWN before its CONNECT was passed */
    struct gather held; /* the beginning of a packet, or all of it */
    size_t need;        /* bytes of it that are to be there before it is looked at again */
    struct gather answer;
    uint32_t left; /* of a body that is decided */
    bool drops;    /* that body is not passed */
    bool spent;    /* what is held was passed, and goes at the next call */
    bool over;
};

enum mqtt_gate_stop {
    MQTT_GATE_INPUT, /* all input is used up */
    MQTT_GATE_MORE,  /* call again with the rest */
    MQTT_GATE_REFUSED, /* the answer goes to the client, between two packets of the broker's; call again */
    MQTT_GATE_END, /* the same, perhaps of no bytes, and the connection ends */
};

/* Lives until the next call. */
struct mqtt_gate_piece {
    uint8_t *pass; /* to the broker, before what the stop tells */
    size_t pass_len;
    enum mqtt_gate_stop stop;
    const uint8_t *answer;
    size_t answer_len;
    const char *why;   /* of REFUSED and END; static */
    struct span about; /* the topic or filter that was refused; empty: none in particular */
};

/* rules are copied, what they refer to is borrowed. */
void mqtt_gate_init(struct mqtt_gate *gate, const struct mqtt_rules *rules);
void mqtt_gate_deinit(struct mqtt_gate *gate);

/* Takes bytes up to the first stop. Returns how many. After END it takes all and passes nothing. */
size_t mqtt_gate_feed(struct mqtt_gate *gate, uint8_t *in, size_t len,
                      struct mqtt_gate_piece *piece);

/* What the last call told is not needed any more: gives its memory back. */
void mqtt_gate_rest(struct mqtt_gate *gate);

static inline bool
mqtt_gate_is_connected(const struct mqtt_gate *gate)
{
    return gate->version != MQTT_VERSION_UNKNOWN;
}

#endif
