/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/websocket.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/pipes.h"
#include "bridge/endpoint.h"
#include "client/early.h"
#include "client/http.h"
#include "client/liveness.h"
#include "client/messages.h"
#include "client/ws_control.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "net/linger.h"
#include "net/stream.h"
#include "proto/ws_frame.h"

enum state {
    OPEN,
    CLOSING, /* our Close has been sent (or waits to be), the client's is awaited */
    OVER,
};

/* In front what every read looks at. */
struct websocket {
    struct endpoint endpoint;
    struct stream_owner owner;
    struct stream *stream;
    struct loop *loop;
    uint8_t state; /* enum state */
    bool reading;
    bool drained;      /* the last read took all that the socket had */
    bool close_came;   /* a valid Close, and was answered */
    bool client_ended; /* its FIN came before the 101 */
    struct liveness liveness;
    struct messages messages;
    struct ws_decoder decoder;
    struct linger_set *lingers;
    struct ws_pong *pong; /* the one that waits for the socket */
    union {
        struct early early;
        struct loop_deferred free_later; /* released */
    };
};

static struct websocket *
from_endpoint(const struct endpoint *endpoint)
{
    return container_of((struct endpoint *)(uintptr_t)endpoint, struct websocket, endpoint);
}

/* ---- ending ---- */

static void
free_websocket(struct loop_deferred *deferred)
{
    struct websocket *ws = container_of(deferred, struct websocket, free_later);

    messages_deinit(&ws->messages);
    ws_decoder_deinit(&ws->decoder);
    free(ws->pong);
    free(ws);
}

static void
release(struct websocket *ws)
{
    ws->state = OVER;
    stream_close(ws->stream);
    ws->stream = NULL;
    early_deinit(&ws->early);
    loop_defer(ws->loop, &ws->free_later, free_websocket);
}

/*
 * Whether the connection can be closed without waiting for the client's end: both Closes have been
 * said (RFC 6455 section 7.1.1), ours has left, and no byte of the client's is left in the kernel, which
 * would make it a reset. TLS has a goodbye of its own.
 */
static bool
is_through(const struct websocket *ws, const struct stream *stream)
{
    return ws->close_came && ws->drained && stream_is_plain(stream) && stream_pending(stream) == 0;
}

/* Nothing more comes from the client and nothing more is sent: tell the bridge, let the stream end
 * by itself. */
static void
end(struct websocket *ws, const struct ending *ending)
{
    struct endpoint *endpoint = &ws->endpoint;
    struct stream *stream = ws->stream;

    ws->stream = NULL;
    release(ws);
    if (ending->code == WS_CODE_LOST || is_through(ws, stream))
        stream_close(stream);
    else
        linger_start(ws->lingers, stream, ws->messages.route->write_timeout,
                     ws->messages.route->close_timeout);
    endpoint->events->ended(endpoint, ending);
    endpoint->events->gone(endpoint);
}

static void
end_lost(struct websocket *ws, const char *reason)
{
    end(ws, &(struct ending){ENDER_CLIENT, WS_CODE_LOST, reason});
}

/* The client broke a rule: it is told which, unless a Close was sent already. */
static void
fail(struct websocket *ws, uint16_t code, const char *reason)
{
    if (ws->state == OPEN)
        ws_control_close(ws->stream, code, reason);
    end(ws, &(struct ending){ENDER_CULVERT, code, reason});
}

/* ---- deadlines ---- */

static struct liveness_view
view(const struct websocket *ws)
{
    return (struct liveness_view){
        .route = ws->messages.route,
        .stream = ws->stream,
        .now = loop_now(ws->loop),
        .heartbeat = ws->messages.route->heartbeat,
        .open = ws->state == OPEN,
        .reading = ws->reading,
        .in_message = ws->decoder.in_message,
    };
}

