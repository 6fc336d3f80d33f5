/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_inbox.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/topic_filter.h"
#include "event/loop.h"
#include "topic/message.h"

struct parcel {
    struct loop_message message;
    struct bus_mqtt_inbox *inbox;
    size_t bytes; /* 0: a notice that some were dropped */
    struct bus_mqtt_arrival arrival;
};

void
bus_mqtt_inbox_init(struct bus_mqtt_inbox *inbox, struct loop *loop)
{
    inbox->loop = loop;
    inbox->bytes = 0;
    inbox->dropping = false;
}

static void
deliver(struct loop_message *message)
{
    struct parcel *parcel = container_of(message, struct parcel, message);
    struct bus_mqtt_inbox *inbox = parcel->inbox;

    if (parcel->bytes > 0) {
        inbox->arrived(inbox, &parcel->arrival);
        topic_message_unref(parcel->arrival.message);
        __atomic_sub_fetch(&inbox->bytes, parcel->bytes, __ATOMIC_RELAXED);
    } else {
        inbox->missed(inbox);
    }
    free(parcel);
}

/* ---- on Paho's thread ---- */

static void
post(struct bus_mqtt_inbox *inbox, struct parcel *parcel)
{
    parcel->inbox = inbox;
    parcel->message.deliver = deliver;
    loop_post(inbox->loop, &parcel->message);
}

/* One notice stands for all that are dropped until one fits again: messages that follow it are whole. */
static void
drop(struct bus_mqtt_inbox *inbox)
{
    struct parcel *parcel;

    if (inbox->dropping)
        return;
    parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL)
        return; /* the next one that is dropped tries again */
    inbox->dropping = true;
    post(inbox, parcel);
}

static void
copy_ids(struct bus_mqtt_arrival *arrival, MQTTAsync_message *message)
{
    for (size_t i = 0; i < arrival->n_ids; i++)
        arrival->ids[i] = (uint32_t)MQTTProperties_getNumericValueAt(
            &message->properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, (int)i);
}

/* Returns NULL without memory. */
static struct parcel *
wrap(const char *topic, size_t topic_len, MQTTAsync_message *message)
{
    int n_ids = MQTTProperties_propertyCount(&message->properties,
                                             MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER);
    size_t count = n_ids > 0 ? (size_t)n_ids : 0;
    struct parcel *parcel = calloc(1, sizeof *parcel + count * sizeof *parcel->arrival.ids);

    if (parcel == NULL)
        return NULL;
    parcel->arrival.n_ids = count;
    copy_ids(&parcel->arrival, message);
    parcel->arrival.message = topic_message_new(
        topic, topic_len, message->payload, (size_t)message->payloadlen, message->retained != 0);
    if (parcel->arrival.message == NULL) {
        free(parcel);
        return NULL;
    }
    parcel->bytes = sizeof *parcel + topic_message_size(parcel->arrival.message);
    return parcel;
}

void
bus_mqtt_inbox_take(struct bus_mqtt_inbox *inbox, const char *topic, size_t topic_len,
                    MQTTAsync_message *message)
{
    struct parcel *parcel;

    if (topic_len == 0)
        topic_len = strlen(topic);
    /* No broker may send others. */
    if (!topic_name_is_valid(topic, topic_len))
        return;
    if (__atomic_load_n(&inbox->bytes, __ATOMIC_RELAXED) > BUS_MQTT_INBOX_MAX ||
        (parcel = wrap(topic, topic_len, message)) == NULL) {
        drop(inbox);
        return;
    }
    inbox->dropping = false;
    __atomic_add_fetch(&inbox->bytes, parcel->bytes, __ATOMIC_RELAXED);
    post(inbox, parcel);
}
