/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MQTT bus: a thread of its own, and on it
 *
 *      bus_mqtt ─── when to connect, and what the sequence hears of it
 *         ├── bus_mqtt_link      Paho's handle, its callbacks, the messages that come
 *         ├── bus_mqtt_filters   subscriptions
 *         └── bus_mqtt_out       publications
 *
 *      IDLE ──→ WAITING ──→ CONNECTING ──→ SUBSCRIBING ──→ UP        CLOSING from each of them
 *                 ↑  refused, late │   lost, late │   lost │
 *                 └────────────────┴──────────────┴────────┘
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "event/worker.h"
#include "topic/backoff.h"
#include "topic/bus.h"
#include "topic/bus_mqtt_filters.h"
#include "topic/bus_mqtt_inbox.h"
#include "topic/bus_mqtt_link.h"
#include "topic/bus_mqtt_options.h"
#include "topic/bus_mqtt_out.h"
#include "topic/bus_mqtt_process.h"
#include "topic/cover.h"
#include "topic/message.h"
#include "topic/sequence.h"

static const double retry_first = 1, retry_most = 30; /* seconds between attempts */
static const double good_time =
    10;                        /* a connection that lasted so long was none of a row that failed */
static const double grace = 5; /* Paho looks at its own timeout every three seconds */
static const double goodbye_time = 1; /* for the broker to hear of it */

enum phase {
    IDLE, /* nothing is to be subscribed to yet */
    WAITING,
    CONNECTING,
    SUBSCRIBING, /* connected; not all subscriptions have their answer */
    UP,
    CLOSING,
};

struct bus_mqtt {
    struct bus bus;
    char *who; /* in the log */
    struct log *log;
    struct bus_mqtt_options *options;
    struct loop *loop;
    struct worker *worker;
    struct bus_mqtt_link *link;
    struct bus_mqtt_filters *filters;
    struct bus_mqtt_out *out;
    struct bus_mqtt_link_owner link_owner;
    struct bus_mqtt_filters_owner filters_owner;
    struct loop_message close_message;
    struct timer timer; /* of the phase */
    enum phase phase;
    unsigned failures; /* in a row */
    double since;      /* when the connection came */
    struct bus_mqtt_welcome welcome;
    bool told_something; /* ever: a later session that is a new one leaves a gap behind it */
    bool told_down;      /* since the last time that something could come */
    bool broken;         /* something may be missing: to be told when the bus is up */
    bool clean;          /* the next connect is to have a new session */
    bool renew;          /* and a new handle before it */
};

static struct bus_mqtt *
from_bus(struct bus *bus)
{
    return container_of(bus, struct bus_mqtt, bus);
}

static void
put(struct bus_mqtt *bus, enum sequence_kind kind)
{
    sequence_put(bus->bus.sequence, kind, NULL, NULL);
}

/* ---- connecting ---- */

static void
wait_to_connect(struct bus_mqtt *bus)
{
    double delay = backoff_delay(bus->failures++, retry_first, retry_most);

    bus->phase = WAITING;
    timer_set(&bus->timer, loop_now(bus->loop) + delay);
    if (!bus->told_down)
        put(bus, SEQUENCE_DOWN);
    bus->told_down = true;
}

/* A new handle knows of no packet under way. At QoS 2 broker and client have to agree on them: so the session
 * is a new one too. */
static void
renew(struct bus_mqtt *bus)
{
    bus->clean |= bus->renew || bus->options->qos == 2;
    bus->renew = false;
    bus_mqtt_out_restart(bus->out);
    (void)bus_mqtt_link_renew(bus->link); /* else the connect tries it again */
}

static void
connect_now(struct bus_mqtt *bus)
{
    if (bus->renew || bus_mqtt_link_is_spoiled(bus->link)) {
        renew(bus);
        /* What was delivered meanwhile may have been the end of it all. */
        if (bus->phase == CLOSING)
            return;
    }
    if (bus_mqtt_link_connect(bus->link, bus->clean) != 0) {
        wait_to_connect(bus);
        return;
    }
    bus->phase = CONNECTING;
    timer_set(&bus->timer, loop_now(bus->loop) + bus->options->connect_timeout + grace);
}