/* After what may have brought one nearer. */
static void
tell_due(struct websocket *ws)
{
    struct liveness_view now = view(ws);

    ws->endpoint.events->due(&ws->endpoint, liveness_due(&ws->liveness, &now));
}

static double
op_look(struct endpoint *endpoint)
{
    struct websocket *ws = from_endpoint(endpoint);
    struct liveness_view now;

    if (ws->state == OVER)
        return 0;
    now = view(ws);
    switch (liveness_look(&ws->liveness, &now)) {
    case LIVENESS_STALLED:
        fail(ws, 1013, "client takes no data");
        return 0;
    case LIVENESS_NO_CLOSE:
        end_lost(ws, "no answer to Close");
        return 0;
    case LIVENESS_UNFINISHED:
        fail(ws, 1008, "unfinished message");
        return 0;
    case LIVENESS_LOST:
        end_lost(ws, "heartbeat timeout");
        return 0;
    case LIVENESS_PING:
        ws_control_ping(ws->stream);
        liveness_pinged(&ws->liveness, &now);
        ws->liveness.asked = now.now;
        break;
    case LIVENESS_FINE:
        break;
    }
    return liveness_due(&ws->liveness, &now);
}

/* ---- from the client ---- */

static void
client_close(struct websocket *ws, const struct ws_chunk *chunk)
{
    char reason[WS_CONTROL_MAX + 1];
    uint16_t code;
    uint16_t fault = ws_control_read_close(chunk, &code, reason);

    if (fault != 0) {
        fail(ws, fault, fault == 1007 ? "close reason is not UTF-8" : "invalid close code");
        return;
    }
    if (ws->state == OPEN)
        ws_control_close(ws->stream, code, "");
    ws->close_came = true;
    end(ws, &(struct ending){ENDER_CLIENT, code, reason});
}

/* A sign of life, which reading it has noted; left to do is to tell how long it took. */
static void
client_pong(struct websocket *ws)
{
    double seconds = liveness_ponged(&ws->liveness, loop_now(ws->loop));

    if (seconds >= 0)
        metrics_observe(&ws->messages.metrics->heartbeat, seconds);
}

static void
control(struct websocket *ws, const struct ws_chunk *chunk)
{
    switch (chunk->opcode) {
    case WS_CLOSE:
        client_close(ws, chunk);
        break;
    case WS_PING:
        if (ws->state == OPEN)
            ws_control_pong(ws->stream, &ws->pong, chunk->control, chunk->control_len);
        break;
    default:
        client_pong(ws);
        break;
    }
}

static void
deliver(struct websocket *ws, const struct ws_chunk *chunk)
{
    struct messages_fault fault = {0};
    uint8_t *data;
    size_t len;

    if (chunk->len > 0)
        ws->liveness.message = loop_now(ws->loop);
    if (messages_from_client(&ws->messages, chunk, &data, &len, &fault)) {
        ws->endpoint.events->deliver(&ws->endpoint, data, len,
                                     chunk->type == WS_TEXT ? ENDPOINT_TEXT : 0);
        messages_sent(&ws->messages);
    } else if (fault.code != 0) {
        fail(ws, fault.code, fault.why);
    }
}

/* data has ENDPOINT_HEADROOM bytes before it and is used up. */
static void
decode(struct websocket *ws, uint8_t *data, size_t len)
{
    uint64_t before = ws->decoder.in_message ? ws->decoder.left : UINT64_MAX;
    bool pinged = liveness_heard(&ws->liveness, loop_now(ws->loop));
    struct ws_chunk chunk;

    while (len > 0 && ws->state != OVER) {
        size_t used = ws_decode(&ws->decoder, data, len, &chunk);

        data += used;
        len -= used;
        messages_count_in(&ws->messages, &chunk);
        if (chunk.len > 0 || chunk.stop == WS_STOP_MESSAGE)
            deliver(ws, &chunk);
        if (ws->state == OVER)
            return;
        if (chunk.stop == WS_STOP_ERROR) {
            fail(ws, chunk.code, chunk.why);
            return;
        }
        if (chunk.stop == WS_STOP_CONTROL)
            control(ws, &chunk);
    }
    if (ws->state == OVER)
        return;
    /* In this read: `before` is what was left of a frame before it. */
    if (ws_decoder_awaits_payload(&ws->decoder) && ws->decoder.left != before)
        ws->liveness.message = loop_now(ws->loop);
    if (pinged || ws->decoder.in_message || stream_pending(ws->stream) > 0)
        tell_due(ws);
}

