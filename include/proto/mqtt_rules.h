/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_rules -- what the clients of a route may say to its broker, and how it is decided of one.
 *
 * Thread:    any; a struct mqtt_client is embedded in its owner.
 * Ownership: rules are borrowed with all their texts.
 */
#ifndef CULVERT_PROTO_MQTT_RULES_H
#define CULVERT_PROTO_MQTT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mqtt_packet.h"
#include "proto/mqtt_write.h"
#include "proto/span.h"

struct mqtt_connect;
struct mqtt_fault;
struct mqtt_publish;

struct mqtt_rules {
    bool takes_3_1_1;
    bool takes_5;
    size_t packet_max; /* 0: no bound */
    size_t held_max;   /* of what has to be there before it can be decided */
    /* Templates of topic filters (base/topic_template.h), NULL-terminated, empty: nothing; NULL: no rule. */
    char *const *publish;
    char *const *subscribe;
    struct mqtt_identity identity;
};

/* All zero is one that has not said who it is. */
struct mqtt_client {
    char *user; /* NULL: not known, or no template asks for it */
    char *client_id;
    uint8_t *aliases; /* a bit for each topic alias that stands for a topic it may publish to */
    size_t aliases_size;
};

void mqtt_client_deinit(struct mqtt_client *client);

/*
 * Whether the client may connect so; it becomes who that is. body is what connect was read from. The
 * identifier is the one that the broker will see. Returns false with a fault.
 */
bool mqtt_rules_take_client(const struct mqtt_rules *rules, const struct mqtt_connect *connect,
                            struct mqtt_client *client, struct mqtt_fault *fault)
    __attribute__((warn_unused_result));

enum mqtt_verdict {
    MQTT_ALLOWED,
    MQTT_FORBIDDEN,
    MQTT_UNDECIDED, /* no memory */
};

/* An alias is remembered as what its last topic was: what is refused does not reach the broker, for which
 * the alias still stands for the topic before. */
enum mqtt_verdict mqtt_rules_publish(const struct mqtt_rules *rules, struct mqtt_client *client,
                                     const struct mqtt_publish *publish);

/* $share/NAME/FILTER is judged by its filter. What is no valid filter is forbidden. */
bool mqtt_rules_subscribe(const struct mqtt_rules *rules, const struct mqtt_client *client,
                          struct span filter);

#endif
