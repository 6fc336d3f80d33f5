/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/tcp.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"
#include "target/units.h"

/*
 * Large reads go through a pipe: that saves two copies and takes one call more, which pays from some size
 * on. What the last read brought is the guess for the next.
 */
enum {
    LARGE = 32768,
    FRAME_MAX = 65536,
    TURN_MAX = 4 * FRAME_MAX, /* bytes that one stream takes of a turn */
};

/* Nothing can go through a pipe while something waits for the client. So bytes wait at the target then,
 * rather than being copied: but not for longer than this without the client taking any. */
static const double PATIENCE = 0.1;

struct tcp {
    struct endpoint endpoint;
    struct stream_owner owner;
    struct stream *stream;
    const struct conf_route *route;
    struct units *units; /* NULL: framing = none */
    union {
        struct {
            double absorb_at; /* when to read though something waits; 0: not waiting for a pipe */
            double close_by;  /* finishing, and all was sent: when to stop waiting for the target's
                                 FIN; 0: not yet */
        };
        struct loop_deferred free_later; /* over */
    };
    bool finishing; /* finish() was called */
    bool ended;     /* the target's FIN or failure was told */
    bool large;     /* the last read was */
    bool absorbing; /* read by copies until nothing waits */
    bool over;
};

static struct tcp *
from_endpoint(const struct endpoint *endpoint)
{
    return container_of((struct endpoint *)(uintptr_t)endpoint, struct tcp, endpoint);
}

/* ---- ending ---- */

static void
free_tcp(struct loop_deferred *deferred)
{
    struct tcp *tcp = container_of(deferred, struct tcp, free_later);

    units_free(tcp->units);
    free(tcp);
}

static void
release(struct tcp *tcp)
{
    tcp->over = true;
    loop_defer(stream_loop(tcp->stream), &tcp->free_later, free_tcp);
    stream_close(tcp->stream);
    tcp->stream = NULL;
}

static void
tell_ended(struct tcp *tcp, uint16_t code, const char *reason)
{
    if (tcp->ended)
        return;
    tcp->ended = true;
    tcp->endpoint.events->ended(&tcp->endpoint, &(struct ending){ENDER_TARGET, code, reason});
}

static void
end(struct tcp *tcp, uint16_t code, const char *reason)
{
    release(tcp);
    tell_ended(tcp, code, reason);
    tcp->endpoint.events->gone(&tcp->endpoint);
}

/* ---- deadlines ---- */

static double
due(const struct tcp *tcp)
{
    double write_due = stream_write_due(tcp->stream, tcp->route->write_timeout);

    return timer_sooner(tcp->absorb_at, timer_sooner(tcp->close_by, write_due));
}

static void
tell_due(struct tcp *tcp)
{
    tcp->endpoint.events->due(&tcp->endpoint, due(tcp));
}

/* After finish(): whether everything was said on both sides, and if not, how long to wait. */
static bool
is_finished(struct tcp *tcp)
{
    bool sent = stream_pending(tcp->stream) == 0;

    if (!tcp->finishing)
        return false;
    if (tcp->ended && stream_flushed(tcp->stream))
        return true;
    /* A target that has ended may or may not read what is left for it; one that reads is waited
     * for. */
    if ((sent || tcp->ended) && tcp->close_by == 0)
        tcp->close_by = loop_now(stream_loop(tcp->stream)) + tcp->route->close_timeout;
    return false;
}

/* After anything that may have moved the state. */
static void
go_on(struct tcp *tcp)
{
    if (tcp->over)
        return;
    if (is_finished(tcp))
        end(tcp, 1000, "");
    else
        tell_due(tcp);
}

/* ---- events ---- */

static void
deliver(struct tcp *tcp, uint8_t *data, size_t len)
{
    const char *why;

    if (tcp->units == NULL) {
        tcp->endpoint.events->deliver(&tcp->endpoint, data, len, 0);
        return;
    }
    why = units_from_target(tcp->units, &tcp->endpoint, data, len, &tcp->over);
    if (why != NULL && !tcp->over)
        end(tcp, 1014, why);
}

static void
target_ended(struct tcp *tcp)
{
    const char *why = tcp->units != NULL ? units_end(tcp->units, &tcp->endpoint) : NULL;

    if (!tcp->over)
        tell_ended(tcp, why != NULL ? 1014 : 1000, why != NULL ? why : "");
}

static void
note_size(struct tcp *tcp, size_t n)
{
    tcp->large = n >= LARGE && tcp->units == NULL && stream_is_plain(tcp->stream);
}

/* Moves what one frame may hold. Returns how many bytes; 0: none, for whatever reason. */
static size_t
move_piped(struct tcp *tcp, size_t room)
{
    struct loop *loop = stream_loop(tcp->stream);
    struct pipe *pipe = loop_pipe_get(loop);
    size_t n;

    if (pipe == NULL)
        return 0;
    n = stream_read_piped(tcp->stream, pipe, room < FRAME_MAX ? room : FRAME_MAX);
    if (n > 0)
        tcp->endpoint.events->deliver_piped(&tcp->endpoint, pipe);
    else
        loop_pipe_put(loop, pipe);
    return n;
}

/* Whether bytes have gone the short way. The more a turn takes, the more the next one finds. */
static bool
read_piped(struct tcp *tcp)
{
    size_t moved = 0, n, room;

    do {
        room = tcp->endpoint.events->room(&tcp->endpoint);
        n = room == tcp->route->buffer ? move_piped(tcp, room) : 0;
        moved += n;
    } while (n == FRAME_MAX && moved < TURN_MAX);
    if (moved > 0)
        note_size(tcp, moved);
    return moved > 0;
}

