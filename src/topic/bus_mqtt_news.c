/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_news.h"

#include <stdint.h>
#include <stdio.h>

#include "base/list.h"
#include "topic/bus_mqtt_inbox.h"

enum {
    /* 3.1.1 has no way to say it; Mosquitto ends a connection with more under way than its default of
     * max_inflight_messages. */
    RECEIVE_MAXIMUM_3_1_1 = 20,
};

/* ---- on Paho's threads ---- */

/* Returns NULL if the handle was left behind. */
static struct bus_mqtt_news *
open_news(void *context)
{
    struct bus_mqtt_news *news = context;

    return __atomic_load_n(&news->left, __ATOMIC_ACQUIRE) ? NULL : news;
}

static void
tell(struct bus_mqtt_item *item)
{
    if (!__atomic_exchange_n(&item->under_way, true, __ATOMIC_ACQ_REL))
        loop_post(item->news->loop, &item->message);
}

static void
note_failure(struct bus_mqtt_news *news, int code, const char *message)
{
    const char *text = message != NULL ? message : "";

    if (news == NULL)
        return;
    if (code > 0 && news->v5)
        text = MQTTReasonCode_toString((enum MQTTReasonCodes)code);
    if (code > 0)
        snprintf(news->failed_why, BUS_MQTT_WHY, "the broker refuses, code %d %s", code,
                 text != NULL ? text : "");
    else if (news->tls_why[0] != '\0')
        snprintf(news->failed_why, BUS_MQTT_WHY, "%s", news->tls_why);
    else
        snprintf(news->failed_why, BUS_MQTT_WHY, "%s", *text != '\0' ? text : "no connection");
    tell(&news->failed);
}

static void
on_connect_failure(void *context, MQTTAsync_failureData *data)
{
    note_failure(open_news(context), data != NULL ? data->code : MQTTASYNC_FAILURE,
                 data != NULL ? data->message : NULL);
}

static void
on_connect_failure5(void *context, MQTTAsync_failureData5 *data)
{
    note_failure(open_news(context), data != NULL ? data->code : MQTTASYNC_FAILURE,
                 data != NULL ? data->message : NULL);
}

/* Returns what a property says, or what its absence means. */
static uint32_t
property(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t absent)
{
    return MQTTProperties_hasProperty(properties, code)
               ? (uint32_t)MQTTProperties_getNumericValue(properties, code)
               : absent;
}

static void
on_connect(void *context, MQTTAsync_successData *data)
{
    struct bus_mqtt_news *news = open_news(context);

    if (news == NULL)
        return;
    news->welcome = (struct bus_mqtt_welcome){
        .session_present = data->alt.connect.sessionPresent != 0,
        .receive_maximum = RECEIVE_MAXIMUM_3_1_1,
        .packet_max = SIZE_MAX,
    };
    tell(&news->connected);
}

static void
on_connect5(void *context, MQTTAsync_successData5 *data)
{
    struct bus_mqtt_news *news = open_news(context);
    MQTTProperties *properties = &data->properties;

    if (news == NULL)
        return;
    news->welcome = (struct bus_mqtt_welcome){
        .session_present = data->alt.connect.sessionPresent != 0,
        .has_ids = property(properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 1),
        .receive_maximum = property(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX),
        .packet_max = property(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX),
    };
    tell(&news->connected);
}

static void
on_lost(void *context, char *cause)
{
    struct bus_mqtt_news *news = open_news(context);

    if (news == NULL)
        return;
    if (cause != NULL)
        snprintf(news->lost_why, BUS_MQTT_WHY, "%s", cause);
    tell(&news->lost);
}

/* The broker's own DISCONNECT (MQTT 5); that the connection is lost follows. */
static void
on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    struct bus_mqtt_news *news = open_news(context);
    const char *text = MQTTReasonCode_toString(code);

    (void)properties;
    if (news == NULL)
        return;
    snprintf(news->lost_why, BUS_MQTT_WHY, "the broker ends it, code %d %s", (int)code,
             text != NULL ? text : "");
}

