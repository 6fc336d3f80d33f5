/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *                    CLIENT side                            TARGET side
 *            deliver ─────────────────────────────────────────→ op send
 *               │                                                  │
 *               │ room() = buffer − pending ←──────────────────────┤ what its socket would not take
 *               ▼                                                  ▼
 *     stops reading at 0 ←── op resume, at pending ≤ buffer/2 ── drained
 *
 *            ended ───→ op finish of the other side       gone + gone → the access line, the end
 */
#include "bridge/bridge.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/pipes.h"
#include "bridge/conversation.h"
#include "bridge/endpoint.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "guard/limits.h"
#include "net/addr.h"

enum side {
    CLIENT,
    TARGET,
};

/* In front what every chunk of bytes looks at: one line of the cache. */
struct bridge {
    struct endpoint *ends[2];
    uint64_t bytes[2]; /* delivered by that side */
    struct loop *loop;
    const struct conf_route *route;
    double active; /* when a byte last passed */
    bool gone[2];
    bool finished[2]; /* has been told that nothing more comes: send it nothing */
    bool ended[2];    /* delivers nothing more */
    bool over;
    bool leaving; /* in its set's list of that name */

    struct timer timer; /* of both ends' deadlines and idle_timeout */
    double began;
    struct snapshot *snapshot;
    struct bridge_set *set;
    struct limits_pass pass;
    union {
        struct list link;
        struct loop_deferred free_later; /* over */
    };
    char *reason;            /* allocated; NULL: none */
    const char *target_name; /* the route's, or behind peer */
    uint64_t number;         /* of the connection */
    uint16_t code;
    uint8_t ended_by;  /* enum ender */
    uint8_t transport; /* enum metrics_transport */
    uint8_t peer_len;
    char peer[]; /* the client's address, as many bytes of it as it has */
};

static enum side
side_of(const struct endpoint *endpoint)
{
    return endpoint == endpoint->bridge->ends[CLIENT] ? CLIENT : TARGET;
}

static struct endpoint *
other(const struct bridge *bridge, enum side side)
{
    return bridge->ends[1 - side];
}

/* ---- the end ---- */

static void
tell_end(const struct bridge *bridge)
{
    const struct conversation_end ended = {
        .loop = bridge->loop,
        .snapshot = bridge->snapshot,
        .route = bridge->route,
        .target = bridge->target_name,
        .transport = (enum metrics_transport)bridge->transport,
        .number = bridge->number,
        .peer = bridge->peer,
        .peer_len = bridge->peer_len,
        .ending = {.by = (enum ender)bridge->ended_by,
                   .code = bridge->code,
                   .reason = bridge->reason != NULL ? bridge->reason : ""},
        .in = bridge->bytes[CLIENT],
        .out = bridge->bytes[TARGET],
        .began = bridge->began,
    };

    conversation_ended(&ended);
}

static void
free_bridge(struct loop_deferred *deferred)
{
    struct bridge *bridge = container_of(deferred, struct bridge, free_later);

    snapshot_unref(bridge->snapshot);
    free(bridge->reason);
    free(bridge);
}

static void
end(struct bridge *bridge)
{
    if (bridge->over)
        return;
    bridge->over = true;
    tell_end(bridge);
    timer_deinit(&bridge->timer);
    list_remove(&bridge->link);
    bridge->set->n_members--;
    bridge->set->n_leaving -= bridge->leaving;
    limits_leave(&bridge->pass);
    loop_defer(bridge->loop, &bridge->free_later, free_bridge);
}

/* The first reason is the one that is told; but a fault that we meet while saying goodbye
 * outweighs an end in order. */
static void
note_ending(struct bridge *bridge, const struct ending *ending)
{
    if (bridge->code != 0 && (bridge->code != 1000 || ending->by != ENDER_CULVERT))
        return;
    bridge->ended_by = (uint8_t)ending->by;
    bridge->code = ending->code;
    free(bridge->reason);
    bridge->reason = ending->reason[0] != '\0' ? strdup(ending->reason) : NULL;
}

static void
finish(struct bridge *bridge, enum side side, const struct ending *ending)
{
    if (bridge->finished[side] || bridge->gone[side])
        return;
    bridge->finished[side] = true;
    bridge->ends[side]->ops->finish(bridge->ends[side], ending);
}

/* By our own decision: the client is told, and its answer ends the rest. */
static void
end_politely(struct bridge *bridge, const struct ending *ending)
{
    if (bridge->finished[CLIENT] || bridge->gone[CLIENT])
        return; /* it ends already */
    note_ending(bridge, ending);
    finish(bridge, CLIENT, ending);
}

