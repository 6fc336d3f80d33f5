/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_link.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "topic/bus_mqtt_inbox.h"
#include "topic/bus_mqtt_options.h"
#include "topic/bus_mqtt_reply.h"
#include "topic/message.h"

enum {
    WHY = 160, /* bytes of a reason in the log */
    BUFFERED =
        65535, /* publications that Paho takes before it drops the oldest, connected or not */
    /* 3.1.1 has no way to say it; Mosquitto ends a connection with more under way than its default of
     * max_inflight_messages. */
    RECEIVE_MAXIMUM_3_1_1 = 20,
};

/* What a callback of Paho's tells of the connection, once for each attempt: it needs no memory then. */
struct news {
    struct loop_message message;
    struct bus_mqtt_link *link;
    bool under_way; /* atomic; Paho may repeat itself */
};

/* A handle, and what its callbacks have to know. */
struct port {
    struct bus_mqtt_link *link; /* atomic; NULL: the handle was left behind */
    MQTTAsync handle;
    struct bus_mqtt_replies replies;
};

struct bus_mqtt_link {
    struct loop *loop;
    struct log *log;
    const char *who;
    const struct bus_mqtt_options *options;
    struct bus_mqtt_link_owner *owner;
    struct port *port; /* NULL: none could be made */
    struct bus_mqtt_inbox inbox;
    struct news connected, failed, lost, closed;
    struct bus_mqtt_welcome welcome;
    bool deaf; /* the handle is going: what it still has to say is of no interest */
    /* Written by Paho's threads, with its lock held, before the news that tells of them. */
    char failed_why[WHY];
    char lost_why[WHY];
    char tls_why[WHY];
};

/* ---- on Paho's threads ---- */

/* Returns NULL if the handle was left behind. */
static struct bus_mqtt_link *
from_port(void *context)
{
    return __atomic_load_n(&((struct port *)context)->link, __ATOMIC_ACQUIRE);
}

static void
tell(struct bus_mqtt_link *link, struct news *news)
{
    if (!__atomic_exchange_n(&news->under_way, true, __ATOMIC_ACQ_REL))
        loop_post(link->loop, &news->message);
}

static void
note_failure(struct bus_mqtt_link *link, int code, const char *message)
{
    const char *text = message != NULL ? message : "";

    if (link == NULL)
        return;
    if (code > 0 && link->options->v5)
        text = MQTTReasonCode_toString((enum MQTTReasonCodes)code);
    if (code > 0)
        snprintf(link->failed_why, WHY, "the broker refuses, code %d %s", code,
                 text != NULL ? text : "");
    else if (link->tls_why[0] != '\0')
        snprintf(link->failed_why, WHY, "%s", link->tls_why);
    else
        snprintf(link->failed_why, WHY, "%s", *text != '\0' ? text : "no connection");
    tell(link, &link->failed);
}

static void
on_connect_failure(void *context, MQTTAsync_failureData *data)
{
    note_failure(from_port(context), data != NULL ? data->code : MQTTASYNC_FAILURE,
                 data != NULL ? data->message : NULL);
}

static void
on_connect_failure5(void *context, MQTTAsync_failureData5 *data)
{
    note_failure(from_port(context), data != NULL ? data->code : MQTTASYNC_FAILURE,
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
    struct bus_mqtt_link *link = from_port(context);

    if (link == NULL)
        return;
    link->welcome = (struct bus_mqtt_welcome){
        .session_present = data->alt.connect.sessionPresent != 0,
        .receive_maximum = RECEIVE_MAXIMUM_3_1_1,
        .packet_max = SIZE_MAX,
    };
    tell(link, &link->connected);
}

static void
on_connect5(void *context, MQTTAsync_successData5 *data)
{
    struct bus_mqtt_link *link = from_port(context);
    MQTTProperties *properties = &data->properties;

    if (link == NULL)
        return;
    link->welcome = (struct bus_mqtt_welcome){
        .session_present = data->alt.connect.sessionPresent != 0,
        .has_ids = property(properties, MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 1),
        .receive_maximum = property(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX),
        .packet_max = property(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX),
    };
    tell(link, &link->connected);
}

static void
on_lost(void *context, char *cause)
{
    struct bus_mqtt_link *link = from_port(context);

    if (link == NULL)
        return;
    if (cause != NULL)
        snprintf(link->lost_why, WHY, "%s", cause);
    tell(link, &link->lost);
}

/* The broker's own DISCONNECT (MQTT 5); that the connection is lost follows. */
static void
on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    struct bus_mqtt_link *link = from_port(context);
    const char *text = MQTTReasonCode_toString(code);

    (void)properties;
    if (link == NULL)
        return;
    snprintf(link->lost_why, WHY, "the broker ends it, code %d %s", (int)code,
             text != NULL ? text : "");
}