static void
on_closed(void *context, MQTTAsync_successData *data)
{
    struct bus_mqtt_news *news = open_news(context);

    (void)data;
    if (news != NULL)
        tell(&news->closed);
}

static void
on_closed5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    on_closed(context, NULL);
}

static int
on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct bus_mqtt_news *news = open_news(context);

    if (news != NULL)
        bus_mqtt_inbox_take(news->inbox, topic, (size_t)topic_len, message);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* Lines of OpenSSL's error queue, the last one first cause. */
static int
on_tls_error(const char *text, size_t len, void *context)
{
    struct bus_mqtt_news *news = open_news(context);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (news != NULL)
        snprintf(news->tls_why, BUS_MQTT_WHY, "%.*s", (int)len, text);
    return 1;
}

/* ---- on the bus's thread ---- */

static struct bus_mqtt_news *
take(struct loop_message *message)
{
    struct bus_mqtt_item *item = container_of(message, struct bus_mqtt_item, message);

    __atomic_store_n(&item->under_way, false, __ATOMIC_RELEASE);
    return item->news;
}

static void
deliver_connected(struct loop_message *message)
{
    struct bus_mqtt_news *news = take(message);

    if (!news->deaf)
        news->owner->connected(news->owner, &news->welcome);
}

static void
deliver_failed(struct loop_message *message)
{
    struct bus_mqtt_news *news = take(message);

    if (!news->deaf)
        news->owner->failed(news->owner, news->failed_why);
}

static void
deliver_lost(struct loop_message *message)
{
    struct bus_mqtt_news *news = take(message);

    if (!news->deaf)
        news->owner->lost(news->owner,
                          news->lost_why[0] != '\0' ? news->lost_why : "the connection has ended");
}

static void
deliver_closed(struct loop_message *message)
{
    struct bus_mqtt_news *news = take(message);

    if (!news->deaf)
        news->owner->closed(news->owner);
}

static void
init_item(struct bus_mqtt_news *news, struct bus_mqtt_item *item,
          void (*deliver)(struct loop_message *message))
{
    item->news = news;
    item->message.deliver = deliver;
    item->under_way = false;
}

void
bus_mqtt_news_init(struct bus_mqtt_news *news, struct loop *loop, bool v5,
                   struct bus_mqtt_inbox *inbox, struct bus_mqtt_link_owner *owner)
{
    *news = (struct bus_mqtt_news){.loop = loop, .owner = owner, .inbox = inbox, .v5 = v5};
    init_item(news, &news->connected, deliver_connected);
    init_item(news, &news->failed, deliver_failed);
    init_item(news, &news->lost, deliver_lost);
    init_item(news, &news->closed, deliver_closed);
}

void
bus_mqtt_news_of_handle(struct bus_mqtt_news *news, MQTTAsync handle)
{
    MQTTAsync_setCallbacks(handle, news, on_lost, on_message, NULL);
    if (news->v5)
        MQTTAsync_setDisconnected(handle, news, on_disconnected);
}

void
bus_mqtt_news_of_connect(struct bus_mqtt_news *news, MQTTAsync_connectOptions *options)
{
    news->failed_why[0] = news->lost_why[0] = news->tls_why[0] = '\0';
    options->context = news;
    if (news->v5) {
        options->onSuccess5 = on_connect5;
        options->onFailure5 = on_connect_failure5;
    } else {
        options->onSuccess = on_connect;
        options->onFailure = on_connect_failure;
    }
    if (options->ssl == NULL)
        return;
    options->ssl->ssl_error_cb = on_tls_error;
    options->ssl->ssl_error_context = news;
}

void
bus_mqtt_news_of_disconnect(struct bus_mqtt_news *news, MQTTAsync_disconnectOptions *options)
{
    options->context = news;
    if (news->v5)
        options->onSuccess5 = on_closed5;
    else
        options->onSuccess = on_closed;
}

void
bus_mqtt_news_leave(struct bus_mqtt_news *news)
{
    __atomic_store_n(&news->left, true, __ATOMIC_RELEASE);
}
