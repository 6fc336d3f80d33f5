/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/talk.h"

#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "conf/conf.h"
#include "topic/bus.h"
#include "topic/cursor.h"
#include "topic/envelope.h"
#include "topic/publication.h"
#include "topic/request.h"
#include "topic/rules.h"
#include "topic/subscriber_state.h"

enum {
    ANSWER_MAX = 512, /* bytes of an ack or error: a ref, and an id or a sentence of ours */
};

struct publishing {
    struct publication publication;
    struct list link;
    struct talk *talk;
    struct subscriber *subscriber; /* NULL: it has gone */
    char ref[TOPIC_REF_MAX + 1];
};

void
talk_init(struct talk *talk, void (*room)(struct subscriber *subscriber))
{
    list_init(&talk->publishing);
    talk->n_publishing = 0;
    talk->room = room;
}

void
talk_deinit(struct talk *talk)
{
    while (!list_empty(&talk->publishing)) {
        struct publishing *publishing =
            container_of(talk->publishing.next, struct publishing, link);

        list_remove(&publishing->link);
        publishing->subscriber = NULL;
    }
    talk->n_publishing = 0;
}

/* ---- answers ---- */

static void
tell(struct subscriber *subscriber, const char *json, size_t len)
{
    if (subscriber->events && !subscriber->talked)
        subscriber->kind->event(subscriber, json, len, NULL);
}

static void
tell_error(struct subscriber *subscriber, const char *ref, const char *reason)
{
    char json[ANSWER_MAX];
    size_t len = topic_envelope_error(json, ref, reason);

    tell(subscriber, json, len);
}

/* Without a ref nobody waits for it. */
static void
tell_ack(struct subscriber *subscriber, const char *ref, const char *id)
{
    char json[ANSWER_MAX];

    if (*ref != '\0') {
        size_t len = topic_envelope_ack(json, ref, id);
        tell(subscriber, json, len);
    }
}

/* ---- publishing ---- */

static void
tell_outcome(struct subscriber *subscriber, const struct publishing *publishing)
{
    const struct publication *publication = &publishing->publication;
    const char *why = publication_failure(publication);
    bool waited = stream_pending(subscriber->stream) > 0;
    char id[CURSOR_MAX + 1];

    if (why != NULL)
        tell_error(subscriber, publishing->ref, why);
    else
        tell_ack(subscriber, publishing->ref,
                 publication_id(publication, hub_bus(subscriber->member.hub), id));
    publishing->talk->room(subscriber);
    if (!waited && stream_pending(subscriber->stream) > 0)
        subscriber_tell_due(subscriber);
}

/* The subscriber may have ended in the same turn. */
static void
on_published(struct publication *publication)
{
    struct publishing *publishing = container_of(publication, struct publishing, publication);
    struct subscriber *subscriber = publishing->subscriber;

    list_remove(&publishing->link);
    if (subscriber != NULL) {
        publishing->talk->n_publishing--;
        publication_count(publication, subscriber->metrics);
        if (!subscriber_is_over(subscriber))
            tell_outcome(subscriber, publishing);
    }
    free(publishing);
}

/* Returns NULL, or why not. */
static const char *
publish(struct subscriber *subscriber, struct talk *talk, struct span topic, const uint8_t *data,
        size_t len, bool retain, const char *ref)
{
    struct hub *hub = subscriber->member.hub;
    const char *why = rules_publish(subscriber->route, hub, topic, len, retain);
    struct publishing *publishing;

    if (why != NULL)
        return why;
    publishing = calloc(1, sizeof *publishing);
    if (publishing == NULL)
        return "out of memory";
    strcpy(publishing->ref, ref);
    publishing->talk = talk;
    publishing->subscriber = subscriber;
    list_add(&talk->publishing, &publishing->link);
    talk->n_publishing++;
    if (publication_start(&publishing->publication, hub, topic, data, len, retain, on_published) ==
        0)
        return NULL;
    list_remove(&publishing->link);
    talk->n_publishing--;
    free(publishing);
    return "out of memory";
}

/* ---- requests ---- */

static const char *
subscribe(struct subscriber *subscriber, const struct topic_request *request)
{
    for (unsigned i = 0; i < request->n_filters; i++) {
        const char *why = rules_subscribe(subscriber->route, request->filter[i]);
        if (why != NULL)
            return why;
    }
    return subscriber_subscribe(subscriber, request->filter, request->n_filters, request->since);
}

/* Returns NULL, or why not. An acknowledgement of a publication comes later. */
static const char *
obey(struct subscriber *subscriber, struct talk *talk, const struct topic_request *request)
{
    const char *why = NULL;

    switch (request->kind) {
    case TOPIC_PUBLISH:
        return publish(subscriber, talk, request->topic, request->data, request->len,
                       request->retain, request->ref);
    case TOPIC_SUBSCRIBE:
        why = subscribe(subscriber, request);
        break;
    case TOPIC_UNSUBSCRIBE:
        subscriber_unsubscribe(subscriber, request->filter, request->n_filters);
        break;
    }
    if (why == NULL)
        tell_ack(subscriber, request->ref, NULL);
    return why;
}

static void
take_json(struct subscriber *subscriber, struct talk *talk, const char *text, size_t len)
{
    struct topic_request request;
    const char *why = topic_request_read(&request, text, len);

    if (why != NULL) {
        tell_error(subscriber, request.ref, why);
        return;
    }
    why = obey(subscriber, talk, &request);
    if (why != NULL)
        tell_error(subscriber, request.ref, why);
    topic_request_clear(&request);
    if (!subscriber_is_over(subscriber))
        hub_touch(&subscriber->member);
}

static uint16_t
take_raw(struct subscriber *subscriber, struct talk *talk, const uint8_t *data, size_t len)
{
    const char *topic = subscriber->route->publish[0];

    if (topic == NULL)
        return 1008;
    return publish(subscriber, talk, (struct span){topic, strlen(topic)}, data, len, false, "") ==
                   NULL
               ? 0
               : 1011;
}

uint16_t
talk_take(struct subscriber *subscriber, struct talk *talk, const uint8_t *data, size_t len,
          bool text)
{
    struct metrics_flow *flow = &subscriber->metrics->flows[subscriber->kind->transport];

    subscriber->in += len;
    metrics_add(&flow->bytes[METRICS_IN], len);
    metrics_add(&flow->messages[METRICS_IN], 1);
    if (subscriber->route->payload == CONF_PAYLOAD_RAW)
        return take_raw(subscriber, talk, data, len);
    if (!text)
        return 1003;
    take_json(subscriber, talk, (const char *)data, len);
    return 0;
}
