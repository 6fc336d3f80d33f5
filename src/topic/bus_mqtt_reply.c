/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_reply.h"

#include <stdlib.h>

struct bus_mqtt_reply {
    struct loop_message message;
    struct list link; /* in asked, or in orphans */
    struct bus_mqtt_replies *replies;
    struct bus_mqtt_asker *asker; /* NULL: nobody wants it */
    bool kept;
    bool orphan;
    bool posted; /* atomic */
    enum bus_mqtt_answer answer;
    int code;
    MQTTAsync_token token;
};

/* A token that was delivered, when there are orphans. */
struct delivery {
    struct loop_message message;
    struct bus_mqtt_replies *replies;
    MQTTAsync_token token;
};

void
bus_mqtt_replies_init(struct bus_mqtt_replies *replies, struct loop *loop)
{
    replies->loop = loop;
    replies->n_orphans = 0;
    list_init(&replies->asked);
    list_init(&replies->orphans);
}

static void
free_reply(struct bus_mqtt_reply *reply)
{
    if (reply->orphan)
        __atomic_sub_fetch(&reply->replies->n_orphans, 1, __ATOMIC_RELAXED);
    list_remove(&reply->link);
    free(reply);
}

static void
release_asker(struct bus_mqtt_reply *reply)
{
    if (reply->asker != NULL)
        reply->asker->reply = NULL;
    reply->asker = NULL;
}

void
bus_mqtt_replies_drop(struct bus_mqtt_replies *replies)
{
    struct list *next;

    for (struct list *at = replies->asked.next; at != &replies->asked; at = next) {
        struct bus_mqtt_reply *reply = container_of(at, struct bus_mqtt_reply, link);

        next = at->next;
        release_asker(reply);
        /* One that is on its way is freed when it comes. */
        if (!__atomic_load_n(&reply->posted, __ATOMIC_ACQUIRE))
            free_reply(reply);
    }
    while (!list_empty(&replies->orphans)) {
        struct bus_mqtt_reply *reply =
            container_of(replies->orphans.next, struct bus_mqtt_reply, link);

        release_asker(reply);
        free_reply(reply);
    }
}

void
bus_mqtt_replies_deinit(struct bus_mqtt_replies *replies)
{
    bus_mqtt_replies_drop(replies);
}

/* ---- on the bus's thread ---- */

static void
finish(struct bus_mqtt_reply *reply, enum bus_mqtt_answer answer)
{
    struct bus_mqtt_asker *asker = reply->asker;
    int code = reply->code;

    release_asker(reply);
    free_reply(reply);
    if (asker != NULL)
        asker->answered(asker, answer, code);
}

static void
on_reply(struct loop_message *message)
{
    struct bus_mqtt_reply *reply = container_of(message, struct bus_mqtt_reply, message);

    if (reply->answer != BUS_MQTT_ANSWER_LOST || !reply->kept || reply->asker == NULL) {
        finish(reply, reply->answer);
        return;
    }
    reply->orphan = true;
    list_remove(&reply->link);
    list_add(&reply->replies->orphans, &reply->link);
    __atomic_add_fetch(&reply->replies->n_orphans, 1, __ATOMIC_RELAXED);
}

static void
on_delivery(struct loop_message *message)
{
    struct delivery *delivery = container_of(message, struct delivery, message);
    struct list *orphans = &delivery->replies->orphans;
    struct bus_mqtt_reply *found = NULL;

    for (struct list *at = orphans->next; at != orphans && found == NULL; at = at->next) {
        struct bus_mqtt_reply *reply = container_of(at, struct bus_mqtt_reply, link);

        if (reply->token == delivery->token)
            found = reply;
    }
    free(delivery);
    if (found != NULL)
        finish(found, BUS_MQTT_ANSWER_TAKEN);
}

void
bus_mqtt_asker_forget(struct bus_mqtt_asker *asker)
{
    struct bus_mqtt_reply *reply = asker->reply;

    if (reply == NULL)
        return;
    release_asker(reply);
    /* Of another one Paho may still tell. */
    if (reply->orphan)
        free_reply(reply);
}

/* ---- on Paho's threads ---- */

static void
post(struct bus_mqtt_reply *reply, enum bus_mqtt_answer answer, int code)
{
    reply->answer = answer;
    reply->code = code;
    reply->message.deliver = on_reply;
    __atomic_store_n(&reply->posted, true, __ATOMIC_RELEASE);
    loop_post(reply->replies->loop, &reply->message);
}

static void
on_success(void *context, MQTTAsync_successData *data)
{
    (void)data;
    post(context, BUS_MQTT_ANSWER_TAKEN, 0);
}

/* A code of at least 0x80 is the broker's; Paho's own are negative. */
static void
on_failure(void *context, MQTTAsync_failureData *data)
{
    int code = data != NULL ? data->code : MQTTASYNC_FAILURE;

    post(context, code >= 0x80 ? BUS_MQTT_ANSWER_REFUSED : BUS_MQTT_ANSWER_LOST, code);
}

/* Of an UNSUBSCRIBE this is called with whatever the broker has said. */
static void
on_success5(void *context, MQTTAsync_successData5 *data)
{
    int code = data != NULL ? (int)data->reasonCode : 0;

    post(context, code >= 0x80 ? BUS_MQTT_ANSWER_REFUSED : BUS_MQTT_ANSWER_TAKEN, code);
}

static void
on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    bool refused = data != NULL && (int)data->reasonCode >= 0x80;
    int code = data == NULL ? MQTTASYNC_FAILURE : refused ? (int)data->reasonCode : data->code;

    post(context, refused ? BUS_MQTT_ANSWER_REFUSED : BUS_MQTT_ANSWER_LOST, code);
}

void
bus_mqtt_replies_delivered(struct bus_mqtt_replies *replies, MQTTAsync_token token)
{
    struct delivery *delivery;

    if (__atomic_load_n(&replies->n_orphans, __ATOMIC_RELAXED) == 0)
        return;
    delivery = malloc(sizeof *delivery);
    if (delivery == NULL)
        return; /* its publisher hears that it is unknown */
    delivery->replies = replies;
    delivery->token = token;
    delivery->message.deliver = on_delivery;
    loop_post(replies->loop, &delivery->message);
}

struct bus_mqtt_reply *
bus_mqtt_reply_new(struct bus_mqtt_replies *replies, struct bus_mqtt_asker *asker, bool kept,
                   bool v5, MQTTAsync_responseOptions *options)
{
    struct bus_mqtt_reply *reply = calloc(1, sizeof *reply);

    if (reply == NULL)
        return NULL;
    reply->replies = replies;
    reply->asker = asker;
    reply->kept = kept;
    list_add(&replies->asked, &reply->link);
    asker->reply = reply;
    *options = (MQTTAsync_responseOptions)MQTTAsync_responseOptions_initializer;
    options->context = reply;
    if (v5) {
        options->onSuccess5 = on_success5;
        options->onFailure5 = on_failure5;
    } else {
        options->onSuccess = on_success;
        options->onFailure = on_failure;
    }
    return reply;
}

void
bus_mqtt_reply_sent(struct bus_mqtt_reply *reply, MQTTAsync_token token)
{
    reply->token = token;
}

void
bus_mqtt_reply_cancel(struct bus_mqtt_reply *reply)
{
    release_asker(reply);
    free_reply(reply);
}
