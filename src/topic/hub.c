/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "topic/levels.h"
#include "topic/message.h"
#include "topic/retained.h"

#define SWEEP_DELAY 2.0 /* seconds for a broker to tell again what it keeps */

struct hub {
    struct sequence_owner owner;
    struct loop *loop;
    struct bus *bus;
    struct sequence *sequence; /* the bus's, which outlives it */
    struct sequence_reader *reader;
    struct topic_tree *tree;
    struct retained retained;
    struct history history;
    struct list members;
    struct list touched;
    struct list next; /* those to be flushed in the next turn */
    size_t n_members;
    uint64_t head;
    uint64_t down_at; /* the number at which the broker went away last */
    bool is_down;
    struct timer sweep;
    uint64_t stale_before; /* values of earlier numbers are to be forgotten by then */
    double publish_timeout;
    bool live_replaces; /* a live message replaces its topic's retained value */
    struct loop_deferred flush_later;
    bool flushes_later;
    struct loop_message next_turn;
    bool goes_on; /* next_turn is under way */
};

/* ---- members ---- */

void
hub_join(struct hub *hub, struct hub_member *member, const struct hub_ops *ops)
{
    member->ops = ops;
    member->hub = hub;
    member->seen = hub->head;
    list_add(&hub->members, &member->link);
    list_init(&member->touched);
    hub->n_members++;
}

void
hub_leave(struct hub_member *member)
{
    if (member->hub == NULL)
        return;
    list_remove(&member->link);
    list_remove(&member->touched);
    member->hub->n_members--;
    member->hub = NULL;
}

int
hub_subscribe(struct hub_member *member, struct hub_filter *filter, const char *text, size_t len)
{
    filter->member = member;
    return topic_tree_subscribe(member->hub->tree, text, len, &filter->subscription);
}

void
hub_unsubscribe(struct hub_filter *filter)
{
    if (filter->member != NULL && filter->member->hub != NULL)
        topic_tree_unsubscribe(filter->member->hub->tree, &filter->subscription);
}

/* Whom nobody had touched yet. */
static void
touch(struct hub *hub, struct hub_member *member)
{
    if (list_empty(&member->touched))
        list_add(&hub->touched, &member->touched);
}

/* Each is flushed once; flushing may end it, and others. */
static void
flush_touched(struct hub *hub)
{
    while (!list_empty(&hub->touched)) {
        struct hub_member *member = container_of(hub->touched.next, struct hub_member, touched);

        list_remove(&member->touched);
        member->ops->flush(member);
    }
}

static void
on_flush_later(struct loop_deferred *deferred)
{
    struct hub *hub = container_of(deferred, struct hub, flush_later);

    hub->flushes_later = false;
    flush_touched(hub);
}

void
hub_touch(struct hub_member *member)
{
    struct hub *hub = member->hub;

    touch(hub, member);
    if (hub->flushes_later)
        return;
    hub->flushes_later = true;
    loop_defer(hub->loop, &hub->flush_later, on_flush_later);
}

static void
on_next_turn(struct loop_message *message)
{
    struct hub *hub = container_of(message, struct hub, next_turn);

    hub->goes_on = false;
    while (!list_empty(&hub->next)) {
        struct list *first = hub->next.next;

        list_remove(first);
        list_add(&hub->touched, first);
    }
    flush_touched(hub);
}

void
hub_touch_next(struct hub_member *member)
{
    struct hub *hub = member->hub;

    list_remove(&member->touched);
    list_add(&hub->next, &member->touched);
    if (hub->goes_on)
        return;
    hub->goes_on = true;
    hub->next_turn.deliver = on_next_turn;
    loop_post(hub->loop, &hub->next_turn);
}

/* ---- what happens on the bus ---- */

struct matching {
    struct hub *hub;
    struct topic_message *message;
};

static void
on_match(struct topic_subscription *subscription, void *arg)
{
    const struct matching *matching = arg;
    struct hub_filter *filter = container_of(subscription, struct hub_filter, subscription);
    struct hub_member *member = filter->member;

    if (member->seen >= matching->message->number || filter->after >= matching->message->number)
        return;
    member->seen = matching->message->number;
    member->ops->message(member, matching->message);
    touch(matching->hub, member);
}

static void
fan_out(struct hub *hub, struct topic_message *message)
{
    struct matching matching = {hub, message};

    topic_tree_match(hub->tree, topic_message_topic(message), message->topic_len, on_match,
                     &matching);
}

static void
note(struct hub *hub, enum hub_note note)
{
    struct list *at;

    for (at = hub->members.next; at != &hub->members; at = at->next) {
        struct hub_member *member = container_of(at, struct hub_member, link);

        member->ops->note(member, note);
        touch(hub, member);
    }
}

/* What a broker of 3.1.1 sends on is not marked as retained: on a topic that has a value it probably
 * is. */
static bool
is_to_be_kept(const struct hub *hub, const struct topic_message *message)
{
    return message->retain || (hub->live_replaces && retained_of(&hub->retained, message) != NULL);
}

/* Others may publish to a broker what no client of ours can subscribe to. */
static bool
is_ours(const struct topic_message *message)
{
    return topic_levels_ok(topic_message_topic(message), message->topic_len);
}

