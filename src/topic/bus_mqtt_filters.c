/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_filters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "base/log.h"
#include "base/topic_filter.h"
#include "event/loop.h"
#include "event/timer.h"
#include "topic/backoff.h"
#include "topic/bus_mqtt_inbox.h"
#include "topic/bus_mqtt_link.h"
#include "topic/bus_mqtt_options.h"
#include "topic/bus_mqtt_reply.h"
#include "topic/cover.h"
#include "topic/message.h"

enum {
    ID_MAX = 268435455, /* MQTT 5.0 section 3.8.2.1.2 */
};

static const double retry_first = 1, retry_most = 30; /* seconds */

/* Without identifiers and with Retain As Published: retained messages are answers until none has come for
 * so long, and not longer than this in all. */
static const double quiet_time = 1, answers_most = 10;

enum state {
    WANTED,
    ASKED,
    ASKED_AGAIN, /* granted; to tell live messages from retained ones */
    GRANTED,
    REFUSED,
    UNWANTED, /* the broker has it still */
    LEAVING,
};

struct subscription {
    struct list link;
    struct bus_mqtt_filters *filters;
    struct bus_mqtt_asker asker;
    enum state state;
    uint32_t id; /* and the next one */
    size_t len;
    char filter[];
};

struct bus_mqtt_filters {
    struct loop *loop;
    const char *who;
    const struct bus_mqtt_options *options;
    struct bus_mqtt_link *link;
    struct bus_mqtt_filters_owner *owner;
    struct list subscriptions; /* in the order in which the broker has heard of them */
    char **wanted;             /* as it was set */
    uint32_t next_id;
    bool connected;
    bool has_ids;
    bool overlap; /* some copies are to be left out */
    bool joined;  /* more may come than is wanted */
    unsigned failures;
    struct timer retry;
    double answers_since, answers_until; /* for the clock's way */
};

static void apply(struct bus_mqtt_filters *filters);

static struct subscription *
from_link(const struct list *link)
{
    return container_of((struct list *)(uintptr_t)link, struct subscription, link);
}

static void
drop(struct subscription *subscription)
{
    bus_mqtt_asker_forget(&subscription->asker);
    list_remove(&subscription->link);
    free(subscription);
}

static bool
matches(const struct subscription *subscription, const struct topic_message *message)
{
    return topic_filter_matches(subscription->filter, subscription->len,
                                topic_message_topic(message), message->topic_len);
}

/* ---- asking the broker ---- */

static bool
is_open(const struct subscription *subscription)
{
    return subscription->state == WANTED || subscription->state == ASKED ||
           subscription->state == ASKED_AGAIN;
}

bool
bus_mqtt_filters_are_settled(const struct bus_mqtt_filters *filters)
{
    for (const struct list *at = filters->subscriptions.next; at != &filters->subscriptions;
         at = at->next)
        if (is_open(from_link(at)))
            return false;
    return true;
}

static void
try_again_later(struct bus_mqtt_filters *filters)
{
    if (filters->retry.due == 0)
        timer_set(&filters->retry, loop_now(filters->loop) +
                                       backoff_delay(filters->failures++, retry_first, retry_most));
}

static void
note_refusal(struct subscription *subscription, int code)
{
    struct bus_mqtt_filters *filters = subscription->filters;

    log_error(loop_log(filters->loop), filters->who,
              "the broker does not let us subscribe to %s: code %d", subscription->filter, code);
    subscription->state = REFUSED;
    try_again_later(filters);
}

/* Returns false if nothing more can be asked now. */
static bool
subscribe(struct subscription *subscription, bool again)
{
    struct bus_mqtt_filters *filters = subscription->filters;
    struct bus_mqtt_subscribe what = {.filter = subscription->filter, .with_retained = !again};
    enum bus_mqtt_sent sent;

    if (filters->has_ids)
        what.id = subscription->id + again;
    sent = bus_mqtt_link_subscribe(filters->link, &subscription->asker, &what);
    if (sent == BUS_MQTT_SENT) {
        subscription->state = again ? ASKED_AGAIN : ASKED;
        filters->answers_since = loop_now(filters->loop);
        filters->answers_until = filters->answers_since + answers_most;
    } else if (sent == BUS_MQTT_NEVER) {
        note_refusal(subscription, 0);
    }
    return sent != BUS_MQTT_NOT_NOW;
}

/* What is not wanted any more goes when what replaces it is there. */
static void
unsubscribe_unwanted(struct bus_mqtt_filters *filters)
{
    struct list *next;

    for (struct list *at = filters->subscriptions.next; at != &filters->subscriptions; at = next) {
        struct subscription *subscription = from_link(at);

        next = at->next;
        if (subscription->state != UNWANTED)
            continue;
        if (bus_mqtt_link_unsubscribe(filters->link, &subscription->asker, subscription->filter) !=
            BUS_MQTT_SENT) {
            try_again_later(filters);
            return;
        }
        subscription->state = LEAVING;
    }
}

