/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/mqtt.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "proto/mqtt_gate.h"
#include "proto/mqtt_packet.h"

enum {
    PIECE = 1024,      /* bytes of answers that are given at once */
    ABOUT_SHOWN = 200, /* bytes of a topic in the log */
};

struct mqtt {
    struct endpoint endpoint;
    struct endpoint *broker; /* NULL: gone */
    struct loop *loop;
    const struct conf_route *route;
    struct mqtt_gate gate;
    struct mqtt_bounds bounds; /* of what the broker sends */
    struct buf answers;        /* that wait */
    double connect_by;         /* 0: the CONNECT has come */
    double end_by;             /* ending: when the words have to be out */
    const char *why;           /* ending */
    uint16_t code;
    bool started;
    bool ending; /* the client is refused: nothing of it is taken */
    bool ended;  /* that, or the broker's end, was told */
    bool over;
    struct loop_deferred free_later;
};

static struct mqtt *
from_endpoint(const struct endpoint *endpoint)
{
    return container_of((struct endpoint *)(uintptr_t)endpoint, struct mqtt, endpoint);
}

static struct mqtt *
from_broker(const struct endpoint *broker)
{
    return from_endpoint(broker->around);
}

/* ---- ending ---- */

/* Not sooner: its texts and what it holds may be in use by who called us. */
static void
free_mqtt(struct loop_deferred *deferred)
{
    struct mqtt *mqtt = container_of(deferred, struct mqtt, free_later);

    mqtt_gate_deinit(&mqtt->gate);
    free(mqtt);
}

static void
release(struct mqtt *mqtt)
{
    mqtt->over = true;
    buf_clear(&mqtt->answers, loop_pool(mqtt->loop));
    loop_defer(mqtt->loop, &mqtt->free_later, free_mqtt);
}

static void
tell_ended(struct mqtt *mqtt, const struct ending *ending)
{
    mqtt->ended = true;
    mqtt->connect_by = mqtt->end_by = 0;
    buf_clear(&mqtt->answers, loop_pool(mqtt->loop));
    mqtt->endpoint.events->ended(&mqtt->endpoint, ending);
}

/* The words are out, or will never be. */
static void
conclude(struct mqtt *mqtt)
{
    tell_ended(mqtt, &(struct ending){ENDER_CULVERT, mqtt->code, mqtt->why});
}

static double
due(const struct mqtt *mqtt)
{
    return timer_sooner(mqtt->connect_by, mqtt->end_by);
}

/* ---- answers to the client ---- */

/* Gives what waits, between two packets of the broker's. at_once: whether or not there is room. Not by way of
 * the scratch buffer: who made us answer has its own bytes there. Returns whether anything went. */
static bool
say(struct mqtt *mqtt, bool at_once)
{
    struct endpoint *endpoint = &mqtt->endpoint;
    uint8_t bytes[ENDPOINT_HEADROOM + PIECE];
    uint8_t *data = bytes + ENDPOINT_HEADROOM;
    struct iovec piece;
    bool said = false;

    if (!mqtt_bounds_between(&mqtt->bounds))
        return false;
    while (!mqtt->over && buf_len(&mqtt->answers) > 0 &&
           (at_once || endpoint->events->room(endpoint) > 0)) {
        size_t n;

        buf_peek(&mqtt->answers, &piece, 1);
        n = piece.iov_len < PIECE ? piece.iov_len : PIECE;
        memcpy(data, piece.iov_base, n);
        buf_consume(&mqtt->answers, loop_pool(mqtt->loop), n);
        endpoint->events->deliver(endpoint, data, n, 0);
        said = true;
    }
    if (mqtt->ending && !mqtt->ended && !mqtt->over && buf_len(&mqtt->answers) == 0)
        conclude(mqtt);
    return said;
}

