/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_reply.h"

#include <stdlib.h>

enum {
    REFUSED_FROM = 0x80, /* reason codes (MQTT 5.0 section 2.4), and that of a SUBACK of 3.1.1 */
};

struct bus_mqtt_reply {
    struct loop_message message;
    struct list link; /* in asked */
    struct bus_mqtt_replies *replies;
    struct bus_mqtt_asker *asker; /* NULL: nobody wants it */
    bool kept;
    bool posted; /* atomic */
    enum bus_mqtt_answer answer;
    int code;
};

void
bus_mqtt_replies_init(struct bus_mqtt_replies *replies, struct loop *loop)
{
    replies->loop = loop;
    replies->spoiled = replies->left = false;
    list_init(&replies->asked);
}

static void
free_reply(struct bus_mqtt_reply *reply)
{
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

static void
release_askers(struct bus_mqtt_replies *replies)
{
    for (struct list *at = replies->asked.next; at != &replies->asked; at = at->next)
        release_asker(container_of(at, struct bus_mqtt_reply, link));
}

void
bus_mqtt_replies_drop(struct bus_mqtt_replies *replies)
{
    struct list *next;

    release_askers(replies);
    for (struct list *at = replies->asked.next; at != &replies->asked; at = next) {
        struct bus_mqtt_reply *reply = container_of(at, struct bus_mqtt_reply, link);

        next = at->next;
        /* One that is on its way is freed when it comes. */
        if (!__atomic_load_n(&reply->posted, __ATOMIC_ACQUIRE))
            free_reply(reply);
    }
}

void
bus_mqtt_replies_leave(struct bus_mqtt_replies *replies)
{
    __atomic_store_n(&replies->left, true, __ATOMIC_RELEASE);
    release_askers(replies);
}

bool
bus_mqtt_replies_are_spoiled(const struct bus_mqtt_replies *replies)
{
    return __atomic_load_n(&replies->spoiled, __ATOMIC_ACQUIRE);
}

void
bus_mqtt_asker_forget(struct bus_mqtt_asker *asker)
{
    if (asker->reply != NULL)
        release_asker(asker->reply);
}

static void
on_reply(struct loop_message *message)
{
    struct bus_mqtt_reply *reply = container_of(message, struct bus_mqtt_reply, message);
    struct bus_mqtt_asker *asker = reply->asker;
    enum bus_mqtt_answer answer = reply->answer;
    int code = reply->code;

    if (answer == BUS_MQTT_ANSWER_LOST && reply->kept)
        asker = NULL;
    release_asker(reply);
    free_reply(reply);
    if (asker != NULL)
        asker->answered(asker, answer, code);
}

/* ---- on Paho's threads ---- */

static void
post(struct bus_mqtt_reply *reply, enum bus_mqtt_answer answer, int code)
{
    struct bus_mqtt_replies *replies = reply->replies;

    if (__atomic_load_n(&replies->left, __ATOMIC_ACQUIRE))
        return;
    /* With its other failures Paho has first let go of the topic and the payload. */
    if (reply->kept && answer == BUS_MQTT_ANSWER_LOST && code != MQTTASYNC_OPERATION_INCOMPLETE)
        __atomic_store_n(&replies->spoiled, true, __ATOMIC_RELEASE);
    reply->answer = answer;
    reply->code = code;
    reply->message.deliver = on_reply;
    __atomic_store_n(&reply->posted, true, __ATOMIC_RELEASE);
    loop_post(replies->loop, &reply->message);
}

static void
on_success(void *context, MQTTAsync_successData *data)
{
    (void)data;
    post(context, BUS_MQTT_ANSWER_TAKEN, 0);
}

/* Codes of Paho's own are negative. */
static void
on_failure(void *context, MQTTAsync_failureData *data)
{
    int code = data != NULL ? data->code : MQTTASYNC_FAILURE;

    post(context, code >= REFUSED_FROM ? BUS_MQTT_ANSWER_REFUSED : BUS_MQTT_ANSWER_LOST, code);
}

/* Of an UNSUBSCRIBE this is called with whatever the broker has said. */
static void
on_success5(void *context, MQTTAsync_successData5 *data)
{
    int code = data != NULL ? (int)data->reasonCode : 0;

    post(context, code >= REFUSED_FROM ? BUS_MQTT_ANSWER_REFUSED : BUS_MQTT_ANSWER_TAKEN, code);
}

/* With a code of Paho's own the broker's may be undefined. */
static void
on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    int code = data != NULL ? data->code : MQTTASYNC_FAILURE;

    if (code == 0 && (int)data->reasonCode >= REFUSED_FROM)
        post(context, BUS_MQTT_ANSWER_REFUSED, (int)data->reasonCode);
    else
        post(context, BUS_MQTT_ANSWER_LOST, code);
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
bus_mqtt_reply_cancel(struct bus_mqtt_reply *reply)
{
    release_asker(reply);
    free_reply(reply);
}
