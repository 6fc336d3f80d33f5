/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_filters -- what we subscribe to at the broker, and which of the copies that it sends is taken.
 *
 *      WANTED ──SUBSCRIBE──→ ASKED ──SUBACK──→ ASKED_AGAIN ──SUBACK──→ GRANTED
 *         ↑                    └───────┬──────────────┘                   │ not wanted any more
 *         └── after a while ── REFUSED ┘          gone ←── LEAVING ←── UNWANTED
 *
 * With MQTT 5 each filter has two identifiers. It is subscribed to with the first one, and then, without
 * retained messages, with the second, which replaces the first: what comes under the first with RETAIN set
 * is what the broker kept, what comes under the second is live. A clock could not tell them apart where
 * retained values change all the time, as with Retain As Published live ones look the same. (3.1.1 clears
 * RETAIN in live messages. For a broker of MQTT 5 without identifiers there is the clock alone.)
 *
 * Of the copies of a message that filters which overlap bring, that of the first filter is taken: brokers
 * send one for each, with its identifier, or one with all of them. Where there are no identifiers, filters
 * that overlap are joined, and what only the joined one brings is left out.
 *
 * Thread:    the bus's.
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_FILTERS_H
#define CULVERT_TOPIC_BUS_MQTT_FILTERS_H

#include <stdbool.h>

struct bus_mqtt_arrival;
struct bus_mqtt_filters;
struct bus_mqtt_link;
struct bus_mqtt_options;
struct bus_mqtt_welcome;
struct log;
struct loop;

/* Embedded in who has them. */
struct bus_mqtt_filters_owner {
    /* The broker has said something to all that was asked. */
    void (*settled)(struct bus_mqtt_filters_owner *owner);
};

enum bus_mqtt_take {
    BUS_MQTT_TAKE,
    BUS_MQTT_TAKE_RETAINED, /* in answer to our SUBSCRIBE */
    BUS_MQTT_LEAVE,         /* another copy, or nothing that we want */
};

/* Borrows all. Returns NULL, logged. */
struct bus_mqtt_filters *
bus_mqtt_filters_new(struct loop *loop, const char *who, const struct bus_mqtt_options *options,
                     struct bus_mqtt_link *link, struct bus_mqtt_filters_owner *owner)
    __attribute__((warn_unused_result));
void bus_mqtt_filters_free(struct bus_mqtt_filters *filters);

/* Takes the list. What is new is subscribed to, what went is unsubscribed. Without memory, logged, all
 * stays as it was. */
void bus_mqtt_filters_set(struct bus_mqtt_filters *filters, char **list);

void bus_mqtt_filters_connected(struct bus_mqtt_filters *filters,
                                const struct bus_mqtt_welcome *welcome);
void bus_mqtt_filters_lost(struct bus_mqtt_filters *filters);

/* Whether nothing is to be asked or answered. */
bool bus_mqtt_filters_are_settled(const struct bus_mqtt_filters *filters);

/* What to do with a message. */
enum bus_mqtt_take bus_mqtt_filters_take(struct bus_mqtt_filters *filters,
                                         const struct bus_mqtt_arrival *arrival);

#endif