/* Whether large reads should go through a pipe, but something waits. Begins to wait for it. */
static bool
waits_for_pipe(struct tcp *tcp, size_t room)
{
    if (room == tcp->route->buffer)
        tcp->absorbing = false;
    if (!tcp->large || tcp->absorbing || room == tcp->route->buffer ||
        !tcp->endpoint.events->takes_pipe(&tcp->endpoint))
        return false;
    tcp->absorb_at = loop_now(stream_loop(tcp->stream)) + PATIENCE;
    return true;
}

static void
on_readable(struct stream_owner *owner)
{
    struct tcp *tcp = container_of(owner, struct tcp, owner);
    size_t room = tcp->endpoint.events->room(&tcp->endpoint);
    uint8_t *scratch = loop_scratch(stream_loop(tcp->stream));
    ssize_t n;

    if (room == 0 || waits_for_pipe(tcp, room)) {
        stream_want_read(tcp->stream, false);
        if (tcp->absorb_at != 0)
            tell_due(tcp);
        return;
    }
    if (tcp->large && !tcp->absorbing && tcp->endpoint.events->takes_pipe(&tcp->endpoint) &&
        read_piped(tcp))
        return;
    n = stream_read(tcp->stream, scratch, room < LOOP_SCRATCH ? room : LOOP_SCRATCH);
    if (n > 0) {
        note_size(tcp, (size_t)n);
        deliver(tcp, scratch, (size_t)n);
    } else if (n == STREAM_END) {
        target_ended(tcp);
        go_on(tcp);
    } else if (n == STREAM_BROKEN) {
        end(tcp, 1014, stream_why(tcp->stream));
    }
}

static void
on_progress(struct stream_owner *owner)
{
    struct tcp *tcp = container_of(owner, struct tcp, owner);

    tcp->endpoint.events->drained(&tcp->endpoint);
    go_on(tcp);
}

/* ---- for the bridge ---- */

static void
op_send(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags)
{
    struct tcp *tcp = from_endpoint(endpoint);
    bool was_empty = stream_pending(tcp->stream) == 0;

    (void)flags;
    if (tcp->units != NULL)
        units_to_target(tcp->units, tcp->stream, data, len);
    else
        stream_write(tcp->stream, data, len);
    if (was_empty && stream_pending(tcp->stream) > 0)
        tell_due(tcp);
}

static bool
op_is_lost(const struct endpoint *endpoint)
{
    const struct tcp *tcp = from_endpoint(endpoint);

    return tcp->over || stream_is_broken(tcp->stream);
}

static void
op_hold(struct endpoint *endpoint, bool on)
{
    struct tcp *tcp = from_endpoint(endpoint);

    if (tcp->over)
        return;
    stream_hold(tcp->stream, on);
    if (!on)
        go_on(tcp);
}

static size_t
op_pending(const struct endpoint *endpoint)
{
    const struct tcp *tcp = from_endpoint(endpoint);

    return tcp->over ? 0 : stream_pending(tcp->stream);
}

static void
op_resume(struct endpoint *endpoint)
{
    struct tcp *tcp = from_endpoint(endpoint);

    if (tcp->over)
        return;
    if (waits_for_pipe(tcp, endpoint->events->room(endpoint))) {
        tell_due(tcp);
        return;
    }
    tcp->absorb_at = 0;
    stream_want_read(tcp->stream, true);
}

static void
op_finish(struct endpoint *endpoint, const struct ending *ending)
{
    struct tcp *tcp = from_endpoint(endpoint);

    (void)ending; /* TCP has no words for it */
    if (tcp->finishing || tcp->over)
        return;
    tcp->finishing = true;
    stream_shutdown(tcp->stream);
    go_on(tcp);
}

static void
op_close(struct endpoint *endpoint)
{
    struct tcp *tcp = from_endpoint(endpoint);

    if (!tcp->over)
        release(tcp);
}

static void
absorb(struct tcp *tcp)
{
    tcp->absorb_at = 0;
    tcp->absorbing = true;
    stream_want_read(tcp->stream, true);
}

static double
op_look(struct endpoint *endpoint)
{
    struct tcp *tcp = from_endpoint(endpoint);

    if (tcp->over)
        return 0;
    if (tcp->absorb_at != 0 && tcp->absorb_at <= loop_now(stream_loop(tcp->stream)) + 0.001)
        absorb(tcp);
    if (stream_takes_nothing(tcp->stream, tcp->route->write_timeout))
        end(tcp, 1014, "target takes no data");
    else if (tcp->close_by != 0 && tcp->close_by <= loop_now(stream_loop(tcp->stream)) + 0.001)
        end(tcp, 1014, "target does not end");
    return tcp->over ? 0 : due(tcp);
}

struct endpoint *
tcp_open(struct loop *loop, struct stream *stream, const struct conf_route *route)
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
    static const struct stream_events events = {on_readable, on_progress};
    struct tcp *tcp = calloc(1, sizeof *tcp);

    if (tcp != NULL && route->framing != CONF_FRAMING_NONE) {
        tcp->units = units_new(route);
        if (tcp->units == NULL) {
            free(tcp);
            tcp = NULL;
        }
    }
    if (tcp == NULL) {
        log_error(loop_log(loop), "target", "out of memory");
        return NULL;
    }
    tcp->endpoint.ops = &ops;
    tcp->owner.events = &events;
    tcp->route = route;
    tcp->stream = stream;
    stream_set_owner(stream, &tcp->owner);
    stream_set_user_timeout(stream, route->write_timeout);
    return &tcp->endpoint;
}