static void
ask(struct bus_mqtt_filters *filters)
{
    if (!filters->connected)
        return;
    for (struct list *at = filters->subscriptions.next; at != &filters->subscriptions;
         at = at->next) {
        struct subscription *subscription = from_link(at);

        if (subscription->state == WANTED && !subscribe(subscription, false)) {
            try_again_later(filters);
            return;
        }
    }
    if (!bus_mqtt_filters_are_settled(filters))
        return;
    unsubscribe_unwanted(filters);
    filters->owner->settled(filters->owner);
}

/* To the end: the broker hears of it after the others. */
static void
want_again(struct subscription *subscription)
{
    list_remove(&subscription->link);
    list_add(&subscription->filters->subscriptions, &subscription->link);
    subscription->state = WANTED;
}

static void
on_retry(struct timer *timer)
{
    struct bus_mqtt_filters *filters = container_of(timer, struct bus_mqtt_filters, retry);
    struct list *last = filters->subscriptions.prev, *next, *at = filters->subscriptions.next;
    bool refused = false, through = list_empty(&filters->subscriptions);

    for (; !through; at = next) {
        next = at->next;
        through = at == last;
        if (from_link(at)->state != REFUSED)
            continue;
        want_again(from_link(at));
        refused = true;
    }
    if (!refused)
        filters->failures = 0;
    ask(filters);
}

/* ---- its answers ---- */

static void
note_granted(struct subscription *subscription)
{
    struct bus_mqtt_filters *filters = subscription->filters;

    filters->answers_until = loop_now(filters->loop) + quiet_time;
    /* Without the second identifier live messages with RETAIN pass for answers: they come too. */
    if (subscription->state == ASKED && filters->has_ids && subscribe(subscription, true))
        return;
    subscription->state = GRANTED;
}

static void
answered(struct bus_mqtt_asker *asker, enum bus_mqtt_answer answer, int code)
{
    struct subscription *subscription = container_of(asker, struct subscription, asker);
    struct bus_mqtt_filters *filters = subscription->filters;

    if (answer == BUS_MQTT_ANSWER_LOST)
        return; /* that the connection is lost follows */
    if (subscription->state == LEAVING)
        drop(subscription);
    else if (subscription->state == ASKED && answer == BUS_MQTT_ANSWER_REFUSED)
        note_refusal(subscription, code);
    else
        note_granted(subscription);
    ask(filters);
}

void
bus_mqtt_filters_connected(struct bus_mqtt_filters *filters, const struct bus_mqtt_welcome *welcome)
{
    bool had_ids = filters->has_ids;
    struct list *next;

    filters->connected = true;
    filters->has_ids = filters->options->v5 && welcome->has_ids;
    filters->failures = 0;
    for (struct list *at = filters->subscriptions.next; at != &filters->subscriptions; at = next) {
        struct subscription *subscription = from_link(at);

        next = at->next;
        if (subscription->state != UNWANTED && subscription->state != LEAVING)
            subscription->state = WANTED;
        else if (welcome->session_present)
            subscription->state = UNWANTED;
        else
            drop(subscription);
    }
    if (filters->has_ids != had_ids)
        apply(filters);
    ask(filters);
}

void
bus_mqtt_filters_lost(struct bus_mqtt_filters *filters)
{
    filters->connected = false;
    timer_set(&filters->retry, 0);
    for (struct list *at = filters->subscriptions.next; at != &filters->subscriptions;
         at = at->next)
        bus_mqtt_asker_forget(&from_link(at)->asker);
}

/* ---- which copy is taken ---- */

/* Whether the broker may have it. */
static bool
is_there(const struct subscription *subscription)
{
    return subscription->state != WANTED && subscription->state != REFUSED;
}

static enum bus_mqtt_take
take_by_id(const struct bus_mqtt_filters *filters, const struct bus_mqtt_arrival *arrival)
{
    for (const struct list *at = filters->subscriptions.next; at != &filters->subscriptions;
         at = at->next) {
        const struct subscription *subscription = from_link(at);

        if (bus_mqtt_arrival_has(arrival, subscription->id + 1))
            return BUS_MQTT_TAKE;
        if (bus_mqtt_arrival_has(arrival, subscription->id))
            return arrival->message->retain ? BUS_MQTT_TAKE_RETAINED : BUS_MQTT_TAKE;
        if (filters->overlap && is_there(subscription) && matches(subscription, arrival->message))
            return BUS_MQTT_LEAVE; /* a copy comes with its identifier */
    }
    return BUS_MQTT_LEAVE; /* of an older subscription */
}

/* Whether a message with RETAIN is an answer to our SUBSCRIBE. */
static bool
is_answer(struct bus_mqtt_filters *filters)
{
    double now = loop_now(filters->loop);

    if (!filters->options->v5)
        return true;
    if (now > fmin(filters->answers_until, filters->answers_since + answers_most))
        return false;
    filters->answers_until = fmax(filters->answers_until, now + quiet_time);
    return true;
}

enum bus_mqtt_take
bus_mqtt_filters_take(struct bus_mqtt_filters *filters, const struct bus_mqtt_arrival *arrival)
{
    if (filters->has_ids && arrival->n_ids > 0)
        return take_by_id(filters, arrival);
    if (filters->joined &&
        !cover_matches((const char *const *)filters->wanted, topic_message_topic(arrival->message),
                       arrival->message->topic_len))
        return BUS_MQTT_LEAVE;
    return arrival->message->retain && is_answer(filters) ? BUS_MQTT_TAKE_RETAINED : BUS_MQTT_TAKE;
}

