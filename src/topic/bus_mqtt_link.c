/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_link.h"

#include <MQTTAsync.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "topic/bus_mqtt_inbox.h"
#include "topic/bus_mqtt_news.h"
#include "topic/bus_mqtt_options.h"
#include "topic/bus_mqtt_process.h"
#include "topic/bus_mqtt_reply.h"
#include "topic/message.h"

enum {
    /* Publications that Paho takes before it drops the oldest, connected or not. */
    BUFFERED = 65535,
};

/* A handle, and what its callbacks have to know. */
struct port {
    MQTTAsync handle;
    struct bus_mqtt_news news;
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
};

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
    bus_mqtt_news_init(&port->news, link->loop, link->options->v5, &link->inbox, link->owner);
    bus_mqtt_replies_init(&port->replies, link->loop);
    bus_mqtt_news_of_handle(&port->news, port->handle);
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
    bus_mqtt_news_leave(&port->news);
    bus_mqtt_replies_leave(&port->replies);
    /* It waits for Paho's lock: callbacks that began before have ended. */
    MQTTAsync_setConnected(port->handle, NULL, NULL);
}

/* What its threads have posted is delivered here: afterwards nothing speaks of the old handle. */
static void
drop_handle(struct bus_mqtt_link *link)
{
    struct port *port = link->port;
    bool spoiled;

    if (port == NULL)
        return;
    spoiled = bus_mqtt_replies_are_spoiled(&port->replies);
    if (spoiled) {
        leave_handle(link);
    } else {
        MQTTAsync_destroy(&port->handle);
        bus_mqtt_replies_drop(&port->replies);
    }
    link->port = NULL;
    port->news.deaf = true;
    loop_deliver(link->loop);
    if (!spoiled)
        free(port);
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
    bus_mqtt_process_await_threads();
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
    int rc;

    if (link->port == NULL && make_handle(link) != 0)
        return -1;
    bus_mqtt_connect_init(&connect, link->options, clean);
    bus_mqtt_news_of_connect(&link->port->news, &connect.options);
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
    if (link->options->v5)
        options = (MQTTAsync_disconnectOptions)MQTTAsync_disconnectOptions_initializer5;
    if (link->options->v5 && forget)
        MQTTProperties_add(&options.properties, &expiry);
    bus_mqtt_news_of_disconnect(&link->port->news, &options);
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