static void
on_connected(struct bus_mqtt_link_owner *owner, const struct bus_mqtt_welcome *welcome)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, link_owner);

    if (bus->phase != CONNECTING)
        return;
    log_info(bus->log, bus->who, "connected to %s as %s, %s session", bus->options->url,
             bus->options->client_id, welcome->session_present ? "the old" : "a new");
    bus_mqtt_process_hurry(bus->options->port);
    bus->phase = SUBSCRIBING;
    bus->since = loop_now(bus->loop);
    bus->clean = false;
    bus->told_down = false;
    bus->welcome = *welcome;
    timer_set(&bus->timer, bus->since + bus->options->connect_timeout + grace);
    if (!welcome->session_present)
        bus_mqtt_out_restart(bus->out);
    /* At QoS 0 no session keeps anything. */
    bus->broken |= bus->told_something && (!welcome->session_present || bus->options->qos == 0);
    bus_mqtt_filters_connected(bus->filters, welcome);
}

static void
on_settled(struct bus_mqtt_filters_owner *owner)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, filters_owner);

    if (bus->phase != SUBSCRIBING)
        return;
    bus->phase = UP;
    bus->told_something = true;
    timer_set(&bus->timer, 0);
    put(bus, SEQUENCE_UP);
    if (bus->broken)
        put(bus, SEQUENCE_BREAK);
    bus->broken = false;
    bus_mqtt_out_go(bus->out, &bus->welcome);
}

static void
on_failed(struct bus_mqtt_link_owner *owner, const char *why)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, link_owner);

    if (bus->phase != CONNECTING)
        return;
    log_warn(bus->log, bus->who, "cannot connect to %s: %s", bus->options->url, why);
    wait_to_connect(bus);
}

static void finish_closing(struct bus_mqtt *bus);

static void
stop_using_link(struct bus_mqtt *bus)
{
    if (bus->phase != CONNECTING) {
        bus_mqtt_filters_lost(bus->filters);
        bus_mqtt_out_stop(bus->out);
        bus->renew |= bus_mqtt_out_is_poisoned(bus->out);
        if (loop_now(bus->loop) - bus->since >= good_time)
            bus->failures = 0;
    }
    wait_to_connect(bus);
}

static void
on_lost(struct bus_mqtt_link_owner *owner, const char *why)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, link_owner);

    if (bus->phase == CLOSING) {
        finish_closing(bus);
        return;
    }
    if (bus->phase != SUBSCRIBING && bus->phase != UP)
        return;
    log_warn(bus->log, bus->who, "lost %s: %s", bus->options->url, why);
    stop_using_link(bus);
}

/* Paho should have said something by now: it is not relied on. */
static void
on_late(struct bus_mqtt *bus)
{
    log_warn(bus->log, bus->who, "no answer from %s to %s", bus->options->url,
             bus->phase == CONNECTING ? "the connection" : "our subscriptions");
    bus->renew = true;
    stop_using_link(bus);
}

/* ---- messages ---- */

static void
on_arrived(struct bus_mqtt_link_owner *owner, const struct bus_mqtt_arrival *arrival)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, link_owner);
    enum bus_mqtt_take take = bus_mqtt_filters_take(bus->filters, arrival);

    if (take == BUS_MQTT_LEAVE)
        return;
    bus->told_something = true;
    sequence_put(bus->bus.sequence,
                 take == BUS_MQTT_TAKE_RETAINED ? SEQUENCE_RETAINED : SEQUENCE_MESSAGE,
                 arrival->message, NULL);
}

static void
on_missed(struct bus_mqtt_link_owner *owner)
{
    struct bus_mqtt *bus = container_of(owner, struct bus_mqtt, link_owner);

    log_warn(bus->log, bus->who, "messages come faster than they are handed on: some are lost");
    put(bus, SEQUENCE_BREAK);
}

/* ---- from main ---- */

static void
connect_soon(struct bus_mqtt *bus)
{
    bus->phase = WAITING;
    timer_set(&bus->timer, loop_now(bus->loop));
}

struct new_filters {
    struct loop_message message;
    struct bus_mqtt *bus;
    char **list;
};

static void
deliver_filters(struct loop_message *message)
{
    struct new_filters *new_filters = container_of(message, struct new_filters, message);
    struct bus_mqtt *bus = new_filters->bus;

    bus_mqtt_filters_set(bus->filters, new_filters->list);
    free(new_filters);
    /* Before the first ones nobody could take what an old session has kept. */
    if (bus->phase == IDLE)
        connect_soon(bus);
}

static int
op_set_filters(struct bus *base, const char *const *filters)
{
    struct bus_mqtt *bus = from_bus(base);
    struct new_filters *new_filters = calloc(1, sizeof *new_filters);

    if (new_filters != NULL)
        new_filters->list = cover_reduce(filters, false);
    if (new_filters == NULL || new_filters->list == NULL) {
        free(new_filters);
        return -1;
    }
    new_filters->bus = bus;
    new_filters->message.deliver = deliver_filters;
    loop_post(bus->loop, &new_filters->message);
    return 0;
}