static void
on_ended(struct endpoint *from, const struct ending *ending)
{
    struct bridge *bridge = from->bridge;
    enum side side = side_of(from);

    bridge->ended[side] = true;
    note_ending(bridge, ending);
    finish(bridge, 1 - side, ending);
}

static void
on_gone(struct endpoint *from)
{
    struct bridge *bridge = from->bridge;
    enum side side = side_of(from);

    assert(bridge->ended[side] && !bridge->gone[side]);
    bridge->gone[side] = true;
    if (bridge->gone[1 - side]) {
        end(bridge);
        return;
    }
    /* It may have stopped for want of room; what it still says is dropped now. */
    other(bridge, side)->ops->resume(other(bridge, side));
}

/* ---- moving bytes ---- */

static void
on_deliver(struct endpoint *from, uint8_t *data, size_t len, unsigned flags)
{
    struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    struct endpoint *to = other(bridge, side);

    bridge->active = loop_now(bridge->loop);
    if (bridge->gone[1 - side] || bridge->finished[1 - side])
        return;
    bridge->bytes[side] += len;
    to->ops->send(to, data, len, flags);
}

static bool
on_takes_pipe(struct endpoint *from)
{
    const struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    const struct endpoint *to = other(bridge, side);

    return !bridge->gone[1 - side] && !bridge->finished[1 - side] && to->ops->takes_pipe != NULL &&
           to->ops->takes_pipe(to);
}

static void
on_deliver_piped(struct endpoint *from, struct pipe *pipe)
{
    struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    struct endpoint *to = other(bridge, side);

    bridge->active = loop_now(bridge->loop);
    bridge->bytes[side] += pipe->len;
    to->ops->send_piped(to, pipe);
}

static size_t
on_room(struct endpoint *from)
{
    const struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    const struct endpoint *to = other(bridge, side);
    size_t pending;

    if (bridge->gone[1 - side])
        return bridge->route->buffer;
    pending = to->ops->pending(to);
    return pending < bridge->route->buffer ? bridge->route->buffer - pending : 0;
}

static size_t
on_waiting(struct endpoint *from)
{
    const struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    const struct endpoint *to = other(bridge, side);

    if (bridge->gone[1 - side] || bridge->finished[1 - side] ||
        (to->ops->is_lost != NULL && to->ops->is_lost(to)))
        return SIZE_MAX;
    return to->ops->pending(to);
}

static void
on_hold(struct endpoint *from, bool on)
{
    const struct bridge *bridge = from->bridge;
    enum side side = side_of(from);
    struct endpoint *to = other(bridge, side);

    if (!bridge->gone[1 - side] && to->ops->hold != NULL)
        to->ops->hold(to, on);
}

static void
on_drained(struct endpoint *from)
{
    struct bridge *bridge = from->bridge;
    enum side side = side_of(from);

    bridge->active = loop_now(bridge->loop);
    if (bridge->gone[1 - side])
        return;
    if (other(bridge, side)->ops->taken != NULL)
        other(bridge, side)->ops->taken(other(bridge, side));
    if (!bridge->gone[1 - side] && from->ops->pending(from) <= bridge->route->buffer / 2)
        other(bridge, side)->ops->resume(other(bridge, side));
}

/* ---- deadlines ---- */

/* Bytes on their way to who takes them slowly: nothing passes here meanwhile, but nobody is
 * idle. What a session keeps until it is acknowledged is not on its way. */
static bool
something_waits(const struct bridge *bridge)
{
    unsigned i;

    for (i = 0; i < 2; i++)
        if (!bridge->gone[i] && bridge->ends[i]->ops->taken == NULL &&
            bridge->ends[i]->ops->pending(bridge->ends[i]) > 0)
            return true;
    return false;
}

/* Returns when to look again, 0: never. */
static double
look_idle(struct bridge *bridge)
{
    struct ending ending = {ENDER_CULVERT, 1008, "idle timeout"};
    double due;

    if (bridge->route->idle_timeout == 0 || bridge->finished[CLIENT] || bridge->gone[CLIENT])
        return 0;
    if (something_waits(bridge))
        bridge->active = loop_now(bridge->loop);
    due = bridge->active + bridge->route->idle_timeout;
    if (due > loop_now(bridge->loop) + 0.001)
        return due;
    end_politely(bridge, &ending);
    return 0;
}

static void
note_due(struct bridge *bridge, double due)
{
    if (due != 0 && (bridge->timer.due == 0 || due < bridge->timer.due))
        timer_set(&bridge->timer, due);
}

static void
on_due(struct endpoint *from, double due)
{
    note_due(from->bridge, due);
}