/* Returns 0, or -1 without memory, logged. */
static int
add_answer(struct mqtt *mqtt, const struct mqtt_gate_piece *piece)
{
    if (piece->answer_len == 0 ||
        buf_append(&mqtt->answers, loop_pool(mqtt->loop), piece->answer, piece->answer_len) == 0)
        return 0;
    log_error(loop_log(mqtt->loop), "mqtt", "out of memory");
    return -1;
}

/* The client is refused for good: code tells so where MQTT had no words for it. */
static void
begin_end(struct mqtt *mqtt, uint16_t code, const char *why)
{
    struct endpoint *broker = mqtt->broker;

    mqtt->ending = true;
    mqtt->code = code;
    mqtt->why = why;
    mqtt->connect_by = 0;
    mqtt->end_by = loop_now(mqtt->loop) + mqtt->route->close_timeout;
    mqtt->endpoint.events->due(&mqtt->endpoint, mqtt->end_by);
    if (buf_len(&mqtt->answers) == 0)
        conclude(mqtt);
    else
        (void)say(mqtt, false);
    if (!mqtt->over && mqtt->broker != NULL)
        broker->ops->finish(broker, &(struct ending){ENDER_CULVERT, code, why});
}

/* ---- from the client ---- */

/* Warnings are limited where they repeat: a client can have one for every few bytes. */
static void
log_refusal(struct mqtt *mqtt, const struct mqtt_gate_piece *piece)
{
    size_t len = piece->about.len < ABOUT_SHOWN ? piece->about.len : ABOUT_SHOWN;

    if (len > 0)
        log_warn(loop_log(mqtt->loop), "mqtt", "route %s: %s: %.*s", mqtt->route->name, piece->why,
                 (int)len, piece->about.at);
}

/* Does what a piece tells. */
static void
obey(struct mqtt *mqtt, const struct mqtt_gate_piece *piece)
{
    if (piece->pass_len > 0)
        mqtt->broker->ops->send(mqtt->broker, piece->pass, piece->pass_len, 0);
    if (piece->stop != MQTT_GATE_REFUSED && piece->stop != MQTT_GATE_END)
        return;
    log_refusal(mqtt, piece);
    if (mqtt->ended) { /* by the broker: what is sound still goes there, but nobody is to be told */
        mqtt->ending = piece->stop == MQTT_GATE_END;
        return;
    }
    if (add_answer(mqtt, piece) != 0)
        begin_end(mqtt, 1011, "out of memory");
    else if (piece->stop == MQTT_GATE_END)
        begin_end(mqtt, piece->answer_len > 0 ? 1000 : 1008, piece->why);
    else
        (void)say(mqtt, false);
}

static void
op_send(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags)
{
    struct mqtt *mqtt = from_endpoint(endpoint);
    struct mqtt_gate_piece piece;

    (void)flags;
    while (len > 0 && !mqtt->over && !mqtt->ending && mqtt->broker != NULL) {
        size_t used = mqtt_gate_feed(&mqtt->gate, data, len, &piece);

        data += used;
        len -= used;
        obey(mqtt, &piece);
    }
    mqtt_gate_rest(&mqtt->gate);
    if (mqtt_gate_is_connected(&mqtt->gate))
        mqtt->connect_by = 0;
}

/* ---- from the broker ---- */

static void
pass_on(struct mqtt *mqtt, uint8_t *data, size_t len, unsigned flags)
{
    if (len > 0 && !mqtt->over && !mqtt->ended)
        mqtt->endpoint.events->deliver(&mqtt->endpoint, data, len, flags);
}

static void
on_deliver(struct endpoint *from, uint8_t *data, size_t len, unsigned flags)
{
    struct mqtt *mqtt = from_broker(from);
    bool said = false;

    if (mqtt->over || mqtt->ended)
        return;
    if (buf_len(&mqtt->answers) > 0) {
        size_t n = mqtt_bounds_next(&mqtt->bounds, data, len);

        pass_on(mqtt, data, n, flags);
        said = !mqtt->over && !mqtt->ended && say(mqtt, false);
        data += n;
        len -= n;
    }
    mqtt_bounds_skip(&mqtt->bounds, data, len);
    pass_on(mqtt, data, len, flags);
    if (said && !mqtt->over)
        mqtt->endpoint.events->drained(&mqtt->endpoint);
}

