/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_link -- one connection after the other to a broker, through Paho.
 *
 *      the bus's thread ──every call──→ Paho ⇄ broker
 *             ↑                           │ its own threads, with its lock held:
 *             └──────── loop_post ────────┘ callbacks that copy and post
 *
 * Reconnecting is the owner's: Paho's own way tells nothing of the session, and drops what was under way
 * when the broker has forgotten it. Paho's handle lives through reconnects, as it keeps the session's state:
 * with the session kept, it goes on with publications under way by itself. But a publication that it could not
 * write spoils it (bus_mqtt_reply.h): then a new one takes its place, and the old one is left behind.
 *
 * Thread:    the bus's. Calls may wait while Paho looks up a name, which it does with its lock held.
 * Lifetime:  bus_mqtt_link_new() to bus_mqtt_link_free().
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_LINK_H
#define CULVERT_TOPIC_BUS_MQTT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus_mqtt_arrival;
struct bus_mqtt_asker;
struct bus_mqtt_link;
struct bus_mqtt_options;
struct log;
struct loop;
struct topic_message;

/* What the broker says of itself as it accepts us. */
struct bus_mqtt_welcome {
    bool session_present;
    bool has_ids;             /* subscriptions may have identifiers */
    unsigned receive_maximum; /* publications under way */
    size_t packet_max;
};

/* Embedded in who has the link; on its loop. */
struct bus_mqtt_link_owner {
    void (*connected)(struct bus_mqtt_link_owner *owner, const struct bus_mqtt_welcome *welcome);
    /* The attempt to connect. */
    void (*failed)(struct bus_mqtt_link_owner *owner, const char *why);
    /* The connection. */
    void (*lost)(struct bus_mqtt_link_owner *owner, const char *why);
    /* After bus_mqtt_link_disconnect(), unless the connection is lost meanwhile. */
    void (*closed)(struct bus_mqtt_link_owner *owner);
    void (*arrived)(struct bus_mqtt_link_owner *owner, const struct bus_mqtt_arrival *arrival);
    /* Messages were dropped here. */
    void (*missed)(struct bus_mqtt_link_owner *owner);
};

enum bus_mqtt_sent {
    BUS_MQTT_SENT,
    BUS_MQTT_NOT_NOW, /* without a connection, or memory */
    BUS_MQTT_NEVER,   /* nothing that MQTT can carry */
};

/* Borrows all. Returns NULL, logged. */
struct bus_mqtt_link *bus_mqtt_link_new(struct loop *loop, struct log *log, const char *who,
                                        const struct bus_mqtt_options *options,
                                        struct bus_mqtt_link_owner *owner)
    __attribute__((warn_unused_result));

/* Not in one of its callbacks. Takes up to about two seconds: Paho's threads end. */
void bus_mqtt_link_free(struct bus_mqtt_link *link);

/* clean: without the session that the broker keeps. Returns -1, logged. */
int bus_mqtt_link_connect(struct bus_mqtt_link *link, bool clean);

/* Says goodbye: the will is not published. forget: the broker need not keep the session (MQTT 5).
 * Returns -1 if there is no connection to end. */
int bus_mqtt_link_disconnect(struct bus_mqtt_link *link, bool forget);

/* Whether bus_mqtt_link_renew() has to come before the next connect. */
bool bus_mqtt_link_is_spoiled(const struct bus_mqtt_link *link);

/* Begins again with a handle that knows of no session: what askers wait for is given up, without a word to
 * them. In a callback of a timer only. Returns -1, logged. */
int bus_mqtt_link_renew(struct bus_mqtt_link *link);

/* The answers of these come to the asker, which has nothing else under way. */
enum bus_mqtt_sent bus_mqtt_link_publish(struct bus_mqtt_link *link, struct bus_mqtt_asker *asker,
                                         const struct topic_message *message);
struct bus_mqtt_subscribe {
    const char *filter;
    uint32_t id;        /* 0: none */
    bool with_retained; /* the retained messages are sent too (MQTT 5) */
};
enum bus_mqtt_sent bus_mqtt_link_subscribe(struct bus_mqtt_link *link, struct bus_mqtt_asker *asker,
                                           const struct bus_mqtt_subscribe *subscribe);
enum bus_mqtt_sent bus_mqtt_link_unsubscribe(struct bus_mqtt_link *link,
                                             struct bus_mqtt_asker *asker, const char *filter);

/* What the linked library calls its version. */
const char *bus_mqtt_link_library_version(void);

#endif