static void
op_publish(struct bus *base, struct bus_publication *publication)
{
    bus_mqtt_out_publish(from_bus(base)->out, publication);
}

/* ---- the end ---- */

static void
finish_closing(struct bus_mqtt *bus)
{
    timer_set(&bus->timer, loop_now(bus->loop));
}

static void
on_closed(struct bus_mqtt_link_owner *owner)
{
    finish_closing(container_of(owner, struct bus_mqtt, link_owner));
}

static void
deliver_close(struct loop_message *message)
{
    struct bus_mqtt *bus = container_of(message, struct bus_mqtt, close_message);
    bool connected = bus->phase == SUBSCRIBING || bus->phase == UP;

    bus->phase = CLOSING;
    bus_mqtt_filters_lost(bus->filters);
    bus_mqtt_out_close(bus->out);
    timer_set(&bus->timer, loop_now(bus->loop) + goodbye_time);
    if (!connected || bus_mqtt_link_disconnect(bus->link, bus->options->made_up) != 0)
        finish_closing(bus);
}

static void
on_timer(struct timer *timer)
{
    struct bus_mqtt *bus = container_of(timer, struct bus_mqtt, timer);

    switch (bus->phase) {
    case WAITING:
        connect_now(bus);
        break;
    case CONNECTING:
    case SUBSCRIBING:
        on_late(bus);
        break;
    case IDLE:
    case UP:
        break;
    case CLOSING:
        bus_mqtt_link_free(bus->link);
        bus->link = NULL;
        loop_stop(bus->loop);
        break;
    }
}

/* What of it exists. */
static void
free_bus(struct bus_mqtt *bus)
{
    if (bus->loop != NULL) {
        loop_deliver(bus->loop);
        bus_mqtt_filters_free(bus->filters);
        bus_mqtt_link_free(bus->link);
        bus_mqtt_out_free(bus->out);
        timer_deinit(&bus->timer);
        loop_free(bus->loop);
    }
    bus_mqtt_options_free(bus->options);
    free(bus->who);
    free(bus);
}

static void
op_close(struct bus *base)
{
    struct bus_mqtt *bus = from_bus(base);

    bus->close_message.deliver = deliver_close;
    loop_post(bus->loop, &bus->close_message);
    worker_join(bus->worker);
    free_bus(bus);
}

/* ---- the beginning ---- */

/* Returns -1, logged. */
static int
make_parts(struct bus_mqtt *bus, const struct conf_bus *conf)
{
    bus->options = bus_mqtt_options_new(conf);
    if (bus->options == NULL) {
        log_error(bus->log, bus->who, "out of memory");
        return -1;
    }
    bus->clean = bus->options->clean_start;
    bus->loop = loop_new(bus->log, 0);
    if (bus->loop == NULL)
        return -1;
    timer_init(&bus->timer, bus->loop, on_timer);
    bus->link_owner = (struct bus_mqtt_link_owner){on_connected, on_failed,  on_lost,
                                                   on_closed,    on_arrived, on_missed};
    bus->filters_owner.settled = on_settled;
    bus->link = bus_mqtt_link_new(bus->loop, bus->log, bus->who, bus->options, &bus->link_owner);
    if (bus->link == NULL)
        return -1;
    bus->filters =
        bus_mqtt_filters_new(bus->loop, bus->who, bus->options, bus->link, &bus->filters_owner);
    bus->out = bus_mqtt_out_new(bus->loop, bus->who, bus->options, bus->link);
    return bus->filters != NULL && bus->out != NULL ? 0 : -1;
}

struct bus *
bus_mqtt_open(const struct bus_options *options)
{
    static const struct bus_ops ops = {
        .publish = op_publish,
        .set_filters = op_set_filters,
        .close = op_close,
    };
    struct bus_mqtt *bus = calloc(1, sizeof *bus);
    const char *name = options->conf->name;

    if (bus == NULL || asprintf(&bus->who, "bus%s%s", *name != '\0' ? " " : "", name) < 0) {
        log_error(options->log, "bus", "out of memory");
        free(bus);
        return NULL;
    }
    bus->bus.ops = &ops;
    bus->bus.sequence = options->sequence;
    bus->log = options->log;
    if (make_parts(bus, options->conf) == 0 && (bus->worker = worker_start(bus->loop)) != NULL)
        return &bus->bus;
    free_bus(bus);
    return NULL;
}