static size_t
on_room(struct endpoint *from)
{
    struct mqtt *mqtt = from_broker(from);

    /* What comes after the end is dropped. */
    return mqtt->ended ? mqtt->route->buffer : mqtt->endpoint.events->room(&mqtt->endpoint);
}

static size_t
on_waiting(struct endpoint *from)
{
    struct mqtt *mqtt = from_broker(from);

    return mqtt->endpoint.events->waiting(&mqtt->endpoint);
}

static void
on_hold(struct endpoint *from, bool on)
{
    struct mqtt *mqtt = from_broker(from);

    mqtt->endpoint.events->hold(&mqtt->endpoint, on);
}

static void
on_drained(struct endpoint *from)
{
    struct mqtt *mqtt = from_broker(from);

    mqtt->endpoint.events->drained(&mqtt->endpoint);
}

static void
on_ended(struct endpoint *from, const struct ending *ending)
{
    struct mqtt *mqtt = from_broker(from);

    if (mqtt->over || mqtt->ended)
        return;
    (void)say(mqtt, true);
    if (mqtt->over || mqtt->ended)
        return;
    if (mqtt->ending)
        conclude(mqtt); /* in the middle of a packet nothing can be said any more */
    else
        tell_ended(mqtt, ending);
}

static void
on_gone(struct endpoint *from)
{
    struct mqtt *mqtt = from_broker(from);

    mqtt->broker = NULL;
    if (mqtt->over)
        return;
    release(mqtt);
    mqtt->endpoint.events->gone(&mqtt->endpoint);
}

/* Its packets have to be seen. */
static bool
on_takes_pipe(struct endpoint *from)
{
    (void)from;
    return false;
}

static void
on_due(struct endpoint *from, double time)
{
    struct mqtt *mqtt = from_broker(from);

    mqtt->endpoint.events->due(&mqtt->endpoint, time);
}

/* ---- for the bridge ---- */

static size_t
op_pending(const struct endpoint *endpoint)
{
    const struct mqtt *mqtt = from_endpoint(endpoint);
    size_t broker = mqtt->broker != NULL ? mqtt->broker->ops->pending(mqtt->broker) : 0;

    /* What the gate holds does not count: who waits for it to be taken would never send the rest. */
    return broker + buf_len(&mqtt->answers);
}

static void
start(struct mqtt *mqtt)
{
    mqtt->started = true;
    mqtt->connect_by = loop_now(mqtt->loop) + mqtt->route->mqtt_connect_timeout;
    mqtt->endpoint.events->due(&mqtt->endpoint, mqtt->connect_by);
}

static void
op_resume(struct endpoint *endpoint)
{
    struct mqtt *mqtt = from_endpoint(endpoint);

    if (!mqtt->started && !mqtt_gate_is_connected(&mqtt->gate) && !mqtt->ending)
        start(mqtt);
    if (say(mqtt, false) && !mqtt->over)
        endpoint->events->drained(endpoint);
    if (!mqtt->over && mqtt->broker != NULL)
        mqtt->broker->ops->resume(mqtt->broker);
}

static void
op_finish(struct endpoint *endpoint, const struct ending *ending)
{
    struct mqtt *mqtt = from_endpoint(endpoint);

    mqtt->connect_by = 0;
    if (mqtt->ending && !mqtt->ended)
        conclude(mqtt); /* nobody is left to be told */
    if (!mqtt->over && mqtt->broker != NULL)
        mqtt->broker->ops->finish(mqtt->broker, ending);
}

static bool
op_is_lost(const struct endpoint *endpoint)
{
    const struct mqtt *mqtt = from_endpoint(endpoint);

    return mqtt->ending || mqtt->broker == NULL || mqtt->broker->ops->is_lost(mqtt->broker);
}