/* ---- what is wanted ---- */

static struct subscription *
find(const struct bus_mqtt_filters *filters, const char *filter)
{
    for (const struct list *at = filters->subscriptions.next; at != &filters->subscriptions;
         at = at->next)
        if (strcmp(from_link(at)->filter, filter) == 0)
            return from_link(at);
    return NULL;
}

static int
add(struct bus_mqtt_filters *filters, const char *filter)
{
    size_t len = strlen(filter);
    struct subscription *subscription = calloc(1, sizeof *subscription + len + 1);

    if (subscription == NULL)
        return -1;
    subscription->filters = filters;
    subscription->asker.answered = answered;
    subscription->state = WANTED;
    subscription->id = filters->next_id;
    filters->next_id = filters->next_id + 2 < ID_MAX ? filters->next_id + 2 : 1;
    subscription->len = len;
    memcpy(subscription->filter, filter, len + 1);
    list_add(&filters->subscriptions, &subscription->link);
    return 0;
}

static void
drop_what_went(struct bus_mqtt_filters *filters, char **list)
{
    struct list *next;

    for (struct list *at = filters->subscriptions.next; at != &filters->subscriptions; at = next) {
        struct subscription *subscription = from_link(at);

        next = at->next;
        if (cover_has((const char *const *)list, subscription->filter) ||
            subscription->state == LEAVING)
            continue;
        if (!is_there(subscription)) {
            drop(subscription);
            continue;
        }
        bus_mqtt_asker_forget(&subscription->asker);
        subscription->state = UNWANTED;
    }
}

static bool
some_overlap(const struct bus_mqtt_filters *filters)
{
    for (const struct list *a = filters->subscriptions.next; a != &filters->subscriptions;
         a = a->next)
        for (const struct list *b = a->next; b != &filters->subscriptions; b = b->next)
            if (topic_filter_overlaps(from_link(a)->filter, from_link(a)->len, from_link(b)->filter,
                                      from_link(b)->len))
                return true;
    return false;
}

/* Returns the filters to subscribe to; NULL without memory. */
static char **
reduce(struct bus_mqtt_filters *filters)
{
    const char *const *wanted = (const char *const *)filters->wanted;
    char **plain = cover_reduce(wanted, false);

    if (plain == NULL)
        return NULL;
    filters->joined = !filters->has_ids && cover_overlaps((const char *const *)plain);
    if (!filters->joined)
        return plain;
    cover_free(plain);
    return cover_reduce(wanted, true);
}

static void
apply(struct bus_mqtt_filters *filters)
{
    char **list = filters->wanted != NULL ? reduce(filters) : NULL;
    int rc = list != NULL || filters->wanted == NULL ? 0 : -1;

    for (char **filter = list; filter != NULL && *filter != NULL && rc == 0; filter++) {
        struct subscription *subscription = find(filters, *filter);

        /* The broker hears UNSUBSCRIBE before it hears of it anew. */
        if (subscription != NULL && subscription->state == LEAVING) {
            drop(subscription);
            subscription = NULL;
        }
        if (subscription == NULL)
            rc = add(filters, *filter);
        else if (subscription->state == UNWANTED)
            subscription->state = WANTED;
    }
    if (list != NULL)
        drop_what_went(filters, list);
    cover_free(list);
    filters->overlap = some_overlap(filters);
    if (rc != 0)
        log_error(loop_log(filters->loop), filters->who,
                  "not subscribed to all that is wanted: out of memory");
}

void
bus_mqtt_filters_set(struct bus_mqtt_filters *filters, char **list)
{
    cover_free(filters->wanted);
    filters->wanted = list;
    apply(filters);
    ask(filters);
}

/* ---- its life ---- */

struct bus_mqtt_filters *
bus_mqtt_filters_new(struct loop *loop, const char *who, const struct bus_mqtt_options *options,
                     struct bus_mqtt_link *link, struct bus_mqtt_filters_owner *owner)
{
    struct bus_mqtt_filters *filters = calloc(1, sizeof *filters);
    uint32_t random = 0;

    if (filters == NULL) {
        log_error(loop_log(loop), who, "out of memory");
        return NULL;
    }
    /* Not those of an earlier start, whose subscriptions a session that was kept may still have. */
    (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
    filters->next_id = random % (ID_MAX / 2) + 1;
    filters->loop = loop;
    filters->who = who;
    filters->options = options;
    filters->link = link;
    filters->owner = owner;
    filters->has_ids = options->v5;
    list_init(&filters->subscriptions);
    timer_init(&filters->retry, loop, on_retry);
    return filters;
}

void
bus_mqtt_filters_free(struct bus_mqtt_filters *filters)
{
    if (filters == NULL)
        return;
    while (!list_empty(&filters->subscriptions))
        drop(from_link(filters->subscriptions.next));
    timer_deinit(&filters->retry);
    cover_free(filters->wanted);
    free(filters);
}
