/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_out -- publications that the broker does not have yet, each with its deadline.
 *
 *      workers ──loop_post──→ waiting ──a window──→ Paho ──→ broker
 *                                ↑         handed     │
 *                                └─── session lost ───┘    done: acknowledged, refused, or too late
 *
 * Paho gets only as many as may be under way: what it queued beyond that would be sent after the broker has
 * come back, whatever we had sent anew by then. While the broker keeps our session Paho resends by itself
 * what is under way, which at QoS 2 is the only way not to make two of one. When the session is lost all
 * that was handed out is published again, in order; one that the old session had passed on already is then
 * there twice, at QoS 2 too.
 *
 * One that is too late is its publisher's again, but goes on counting here until Paho is through with it.
 * At QoS 0 nothing waits for a broker that is away, and done means that the bytes have been written.
 *
 * Thread:    the bus's, but for bus_mqtt_out_publish().
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_OUT_H
#define CULVERT_TOPIC_BUS_MQTT_OUT_H

#include <stdbool.h>
#include <stddef.h>

struct bus_mqtt_link;
struct bus_mqtt_options;
struct bus_mqtt_out;
struct bus_mqtt_welcome;
struct bus_publication;
struct log;
struct loop;

/* Borrows all. Returns NULL, logged. */
struct bus_mqtt_out *bus_mqtt_out_new(struct loop *loop, const char *who,
                                      const struct bus_mqtt_options *options,
                                      struct bus_mqtt_link *link)
    __attribute__((warn_unused_result));
/* After bus_mqtt_out_close(), and all that was posted is delivered. */
void bus_mqtt_out_free(struct bus_mqtt_out *out);

/* Any thread. */
void bus_mqtt_out_publish(struct bus_mqtt_out *out, struct bus_publication *publication);

/* The broker is there, and our subscriptions are: before them, our own clients would miss it. */
void bus_mqtt_out_go(struct bus_mqtt_out *out, const struct bus_mqtt_welcome *welcome);
/* It is away. */
void bus_mqtt_out_stop(struct bus_mqtt_out *out);
/* The session is lost, or the handle is a new one. */
void bus_mqtt_out_restart(struct bus_mqtt_out *out);

/* Whether there is one that ends each connection, and that Paho would go on with for ever. */
bool bus_mqtt_out_is_poisoned(const struct bus_mqtt_out *out);

/* All that is open, and what comes yet, is done with BUS_UNKNOWN. */
void bus_mqtt_out_close(struct bus_mqtt_out *out);

#endif