static void
op_hold(struct endpoint *endpoint, bool on)
{
    struct mqtt *mqtt = from_endpoint(endpoint);

    if (mqtt->broker != NULL)
        mqtt->broker->ops->hold(mqtt->broker, on);
}

static void
op_close(struct endpoint *endpoint)
{
    struct mqtt *mqtt = from_endpoint(endpoint);

    if (mqtt->over)
        return;
    release(mqtt);
    if (mqtt->broker != NULL)
        mqtt->broker->ops->close(mqtt->broker);
}

static bool
is_due(const struct mqtt *mqtt, double time)
{
    return time != 0 && time <= loop_now(mqtt->loop) + 0.001;
}

static double
op_look(struct endpoint *endpoint)
{
    struct mqtt *mqtt = from_endpoint(endpoint);
    double broker = 0;

    if (is_due(mqtt, mqtt->connect_by))
        begin_end(mqtt, 1008, "no CONNECT in time");
    else if (is_due(mqtt, mqtt->end_by))
        conclude(mqtt);
    if (!mqtt->over && mqtt->broker != NULL)
        broker = mqtt->broker->ops->look(mqtt->broker);
    return mqtt->over ? 0 : timer_sooner(due(mqtt), broker);
}

/* ---- making one ---- */

static bool
has_text(const char *text)
{
    return text != NULL && *text != '\0';
}

bool
mqtt_has_rules(const struct conf_route *route)
{
    if (conf_route_use(route) != CONF_USE_MQTT)
        return false;
    return route->mqtt_packet_max > 0 || route->mqtt_publish[0] != NULL ||
           route->mqtt_subscribe[0] != NULL || has_text(route->mqtt_client_id_prefix) ||
           has_text(route->mqtt_username) || route->mqtt_versions != CONF_MQTT_VERSIONS;
}

static char *const *
topics_of(char *const *filters)
{
    static char *const nothing[] = {NULL};

    if (filters[0] == NULL)
        return NULL;
    return filters[1] == NULL && strcmp(filters[0], CONF_MQTT_NONE) == 0 ? nothing : filters;
}

static struct mqtt_rules
rules_of(const struct conf_route *route)
{
    return (struct mqtt_rules){
        .takes_3_1_1 = (route->mqtt_versions & 1u << CONF_MQTT_3_1_1) != 0,
        .takes_5 = (route->mqtt_versions & 1u << CONF_MQTT_5) != 0,
        .packet_max = route->mqtt_packet_max,
        .held_max = route->message_max,
        .publish = topics_of(route->mqtt_publish),
        .subscribe = topics_of(route->mqtt_subscribe),
        .identity = {.client_id_prefix = route->mqtt_client_id_prefix,
                     .username = route->mqtt_username,
                     .password = route->mqtt_password},
    };
}

struct endpoint *
mqtt_open(struct loop *loop, struct endpoint *broker, const struct conf_route *route)
{
    static const struct endpoint_ops ops = {
        .send = op_send,
        .pending = op_pending,
        .resume = op_resume,
        .finish = op_finish,
        .is_lost = op_is_lost,
        .hold = op_hold,
        .close = op_close,
        .look = op_look,
    };
    static const struct endpoint_events events = {
        .deliver = on_deliver,
        .room = on_room,
        .waiting = on_waiting,
        .hold = on_hold,
        .drained = on_drained,
        .ended = on_ended,
        .gone = on_gone,
        .takes_pipe = on_takes_pipe,
        .due = on_due,
    };
    struct mqtt *mqtt = calloc(1, sizeof *mqtt);
    struct mqtt_rules rules = rules_of(route);

    if (mqtt == NULL) {
        log_error(loop_log(loop), "mqtt", "out of memory");
        return NULL;
    }
    mqtt->endpoint.ops = &ops;
    mqtt->loop = loop;
    mqtt->route = route;
    mqtt->broker = broker;
    broker->events = &events;
    broker->around = &mqtt->endpoint;
    mqtt_gate_init(&mqtt->gate, &rules);
    return &mqtt->endpoint;
}
