/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_out.h"

#include <math.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "event/timer.h"
#include "topic/bus.h"
#include "topic/bus_mqtt_link.h"
#include "topic/bus_mqtt_options.h"
#include "topic/bus_mqtt_reply.h"
#include "topic/message.h"

enum {
    WINDOW = 256,           /* handed to Paho, which searches its lists from end to end */
    WINDOW_BYTES = 1 << 20, /* of them, unless it is but one */
    PACKET_OVERHEAD = 16,   /* of a PUBLISH: header, lengths, packet identifier, no properties */
    LOSSES_MAX = 3,         /* connections that one too late may have been on when they were lost */
};

/* Deadlines are looked at so often at most, as each look is at all of them. */
static const double look_again = 0.02;

struct entry {
    struct loop_message message; /* to the bus's loop */
    struct bus_mqtt_out *out;
    struct list link;                    /* in waiting or handed */
    struct bus_publication *publication; /* NULL: it was too late */
    struct bus_mqtt_asker asker;
    size_t bytes;
    unsigned losses;
};

struct bus_mqtt_out {
    struct loop *loop;
    const struct bus_mqtt_options *options;
    struct bus_mqtt_link *link;
    struct list waiting;
    struct list handed; /* in the order of handing */
    unsigned n_handed;
    size_t handed_bytes;
    unsigned window;
    size_t packet_max;
    struct timer deadline; /* the soonest, or a little later */
    unsigned n_open;       /* atomic: publications that are not done */
    bool going;
    bool closed;
};

static void pump(struct bus_mqtt_out *out);

/* ---- the ends of publications ---- */

static void
deliver_done(struct loop_message *message)
{
    struct bus_publication *publication = container_of(message, struct bus_publication, message);

    publication->done(publication);
}

static void
finish(struct bus_publication *publication, enum bus_result result)
{
    topic_message_unref(publication->topic);
    publication->topic = NULL;
    publication->result = result;
    publication->number = 0;
    publication->message.deliver = deliver_done;
    loop_post(publication->loop, &publication->message);
}

static void
settle(struct entry *entry, enum bus_result result)
{
    if (entry->publication == NULL)
        return;
    __atomic_sub_fetch(&entry->out->n_open, 1, __ATOMIC_RELAXED);
    finish(entry->publication, result);
    entry->publication = NULL;
}

static void
drop(struct entry *entry, enum bus_result result)
{
    settle(entry, result);
    bus_mqtt_asker_forget(&entry->asker);
    list_remove(&entry->link);
    free(entry);
}

static void
drop_all(struct list *entries, enum bus_result result)
{
    while (!list_empty(entries))
        drop(container_of(entries->next, struct entry, link), result);
}

/* ---- deadlines ---- */

static double
soonest(struct list *entries, double sooner)
{
    for (struct list *at = entries->next; at != entries; at = at->next) {
        const struct entry *entry = container_of(at, struct entry, link);

        if (entry->publication != NULL)
            sooner = timer_sooner(sooner, entry->publication->deadline);
    }
    return sooner;
}

static void
end_late_ones(struct bus_mqtt_out *out)
{
    double now = loop_now(out->loop);
    struct list *next;

    for (struct list *at = out->waiting.next; at != &out->waiting; at = next) {
        struct entry *entry = container_of(at, struct entry, link);

        next = at->next;
        if (entry->publication->deadline <= now)
            drop(entry, BUS_UNKNOWN);
    }
    /* Of these Paho has still to say something. */
    for (struct list *at = out->handed.next; at != &out->handed; at = at->next) {
        struct entry *entry = container_of(at, struct entry, link);

        if (entry->publication != NULL && entry->publication->deadline <= now)
            settle(entry, BUS_UNKNOWN);
    }
}

static void
on_deadline(struct timer *timer)
{
    struct bus_mqtt_out *out = container_of(timer, struct bus_mqtt_out, deadline);
    double next;

    end_late_ones(out);
    next = soonest(&out->handed, soonest(&out->waiting, 0));
    timer_set(timer, next != 0 ? fmax(next, loop_now(out->loop) + look_again) : 0);
    /* Paho may have had no memory. */
    pump(out);
}

/* ---- handing them to Paho ---- */

static void
answered(struct bus_mqtt_asker *asker, enum bus_mqtt_answer answer, int code)
{
    struct entry *entry = container_of(asker, struct entry, asker);
    struct bus_mqtt_out *out = entry->out;

    (void)code;
    out->n_handed--;
    out->handed_bytes -= entry->bytes;
    /* At QoS 0 no broker refuses anything; Paho leaves the code of a failure undefined there. */
    drop(entry, answer == BUS_MQTT_ANSWER_TAKEN                              ? BUS_TAKEN
                : answer == BUS_MQTT_ANSWER_REFUSED && out->options->qos > 0 ? BUS_REFUSED
                                                                             : BUS_UNKNOWN);
    pump(out);
}