/* What one of them does may tell new deadlines of the other, so each is noted as it comes. */
static void
on_timer(struct timer *timer)
{
    struct bridge *bridge = container_of(timer, struct bridge, timer);
    unsigned i;

    for (i = 0; i < 2; i++) {
        if (!bridge->gone[i])
            note_due(bridge, bridge->ends[i]->ops->look(bridge->ends[i]));
        if (bridge->over)
            return;
    }
    note_due(bridge, look_idle(bridge));
}

/* ---- from outside ---- */

void
bridge_set_init(struct bridge_set *set)
{
    list_init(&set->members);
    list_init(&set->leaving);
    set->n_members = set->n_leaving = 0;
}

static struct bridge *
make(const struct bridge_options *options)
{
    bool lasts = options->target_name == options->route->target.text; /* as long as the route */
    size_t target_size = lasts ? 0 : strlen(options->target_name) + 1;
    size_t size = offsetof(struct bridge, peer) + options->peer->len + target_size;
    struct bridge *bridge = calloc(1, size > sizeof *bridge ? size : sizeof *bridge);
    char *at;

    if (bridge == NULL)
        return NULL;
    at = mempcpy(bridge->peer, &options->peer->storage, options->peer->len);
    bridge->peer_len = (uint8_t)options->peer->len;
    bridge->number = options->number;
    bridge->target_name = lasts ? options->target_name : at;
    memcpy(at, options->target_name, target_size);
    bridge->ends[CLIENT] = options->client;
    bridge->ends[TARGET] = options->target;
    bridge->loop = options->loop;
    bridge->set = options->set;
    bridge->route = options->route;
    bridge->snapshot = snapshot_ref(options->snapshot);
    bridge->transport = (uint8_t)options->transport;
    bridge->began = bridge->active = loop_now(options->loop);
    bridge->pass = *options->pass;
    *options->pass = (struct limits_pass){NULL, NULL};
    return bridge;
}

int
bridge_start(const struct bridge_options *options)
{
    static const struct endpoint_events events = {
        .deliver = on_deliver,
        .room = on_room,
        .waiting = on_waiting,
        .hold = on_hold,
        .drained = on_drained,
        .ended = on_ended,
        .gone = on_gone,
        .takes_pipe = on_takes_pipe,
        .deliver_piped = on_deliver_piped,
        .due = on_due,
    };
    struct bridge *bridge = make(options);
    struct metrics_route *metrics;
    unsigned i;

    if (bridge == NULL) {
        log_error(loop_log(options->loop), "bridge", "out of memory");
        return -1;
    }
    metrics = snapshot_metrics(bridge->snapshot, bridge->route, bridge->loop);
    metrics_add(&metrics->flows[bridge->transport].opened, 1);
    for (i = 0; i < 2; i++) {
        bridge->ends[i]->bridge = bridge;
        bridge->ends[i]->events = &events;
    }
    list_add(&bridge->set->members, &bridge->link);
    bridge->set->n_members++;
    timer_init(&bridge->timer, bridge->loop, on_timer);
    if (bridge->route->idle_timeout > 0)
        note_due(bridge, bridge->active + bridge->route->idle_timeout);
    bridge->ends[CLIENT]->ops->resume(bridge->ends[CLIENT]);
    if (!bridge->gone[TARGET])
        bridge->ends[TARGET]->ops->resume(bridge->ends[TARGET]);
    return 0;
}

static size_t
count_staying(const struct bridge_set *set)
{
    return set->n_members - set->n_leaving;
}

size_t
bridge_drain_next(struct bridge_set *set, unsigned code, const char *reason)
{
    struct ending ending = {ENDER_CULVERT, (uint16_t)code, reason};
    size_t n = count_staying(set);
    struct bridge *bridge;

    if (n == 0)
        return 0;
    bridge = container_of(set->members.next, struct bridge, link);
    list_remove(&bridge->link);
    list_add(&set->leaving, &bridge->link);
    bridge->leaving = true;
    set->n_leaving++;
    end_politely(bridge, &ending);
    return n;
}

void
bridge_drain_all(struct bridge_set *set, unsigned code, const char *reason)
{
    while (bridge_drain_next(set, code, reason) > 0)
        ;
}

static void
close_list(struct list *list)
{
    while (!list_empty(list)) {
        struct bridge *bridge = container_of(list->next, struct bridge, link);
        unsigned i;

        note_ending(bridge, &(struct ending){ENDER_CULVERT, 1001, "stopped"});
        for (i = 0; i < 2; i++) {
            if (!bridge->gone[i])
                bridge->ends[i]->ops->close(bridge->ends[i]);
        }
        end(bridge);
    }
}

void
bridge_close_all(struct bridge_set *set)
{
    close_list(&set->members);
    close_list(&set->leaving);
}