static void
on_readable(struct stream_owner *owner)
{
    struct websocket *ws = container_of(owner, struct websocket, owner);
    size_t room = ws->endpoint.events->room(&ws->endpoint);
    uint8_t *scratch = loop_scratch(ws->loop);
    ssize_t n;

    if (room == 0) {
        ws->reading = false;
        stream_want_read(ws->stream, false);
        return;
    }
    if (room > LOOP_SCRATCH)
        room = LOOP_SCRATCH;
    n = stream_read(ws->stream, scratch, room);
    ws->drained = n < (ssize_t)room;
    if (n > 0)
        decode(ws, scratch, (size_t)n);
    else if (n != STREAM_AGAIN)
        end_lost(ws, n == STREAM_END ? "end without Close" : stream_why(ws->stream));
}

/* What came before the 101 goes first, in pieces that the target has room for. Returns whether all
 * is through. */
static bool
decode_early(struct websocket *ws)
{
    uint8_t *scratch = loop_scratch(ws->loop);

    while (ws->early.bytes != NULL) {
        size_t room = ws->endpoint.events->room(&ws->endpoint);

        if (room == 0)
            return false;
        decode(ws, scratch,
               early_take(&ws->early, scratch, room < LOOP_SCRATCH ? room : LOOP_SCRATCH));
        if (ws->state == OVER)
            return false;
    }
    return true;
}

/* The time for the client's Close begins when ours has left. */
static void
await_close(struct websocket *ws)
{
    if (ws->liveness.close_by == 0 && stream_pending(ws->stream) == 0)
        ws->liveness.close_by = loop_now(ws->loop) + ws->messages.route->close_timeout;
}

static void
on_progress(struct stream_owner *owner)
{
    struct websocket *ws = container_of(owner, struct websocket, owner);

    if (stream_is_broken(ws->stream)) { /* noticed here, as it may not be read at the time */
        end_lost(ws, stream_why(ws->stream));
        return;
    }
    liveness_progress(&ws->liveness, loop_now(ws->loop));
    if (ws->state == OPEN)
        ws_control_progress(ws->stream, &ws->pong);
    else
        await_close(ws);
    tell_due(ws);
    ws->endpoint.events->drained(&ws->endpoint);
}

/* ---- for the bridge ---- */

static void
put(struct messages *messages, uint8_t *data, size_t len, enum ws_opcode opcode, bool fin)
{
    struct websocket *ws = container_of(messages, struct websocket, messages);
    size_t header = ws_encode_before(data, len, opcode, fin);

    if (!stream_is_broken(ws->stream))
        messages_count_out(messages, len, fin);
    stream_write(ws->stream, data - header, header + len);
}

static void
op_send(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags)
{
    struct websocket *ws = from_endpoint(endpoint);
    struct messages_fault fault = {0};
    bool was_empty;

    (void)flags; /* a target's bytes have the type that the route gives them */
    if (ws->state != OPEN)
        return;
    was_empty = stream_pending(ws->stream) == 0;
    messages_to_client(&ws->messages, put, data, len, &fault);
    if (fault.code != 0)
        fail(ws, fault.code, fault.why);
    else if (was_empty && stream_pending(ws->stream) > 0)
        tell_due(ws);
}