static void
on_closed(void *context, MQTTAsync_successData *data)
{
    struct bus_mqtt_link *link = from_port(context);

    (void)data;
    if (link != NULL)
        tell(link, &link->closed);
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
    struct bus_mqtt_link *link = from_port(context);

    if (link != NULL)
        bus_mqtt_inbox_take(&link->inbox, topic, (size_t)topic_len, message);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* Lines of OpenSSL's error queue, the last one first cause. */
static int
on_tls_error(const char *text, size_t len, void *context)
{
    struct bus_mqtt_link *link = from_port(context);

    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (link != NULL)
        snprintf(link->tls_why, WHY, "%.*s", (int)len, text);
    return 1;
}

/* ---- on the bus's thread: news ---- */

static struct bus_mqtt_link *
take_news(struct loop_message *message)
{
    struct news *news = container_of(message, struct news, message);

    __atomic_store_n(&news->under_way, false, __ATOMIC_RELEASE);
    return news->link;
}

static void
deliver_connected(struct loop_message *message)
{
    struct bus_mqtt_link *link = take_news(message);

    if (!link->deaf)
        link->owner->connected(link->owner, &link->welcome);
}

static void
deliver_failed(struct loop_message *message)
{
    struct bus_mqtt_link *link = take_news(message);

    if (!link->deaf)
        link->owner->failed(link->owner, link->failed_why);
}

static void
deliver_lost(struct loop_message *message)
{
    struct bus_mqtt_link *link = take_news(message);

    if (!link->deaf)
        link->owner->lost(link->owner,
                          link->lost_why[0] != '\0' ? link->lost_why : "the connection has ended");
}

static void
deliver_closed(struct loop_message *message)
{
    struct bus_mqtt_link *link = take_news(message);

    if (!link->deaf)
        link->owner->closed(link->owner);
}

static void
deliver_arrival(struct bus_mqtt_inbox *inbox, const struct bus_mqtt_arrival *arrival)
{
    struct bus_mqtt_link *link = container_of(inbox, struct bus_mqtt_link, inbox);

    link->owner->arrived(link->owner, arrival);
}

static void
deliver_missed(struct bus_mqtt_inbox *inbox)
{
    struct bus_mqtt_link *link = container_of(inbox, struct bus_mqtt_link, inbox);

    link->owner->missed(link->owner);
}

/* ---- the handle ---- */

static int
make_handle(struct bus_mqtt_link *link)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    struct port *port = calloc(1, sizeof *port);
    int rc = MQTTASYNC_FAILURE;

    options.MQTTVersion = link->options->v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.maxBufferedMessages = BUFFERED;
    if (port != NULL)
        rc =
            MQTTAsync_createWithOptions(&port->handle, link->options->uri, link->options->client_id,
                                        MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (rc != MQTTASYNC_SUCCESS) {
        log_error(link->log, link->who, "cannot make an MQTT client for %s: %s", link->options->url,
                  MQTTAsync_strerror(rc));
        free(port);
        return -1;
    }
    port->link = link;
    bus_mqtt_replies_init(&port->replies, link->loop);
    MQTTAsync_setCallbacks(port->handle, port, on_lost, on_message, NULL);
    if (link->options->v5)
        MQTTAsync_setDisconnected(port->handle, port, on_disconnected);
    link->port = port;
    return 0;
}

/* Its memory stays until the process ends, that of what was under way included; the owner bounds that.
 * Better than to free what may be somebody else's by now. */
static void
leave_handle(struct bus_mqtt_link *link)
{
    struct port *port = link->port;

    log_info(link->log, link->who, "a publication could not be written: a new MQTT client is made");
    __atomic_store_n(&port->link, NULL, __ATOMIC_RELEASE);
    bus_mqtt_replies_leave(&port->replies);
    /* It waits for Paho's lock: callbacks that began before have ended. */
    MQTTAsync_setConnected(port->handle, NULL, NULL);
}

/* What its threads have posted is delivered here: afterwards nothing speaks of the old handle. */
static void
drop_handle(struct bus_mqtt_link *link)
{
    struct port *port = link->port;
    bool spoiled = port != NULL && bus_mqtt_replies_are_spoiled(&port->replies);

    if (spoiled) {
        leave_handle(link);
    } else if (port != NULL) {
        MQTTAsync_destroy(&port->handle);
        bus_mqtt_replies_drop(&port->replies);
    }
    link->port = NULL;
    link->deaf = true;
    loop_deliver(link->loop);
    link->deaf = false;
    if (!spoiled)
        free(port);
}

static void
init_news(struct bus_mqtt_link *link, struct news *news,
          void (*deliver)(struct loop_message *message))
{
    news->link = link;
    news->message.deliver = deliver;
}

struct bus_mqtt_link *
bus_mqtt_link_new(struct loop *loop, struct log *log, const char *who,
                  const struct bus_mqtt_options *options, struct bus_mqtt_link_owner *owner)
{
    struct bus_mqtt_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        log_error(log, who, "out of memory");
        return NULL;
    }
    link->loop = loop;
    link->log = log;
    link->who = who;
    link->options = options;
    link->owner = owner;
    init_news(link, &link->connected, deliver_connected);
    init_news(link, &link->failed, deliver_failed);
    init_news(link, &link->lost, deliver_lost);
    init_news(link, &link->closed, deliver_closed);
    bus_mqtt_inbox_init(&link->inbox, loop);
    link->inbox.arrived = deliver_arrival;
    link->inbox.missed = deliver_missed;
    if (make_handle(link) == 0)
        return link;
    free(link);
    return NULL;
}

