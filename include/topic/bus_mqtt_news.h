/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_news -- what Paho's threads tell of a connection, on its way to the bus's.
 *
 * Thread:    the bus's, but for the callbacks.
 * Lifetime:  that of Paho's handle: it is the context of its callbacks.
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_NEWS_H
#define CULVERT_TOPIC_BUS_MQTT_NEWS_H

#include <MQTTAsync.h>
#include <stdbool.h>

#include "event/loop.h"
#include "topic/bus_mqtt_link.h"

struct bus_mqtt_inbox;

enum {
    BUS_MQTT_WHY = 160, /* bytes of a reason in the log */
};

/* Comes once for each attempt, and so needs no memory then. */
struct bus_mqtt_item {
    struct loop_message message;
    struct bus_mqtt_news *news;
    bool under_way; /* atomic; Paho may repeat itself */
};

struct bus_mqtt_news {
    struct loop *loop;
    struct bus_mqtt_link_owner *owner;
    struct bus_mqtt_inbox *inbox;
    bool v5;
    bool deaf; /* the handle is going: what it still has to say is of no interest */
    bool left; /* atomic: callbacks do nothing */
    struct bus_mqtt_item connected, failed, lost, closed;
    /* Written by Paho's threads before the item that tells of them. */
    struct bus_mqtt_welcome welcome;
    char failed_why[BUS_MQTT_WHY];
    char lost_why[BUS_MQTT_WHY];
    char tls_why[BUS_MQTT_WHY];
};

void bus_mqtt_news_init(struct bus_mqtt_news *news, struct loop *loop, bool v5,
                        struct bus_mqtt_inbox *inbox, struct bus_mqtt_link_owner *owner);

/* Puts the callbacks where Paho takes them from. */
void bus_mqtt_news_of_handle(struct bus_mqtt_news *news, MQTTAsync handle);
void bus_mqtt_news_of_connect(struct bus_mqtt_news *news, MQTTAsync_connectOptions *options);
void bus_mqtt_news_of_disconnect(struct bus_mqtt_news *news, MQTTAsync_disconnectOptions *options);

/* The handle is left behind, and may call as long as the process lives. */
void bus_mqtt_news_leave(struct bus_mqtt_news *news);

#endif