/* Returns false if there is no use in trying the next one. */
static bool
hand(struct bus_mqtt_out *out, struct entry *entry)
{
    const struct topic_message *topic = entry->publication->topic;
    enum bus_mqtt_sent sent;

    /* The broker would end the connection, and so each time it is sent again. */
    if (entry->bytes > out->packet_max) {
        drop(entry, BUS_REFUSED);
        return true;
    }
    sent = bus_mqtt_link_publish(out->link, &entry->asker, topic);
    if (sent == BUS_MQTT_NOT_NOW)
        return false;
    if (sent == BUS_MQTT_NEVER) {
        drop(entry, BUS_REFUSED);
        return true;
    }
    list_remove(&entry->link);
    list_add(&out->handed, &entry->link);
    out->n_handed++;
    out->handed_bytes += entry->bytes;
    return true;
}

static void
pump(struct bus_mqtt_out *out)
{
    while (out->going && out->n_handed < out->window && !list_empty(&out->waiting)) {
        struct entry *entry = container_of(out->waiting.next, struct entry, link);

        if (out->n_handed > 0 && out->handed_bytes + entry->bytes > WINDOW_BYTES)
            return;
        if (!hand(out, entry))
            return;
    }
}

/* ---- publishing ---- */

static void
deliver_entry(struct loop_message *message)
{
    struct entry *entry = container_of(message, struct entry, message);
    struct bus_mqtt_out *out = entry->out;
    double deadline = entry->publication->deadline;

    list_add(&out->waiting, &entry->link);
    if (out->closed || (out->options->qos == 0 && !out->going) || deadline <= loop_now(out->loop)) {
        drop(entry, BUS_UNKNOWN);
        return;
    }
    if (out->deadline.due == 0 || deadline < out->deadline.due)
        timer_set(&out->deadline, fmax(deadline, loop_now(out->loop) + look_again));
    pump(out);
}

void
bus_mqtt_out_publish(struct bus_mqtt_out *out, struct bus_publication *publication)
{
    unsigned open = __atomic_add_fetch(&out->n_open, 1, __ATOMIC_RELAXED);
    struct entry *entry = open <= out->options->publish_max ? calloc(1, sizeof *entry) : NULL;

    if (entry == NULL) {
        __atomic_sub_fetch(&out->n_open, 1, __ATOMIC_RELAXED);
        finish(publication, BUS_FULL);
        return;
    }
    entry->out = out;
    entry->publication = publication;
    entry->bytes =
        publication->topic->topic_len + publication->topic->payload_len + PACKET_OVERHEAD;
    entry->asker.answered = answered;
    list_init(&entry->link);
    entry->message.deliver = deliver_entry;
    loop_post(out->loop, &entry->message);
}

/* ---- the connection ---- */

void
bus_mqtt_out_go(struct bus_mqtt_out *out, const struct bus_mqtt_welcome *welcome)
{
    out->window = welcome->receive_maximum < WINDOW ? welcome->receive_maximum : WINDOW;
    out->packet_max = welcome->packet_max;
    out->going = true;
    pump(out);
}

void
bus_mqtt_out_stop(struct bus_mqtt_out *out)
{
    out->going = false;
    for (struct list *at = out->handed.next; at != &out->handed; at = at->next)
        container_of(at, struct entry, link)->losses++;
    if (out->options->qos > 0)
        return;
    drop_all(&out->handed, BUS_UNKNOWN);
    drop_all(&out->waiting, BUS_UNKNOWN);
    out->n_handed = 0;
    out->handed_bytes = 0;
}

void
bus_mqtt_out_restart(struct bus_mqtt_out *out)
{
    /* From the last to the first, each before all that wait. */
    while (!list_empty(&out->handed)) {
        struct entry *entry = container_of(out->handed.prev, struct entry, link);

        bus_mqtt_asker_forget(&entry->asker);
        list_remove(&entry->link);
        list_add(out->waiting.next, &entry->link);
        if (entry->publication == NULL)
            drop(entry, BUS_UNKNOWN);
    }
    out->n_handed = 0;
    out->handed_bytes = 0;
}

bool
bus_mqtt_out_is_poisoned(const struct bus_mqtt_out *out)
{
    for (const struct list *at = out->handed.next; at != &out->handed; at = at->next) {
        const struct entry *entry = container_of((struct list *)(uintptr_t)at, struct entry, link);

        if (entry->publication == NULL && entry->losses >= LOSSES_MAX)
            return true;
    }
    return false;
}

/* ---- its life ---- */

struct bus_mqtt_out *
bus_mqtt_out_new(struct loop *loop, const char *who, const struct bus_mqtt_options *options,
                 struct bus_mqtt_link *link)
{
    struct bus_mqtt_out *out = calloc(1, sizeof *out);

    if (out == NULL) {
        log_error(loop_log(loop), who, "out of memory");
        return NULL;
    }
    out->loop = loop;
    out->options = options;
    out->link = link;
    list_init(&out->waiting);
    list_init(&out->handed);
    timer_init(&out->deadline, loop, on_deadline);
    return out;
}

void
bus_mqtt_out_close(struct bus_mqtt_out *out)
{
    out->going = false;
    out->closed = true;
    drop_all(&out->handed, BUS_UNKNOWN);
    drop_all(&out->waiting, BUS_UNKNOWN);
    out->n_handed = 0;
    out->handed_bytes = 0;
    timer_set(&out->deadline, 0);
}

void
bus_mqtt_out_free(struct bus_mqtt_out *out)
{
    if (out == NULL)
        return;
    timer_deinit(&out->deadline);
    free(out);
}