void
bus_mqtt_link_free(struct bus_mqtt_link *link)
{
    if (link == NULL)
        return;
    drop_handle(link);
    free(link);
}

bool
bus_mqtt_link_is_spoiled(const struct bus_mqtt_link *link)
{
    return link->port == NULL || bus_mqtt_replies_are_spoiled(&link->port->replies);
}

int
bus_mqtt_link_renew(struct bus_mqtt_link *link)
{
    drop_handle(link);
    return make_handle(link);
}

/* ---- connecting ---- */

int
bus_mqtt_link_connect(struct bus_mqtt_link *link, bool clean)
{
    struct bus_mqtt_connect connect;
    int rc = MQTTASYNC_FAILURE;

    if (link->port == NULL && make_handle(link) != 0)
        return -1;
    bus_mqtt_connect_init(&connect, link->options, clean);
    connect.options.context = link->port;
    if (link->options->v5) {
        connect.options.onSuccess5 = on_connect5;
        connect.options.onFailure5 = on_connect_failure5;
    } else {
        connect.options.onSuccess = on_connect;
        connect.options.onFailure = on_connect_failure;
    }
    connect.tls.ssl_error_cb = on_tls_error;
    connect.tls.ssl_error_context = link->port;
    link->failed_why[0] = link->lost_why[0] = link->tls_why[0] = '\0';
    rc = MQTTAsync_connect(link->port->handle, &connect.options);
    bus_mqtt_connect_deinit(&connect);
    if (rc == MQTTASYNC_SUCCESS)
        return 0;
    log_error(link->log, link->who, "cannot connect: %s", MQTTAsync_strerror(rc));
    return -1;
}