static bool
op_takes_pipe(const struct endpoint *endpoint)
{
    const struct websocket *ws = from_endpoint(endpoint);

    return ws->state == OPEN && messages_may_be_piped(ws->messages.route) &&
           stream_is_plain(ws->stream);
}

static void
op_send_piped(struct endpoint *endpoint, struct pipe *pipe)
{
    struct websocket *ws = from_endpoint(endpoint);
    uint8_t header[WS_HEADER_MAX];
    size_t len = ws_encode_header(header, pipe->len, WS_BINARY, true, NULL);

    if (!stream_is_broken(ws->stream))
        messages_count_out(&ws->messages, pipe->len, 1);
    stream_write_piped(ws->stream, header, len, pipe);
    if (stream_pending(ws->stream) > 0)
        tell_due(ws);
}

static size_t
op_pending(const struct endpoint *endpoint)
{
    const struct websocket *ws = from_endpoint(endpoint);

    return ws->state == OVER ? 0 : stream_pending(ws->stream);
}

static void
op_resume(struct endpoint *endpoint)
{
    struct websocket *ws = from_endpoint(endpoint);

    if (ws->reading || ws->state == OVER)
        return;
    ws->reading = true; /* what is decoded now may come back here */
    if (!decode_early(ws)) {
        ws->reading = false;
        return;
    }
    if (ws->client_ended) {
        end_lost(ws, "end without Close");
        return;
    }
    liveness_heard(&ws->liveness, loop_now(ws->loop));
    ws->liveness.message = loop_now(ws->loop);
    tell_due(ws);
    stream_want_read(ws->stream, true);
}

static void
op_finish(struct endpoint *endpoint, const struct ending *ending)
{
    struct websocket *ws = from_endpoint(endpoint);
    struct messages_fault fault = {0};

    if (ws->state != OPEN)
        return;
    if (ending->by == ENDER_TARGET && ending->code == 1000)
        messages_end(&ws->messages, &fault);
    if (fault.code != 0) {
        fail(ws, fault.code, fault.why);
        return;
    }
    ws->state = CLOSING;
    ws_control_close(ws->stream, ending->code, ending->reason);
    await_close(ws);
    tell_due(ws);
}

static void
op_close(struct endpoint *endpoint)
{
    struct websocket *ws = from_endpoint(endpoint);

    if (ws->state != OVER)
        release(ws);
}

/* ---- making one ---- */

struct endpoint *
websocket_open(const struct websocket_options *options)
{
    static const struct endpoint_ops ops = {
        .send = op_send,
        .pending = op_pending,
        .resume = op_resume,
        .finish = op_finish,
        .close = op_close,
        .look = op_look,
        .takes_pipe = op_takes_pipe,
        .send_piped = op_send_piped,
    };
    static const struct stream_events events = {on_readable, on_progress};
    struct websocket *ws = calloc(1, sizeof *ws);
    struct exchange_taken taken;
    bool whole = messages_are_whole(options->route);

    if (ws == NULL) {
        exchange_lacks_memory(options->exchange);
        return NULL;
    }
    ws->endpoint.ops = &ops;
    ws->owner.events = &events;
    ws->loop = exchange_loop(options->exchange);
    ws->lingers = options->lingers;
    ws_decoder_init(&ws->decoder, WS_FROM_CLIENT, whole ? options->route->message_max : 0, whole);
    ws->decoder.bare_pong = conf_route_use(options->route) == CONF_USE_MQTT;
    messages_init(&ws->messages, options->route, options->metrics);
    exchange_take(options->exchange, &ws->owner, &taken);
    ws->stream = taken.stream;
    early_init(&ws->early, taken.early, taken.early_len);
    ws->client_ended = taken.ended;
    if (ws->messages.route->heartbeat == 0)
        stream_set_user_timeout(ws->stream, ws->messages.route->write_timeout);
    ws_control_accept(ws->stream, options->handshake, options->digest);
    return &ws->endpoint;
}