static void
publish(struct hub *hub, struct topic_message *message)
{
    if (!is_ours(message))
        return;
    if (is_to_be_kept(hub, message))
        retained_keep(&hub->retained, message);
    history_add(&hub->history, message);
    fan_out(hub, message);
}

static void
take_retained(struct hub *hub, struct topic_message *message)
{
    const struct topic_message *held;
    bool same;

    if (!is_ours(message))
        return;
    held = retained_of(&hub->retained, message);
    same = held != NULL && held->payload_len == message->payload_len &&
           memcmp(topic_message_payload(held), topic_message_payload(message),
                  message->payload_len) == 0;

    retained_keep(&hub->retained, message);
    if (same)
        return;
    history_add(&hub->history, message);
    fan_out(hub, message);
}

/* What the broker did not tell again when it had come back is not kept there any more. */
static void
on_sweep(struct timer *timer)
{
    struct hub *hub = container_of(timer, struct hub, sweep);

    retained_forget(&hub->retained, hub->stale_before);
}

static void
take_item(struct hub *hub, const struct sequence_item *item)
{
    hub->head = item->number;
    switch (item->kind) {
    case SEQUENCE_MESSAGE:
        publish(hub, item->message);
        break;
    case SEQUENCE_RETAINED:
        take_retained(hub, item->message);
        break;
    case SEQUENCE_BREAK:
        history_break(&hub->history, item->number);
        hub->stale_before = hub->down_at;
        timer_set(&hub->sweep, loop_now(hub->loop) + SWEEP_DELAY);
        note(hub, HUB_RESET);
        break;
    case SEQUENCE_DOWN:
        /* A connection that ended before it was up has been told of, too: values may have come by it. */
        hub->down_at = item->number;
        if (!hub->is_down)
            note(hub, HUB_DOWN);
        hub->is_down = true;
        break;
    case SEQUENCE_UP:
        hub->is_down = false;
        note(hub, HUB_UP);
        break;
    }
    topic_message_unref(item->message);
}

static void
on_items(struct sequence_owner *owner, const struct sequence_item *items, size_t n)
{
    struct hub *hub = container_of(owner, struct hub, owner);

    for (size_t i = 0; i < n; i++)
        take_item(hub, &items[i]);
    flush_touched(hub);
}

/* ---- for others of topic/ ---- */

struct loop *
hub_loop(const struct hub *hub)
{
    return hub->loop;
}

struct bus *
hub_bus(const struct hub *hub)
{
    return hub->bus;
}

const char *
hub_epoch(const struct hub *hub)
{
    return sequence_epoch(hub->sequence);
}

const struct history *
hub_history(const struct hub *hub)
{
    return &hub->history;
}

struct topic_tree *
hub_tree(struct hub *hub)
{
    return hub->tree;
}

size_t
hub_members(const struct hub *hub)
{
    return hub->n_members;
}

uint64_t
hub_head(const struct hub *hub)
{
    return hub->head;
}

bool
hub_knows(const struct hub *hub, uint64_t number)
{
    return number <= sequence_head(hub->sequence);
}

bool
hub_is_down(const struct hub *hub)
{
    return hub->is_down;
}

bool
hub_retains(const struct hub *hub, const char *topic, size_t len, size_t payload_len)
{
    return retained_fits(&hub->retained, topic, len, payload_len);
}

double
hub_publish_timeout(const struct hub *hub)
{
    return hub->publish_timeout;
}

/* ---- lifetime ---- */

struct hub *
hub_new(const struct hub_options *options)
{
    const struct conf_bus *conf = options->conf;
    struct hub *hub = calloc(1, sizeof *hub);

    if (hub == NULL) {
        log_error(loop_log(options->loop), "topics", "out of memory");
        return NULL;
    }
    hub->loop = options->loop;
    hub->bus = options->bus;
    hub->sequence = options->bus->sequence;
    hub->owner.items = on_items;
    list_init(&hub->members);
    list_init(&hub->touched);
    list_init(&hub->next);
    history_init(&hub->history, conf->history_messages, conf->history_bytes);
    hub->publish_timeout = conf->publish_timeout;
    hub->is_down = conf->kind != CONF_BUS_MEMORY; /* until it tells that it is not */
    hub->live_replaces = conf->kind != CONF_BUS_MEMORY && conf->mqtt_version == CONF_MQTT_3_1_1;
    timer_init(&hub->sweep, hub->loop, on_sweep);
    hub->tree = topic_tree_new();
    retained_init(&hub->retained, hub->tree, loop_log(hub->loop), conf->retained_max,
                  conf->retained_bytes);
    /* After a reload others may publish already. */
    hub->reader = sequence_join(hub->sequence, hub->loop, &hub->owner, &hub->head);
    hub->history.evicted = hub->head;
    if (hub->tree != NULL && hub->reader != NULL)
        return hub;
    log_error(loop_log(options->loop), "topics", "out of memory");
    hub_free(hub);
    return NULL;
}

void
hub_free(struct hub *hub)
{
    if (hub == NULL)
        return;
    assert(hub->n_members == 0);
    sequence_leave(hub->reader);
    timer_deinit(&hub->sweep);
    if (hub->tree != NULL)
        retained_deinit(&hub->retained);
    topic_tree_free(hub->tree);
    history_deinit(&hub->history);
    free(hub);
}