int
bus_mqtt_link_disconnect(struct bus_mqtt_link *link, bool forget)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                           .value.integer4 = 0};
    int rc;

    if (link->port == NULL)
        return -1;
    options.context = link->port;
    if (link->options->v5) {
        options = (MQTTAsync_disconnectOptions)MQTTAsync_disconnectOptions_initializer5;
        options.context = link->port;
        options.onSuccess5 = on_closed5;
        if (forget)
            MQTTProperties_add(&options.properties, &expiry);
    } else {
        options.onSuccess = on_closed;
    }
    rc = MQTTAsync_disconnect(link->port->handle, &options);
    MQTTProperties_free(&options.properties);
    return rc == MQTTASYNC_SUCCESS ? 0 : -1;
}

/* ---- asking ---- */

static enum bus_mqtt_sent
outcome(int rc, struct bus_mqtt_reply *reply)
{
    if (rc == MQTTASYNC_SUCCESS)
        return BUS_MQTT_SENT;
    bus_mqtt_reply_cancel(reply);
    return rc == MQTTASYNC_BAD_UTF8_STRING || rc == MQTTASYNC_BAD_QOS ||
                   rc == MQTTASYNC_NULL_PARAMETER
               ? BUS_MQTT_NEVER
               : BUS_MQTT_NOT_NOW;
}

enum bus_mqtt_sent
bus_mqtt_link_publish(struct bus_mqtt_link *link, struct bus_mqtt_asker *asker,
                      const struct topic_message *message)
{
    MQTTAsync_responseOptions options;
    struct bus_mqtt_reply *reply;
    int qos = (int)link->options->qos;

    if (link->port == NULL || message->payload_len > INT32_MAX)
        return link->port == NULL ? BUS_MQTT_NOT_NOW : BUS_MQTT_NEVER;
    reply = bus_mqtt_reply_new(&link->port->replies, asker, qos > 0, link->options->v5, &options);
    if (reply == NULL)
        return BUS_MQTT_NOT_NOW;
    return outcome(MQTTAsync_send(link->port->handle, topic_message_topic(message),
                                  (int)message->payload_len, topic_message_payload(message), qos,
                                  message->retain, &options),
                   reply);
}

enum bus_mqtt_sent
bus_mqtt_link_subscribe(struct bus_mqtt_link *link, struct bus_mqtt_asker *asker,
                        const struct bus_mqtt_subscribe *subscribe)
{
    MQTTProperty id = {.identifier = MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER,
                       .value.integer4 = subscribe->id};
    MQTTAsync_responseOptions options;
    struct bus_mqtt_reply *reply;
    int rc;

    if (link->port == NULL)
        return BUS_MQTT_NOT_NOW;
    reply = bus_mqtt_reply_new(&link->port->replies, asker, false, link->options->v5, &options);
    if (reply == NULL)
        return BUS_MQTT_NOT_NOW;
    options.subscribeOptions.retainAsPublished = 1;
    options.subscribeOptions.retainHandling = subscribe->with_retained ? 0 : 2;
    if (subscribe->id != 0)
        MQTTProperties_add(&options.properties, &id);
    rc = MQTTAsync_subscribe(link->port->handle, subscribe->filter, (int)link->options->qos,
                             &options);
    MQTTProperties_free(&options.properties);
    return outcome(rc, reply);
}

enum bus_mqtt_sent
bus_mqtt_link_unsubscribe(struct bus_mqtt_link *link, struct bus_mqtt_asker *asker,
                          const char *filter)
{
    MQTTAsync_responseOptions options;
    struct bus_mqtt_reply *reply;

    if (link->port == NULL)
        return BUS_MQTT_NOT_NOW;
    reply = bus_mqtt_reply_new(&link->port->replies, asker, false, link->options->v5, &options);
    if (reply == NULL)
        return BUS_MQTT_NOT_NOW;
    return outcome(MQTTAsync_unsubscribe(link->port->handle, filter, &options), reply);
}

const char *
bus_mqtt_link_library_version(void)
{
    MQTTAsync_nameValue *info = MQTTAsync_getVersionInfo();

    for (; info->name != NULL; info++)
        if (strcmp(info->name, "Version") == 0)
            return info->value;
    return "?";
}
