/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_reply -- what a broker says to something that was asked of it, on its way from Paho's
 * threads to the bus's.
 *
 *      asker ──→ reply ──context──→ Paho ──its thread: onSuccess, onFailure──→ loop ──→ asker
 *
 * Each has what Paho's callback needs, so that nothing has to be allocated or looked up there. Paho does
 * not call back for all that it was asked; what it left out is freed when its handle has been destroyed.
 *
 * A lost answer to a publication at QoS 1 or 2 says nothing: while the session goes on Paho sends it again
 * by itself, and answers then. Its asker is not told.
 *
 * Thread:    the bus's, but for the callbacks.
 * Lifetime:  the askers are their owners', and forget their reply before they go.
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_REPLY_H
#define CULVERT_TOPIC_BUS_MQTT_REPLY_H

#include <MQTTAsync.h>
#include <stdbool.h>

#include "base/list.h"
#include "event/loop.h"

struct bus_mqtt_reply;

enum bus_mqtt_answer {
    BUS_MQTT_ANSWER_TAKEN,
    BUS_MQTT_ANSWER_REFUSED, /* the broker's reason code */
    BUS_MQTT_ANSWER_LOST,    /* with the connection */
};

/* Embedded in who asks. */
struct bus_mqtt_asker {
    struct bus_mqtt_reply *reply; /* NULL: nothing is asked */
    void (*answered)(struct bus_mqtt_asker *asker, enum bus_mqtt_answer answer, int code);
};

/* Of one handle. */
struct bus_mqtt_replies {
    struct loop *loop;
    struct list asked;
    bool spoiled; /* atomic; bus_mqtt_replies_are_spoiled() */
    bool left;    /* atomic: callbacks do nothing */
};

void bus_mqtt_replies_init(struct bus_mqtt_replies *replies, struct loop *loop);

/* The handle is destroyed: nothing more will be called. Askers that have no answer never get one. */
void bus_mqtt_replies_drop(struct bus_mqtt_replies *replies);

/* The handle is left behind: it may call as long as the process lives. The same for the askers. */
void bus_mqtt_replies_leave(struct bus_mqtt_replies *replies);

/*
 * Whether the handle must not be used or destroyed any more. When the write of a publication at QoS 1 or 2
 * fails, Paho 1.3.12 frees its topic and payload, and keeps it among those to be sent again, or to be freed
 * with the session.
 */
bool bus_mqtt_replies_are_spoiled(const struct bus_mqtt_replies *replies);

/*
 * For an asker, and into the options of a call to Paho. kept: a publication at QoS 1 or 2. Returns NULL
 * without memory.
 */
struct bus_mqtt_reply *bus_mqtt_reply_new(struct bus_mqtt_replies *replies,
                                          struct bus_mqtt_asker *asker, bool kept, bool v5,
                                          MQTTAsync_responseOptions *options)
    __attribute__((warn_unused_result));
/* The call has failed at once: nothing is asked. */
void bus_mqtt_reply_cancel(struct bus_mqtt_reply *reply);

/* An answer that comes yet goes to nobody. */
void bus_mqtt_asker_forget(struct bus_mqtt_asker *asker);

#endif
