/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_inbox -- messages of the broker, on their way from Paho's thread to the bus's.
 *
 * What waits is bounded in bytes. Over the bound messages are dropped, and the owner hears of it in their
 * place: the broker, once it has its acknowledgement, does not send them again. To make Paho's thread wait
 * instead would hold up all that it does.
 *
 * Thread:    the bus's, but for bus_mqtt_inbox_take().
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_INBOX_H
#define CULVERT_TOPIC_BUS_MQTT_INBOX_H

#include <MQTTAsync.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct topic_message;

enum {
    BUS_MQTT_INBOX_MAX = 32 << 20, /* bytes that wait; a single message may be larger */
};

struct bus_mqtt_arrival {
    struct topic_message *message; /* the inbox's; its retain is as it came */
    size_t n_ids;                  /* identifiers of subscriptions (MQTT 5) */
    uint32_t ids[];
};

static inline bool
bus_mqtt_arrival_has(const struct bus_mqtt_arrival *arrival, uint32_t id)
{
    size_t i = 0;

    while (i < arrival->n_ids && arrival->ids[i] != id)
        i++;
    return i < arrival->n_ids;
}

struct bus_mqtt_inbox {
    struct loop *loop;
    size_t bytes;  /* atomic: of what waits */
    bool dropping; /* Paho's thread: the last message was dropped */
    void (*arrived)(struct bus_mqtt_inbox *inbox, const struct bus_mqtt_arrival *arrival);
    /* Some did not fit, since the last that did. */
    void (*missed)(struct bus_mqtt_inbox *inbox);
};

/* The callbacks are the caller's to fill in. */
void bus_mqtt_inbox_init(struct bus_mqtt_inbox *inbox, struct loop *loop);

/* Paho's thread, one at a time. Copies. topic_len: 0 if the topic holds no NUL. */
void bus_mqtt_inbox_take(struct bus_mqtt_inbox *inbox, const char *topic, size_t topic_len,
                         MQTTAsync_message *message);

#endif
