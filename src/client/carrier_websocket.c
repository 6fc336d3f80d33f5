/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/carrier_websocket.h"

#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "base/list.h"
#include "base/metrics.h"
#include "client/http.h"
#include "client/liveness.h"
#include "client/session.h"
#include "client/ws_control.h"
#include "client/ws_session.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "net/linger.h"
#include "net/stream.h"
#include "proto/session_frame.h"
#include "proto/ws_frame.h"

enum {
    PENDING_MAX = 65536, /* bytes that wait for the socket; the rest stays with the session */
    CONTROL_PENDING_MAX = 2 * PENDING_MAX, /* above it ACKs and PONGs wait too */
};

struct ws_carrier {
    struct carrier carrier;
    struct stream_owner owner;
    struct stream *stream; /* NULL: over */
    struct loop *loop;
    struct linger_set *lingers;
    const struct conf_route *route; /* the session's */
    double heartbeat;
    struct liveness liveness;
    struct ws_decoder decoder;
    struct gather kept; /* of a message that is not complete */
    struct gather ping; /* payload of the one that waits for its PONG */
    bool pinged;
    struct ws_pong *pong;
    bool client_closed; /* by a Close of the WebSocket */
    struct loop_deferred free_later;
};

static struct ws_carrier *
from_carrier(struct carrier *carrier)
{
    return container_of(carrier, struct ws_carrier, carrier);
}

static bool
is_over(const struct ws_carrier *ws)
{
    return ws->stream == NULL;
}

/* ---- ending ---- */

static void
free_carrier(struct loop_deferred *deferred)
{
    struct ws_carrier *ws = container_of(deferred, struct ws_carrier, free_later);

    ws_decoder_deinit(&ws->decoder);
    gather_clear(&ws->kept);
    gather_clear(&ws->ping);
    free(ws->pong);
    free(ws);
}

/* gently: what was written reaches the client first, which has close_timeout to end too. */
static void
release(struct ws_carrier *ws, bool gently)
{
    if (gently)
        linger_start(ws->lingers, ws->stream, ws->route->write_timeout, ws->route->close_timeout);
    else
        stream_close(ws->stream);
    ws->stream = NULL;
    loop_defer(ws->loop, &ws->free_later, free_carrier);
}

/* The client can come back on another one. code 0: without a Close. */
static void
lose(struct ws_carrier *ws, uint16_t code, const char *reason)
{
    if (code != 0)
        ws_control_close(ws->stream, code, reason);
    release(ws, code != 0);
    session_lost(ws->carrier.session, &ws->carrier);
}

/* ---- to the client ---- */

static struct liveness_view
view(const struct ws_carrier *ws)
{
    return (struct liveness_view){
        .route = ws->route,
        .stream = ws->stream,
        .now = loop_now(ws->loop),
        .heartbeat = ws->heartbeat,
        .open = true,
        .reading = true,
        .in_message = ws->decoder.in_message,
    };
}

/* After what may have brought a deadline nearer. */
static void
tell_due(struct ws_carrier *ws)
{
    struct liveness_view now = view(ws);

    session_due(ws->carrier.session, liveness_due(&ws->liveness, &now));
}

static void
op_pump(struct carrier *carrier)
{
    struct ws_carrier *ws = from_carrier(carrier);
    bool was_empty = stream_pending(ws->stream) == 0;
    const char *reason;
    struct blob *blob;
    uint64_t seq;
    uint16_t code;

    while (stream_pending(ws->stream) < PENDING_MAX &&
           (blob = session_next(carrier->session, carrier, &seq)) != NULL)
        ws_session_message(ws->stream, blob, seq);
    if (session_close_is_due(carrier->session, carrier, &code, &reason)) {
        ws_session_close(ws->stream, code, reason);
        carrier->told_close = true;
    }
    if (was_empty && stream_pending(ws->stream) > 0)
        tell_due(ws);
}

static void
op_ack(struct carrier *carrier)
{
    struct ws_carrier *ws = from_carrier(carrier);

    if (stream_pending(ws->stream) <= CONTROL_PENDING_MAX) /* else when it has taken something */
        ws_session_ack(ws->stream, session_tell_ack(carrier->session));
}

/* Of a client that takes nothing, the newest PING is answered. */
static void
answer_ping(struct ws_carrier *ws, const struct session_frame *ping)
{
    if (stream_pending(ws->stream) <= CONTROL_PENDING_MAX) {
        ws_session_ping(ws->stream, SESSION_PONG, ping->data, ping->len);
        return;
    }
    gather_clear(&ws->ping);
    if (gather_add(&ws->ping, ping->data, ping->len) == 0)
        ws->pinged = true;
}

static void
send_what_waited(struct ws_carrier *ws)
{
    if (stream_pending(ws->stream) > CONTROL_PENDING_MAX)
        return;
    if (ws->pinged)
        ws_session_ping(ws->stream, SESSION_PONG,
                        gather_len(&ws->ping) > 0 ? (char *)gather_data(&ws->ping) : "",
                        gather_len(&ws->ping));
    ws->pinged = false;
    gather_clear(&ws->ping);
    if (session_has_ack(ws->carrier.session))
        op_ack(&ws->carrier);
}

static void
op_end(struct carrier *carrier, enum carrier_end how, uint16_t code, const char *reason)
{
    struct ws_carrier *ws = from_carrier(carrier);
    /* Who does not take what it was given, and needs it no more, gets no words. */
    bool gently =
        how != CARRIER_DROPPED && (how != CARRIER_DETACHED || stream_pending(ws->stream) == 0);

    if (how == CARRIER_OVER && !ws->client_closed && session_has_ack(carrier->session))
        ws_session_ack(ws->stream, session_tell_ack(carrier->session));
    if (how == CARRIER_FAILED ||
        (how == CARRIER_OVER && !carrier->told_close && !ws->client_closed))
        ws_session_close(ws->stream, code, reason);
    if (gently)
        ws_control_close(ws->stream, code, reason);
    release(ws, gently);
    carrier->session = NULL;
}

static double
op_look(struct carrier *carrier)
{
    struct ws_carrier *ws = from_carrier(carrier);
    struct liveness_view now = view(ws);

    switch (liveness_look(&ws->liveness, &now)) {
    case LIVENESS_STALLED:
        lose(ws, 1013, "client takes no data");
        return 0;
    case LIVENESS_UNFINISHED:
        lose(ws, 1008, "unfinished message");
        return 0;
    case LIVENESS_LOST:
    case LIVENESS_NO_CLOSE:
        lose(ws, 0, "");
        return 0;
    case LIVENESS_PING:
        ws_session_ping(ws->stream, SESSION_PING, "", 0);
        liveness_pinged(&ws->liveness, &now);
        break;
    case LIVENESS_FINE:
        break;
    }
    return liveness_due(&ws->liveness, &now);
}

static void
on_progress(struct stream_owner *owner)
{
    struct ws_carrier *ws = container_of(owner, struct ws_carrier, owner);

    if (stream_is_broken(ws->stream)) {
        lose(ws, 0, "");
        return;
    }
    liveness_progress(&ws->liveness, loop_now(ws->loop));
    ws_control_progress(ws->stream, &ws->pong);
    op_pump(&ws->carrier);
    send_what_waited(ws);
    tell_due(ws);
}

/* ---- from the client ---- */

static void
take_frame(struct ws_carrier *ws, uint8_t *data, size_t len)
{
    struct session *session = ws->carrier.session;
    struct session_frame frame;
    const char *why = session_frame_read(data, len, &frame);

    if (why != NULL) {
        session_fail(session, 1002, why);
        return;
    }
    if (frame.type == SESSION_PING) {
        answer_ping(ws, &frame);
        return;
    }
    switch (session_take(session, &frame, &why)) {
    case SESSION_GAP:
        session_fail(session, 1002, "a gap in the numbers");
        break;
    case SESSION_OVERRUN:
        session_fail(session, 1008, "more than the window allows");
        break;
    case SESSION_TOO_LONG:
        session_fail(session, 1009, "a message over message_max");
        break;
    case SESSION_NO_TEXT:
        session_fail(session, 1007, "text is not UTF-8");
        break;
    case SESSION_FAULT:
        session_fail(session, 1002, why);
        break;
    case SESSION_TAKEN:
    case SESSION_ENDED:
        break;
    }
}

/* 1000, 1001 and none end the session; after others the client may come back. */
static void
client_close(struct ws_carrier *ws, const struct ws_chunk *chunk)
{
    char reason[WS_CONTROL_MAX + 1];
    uint16_t code;
    uint16_t fault = ws_control_read_close(chunk, &code, reason);

    if (fault != 0 || (code != 1000 && code != 1001 && code != WS_CODE_NONE)) {
        lose(ws, fault != 0 ? fault : code, "");
        return;
    }
    ws->client_closed = true;
    session_close(ws->carrier.session, code == WS_CODE_NONE ? 1000 : code, reason);
}

static void
control(struct ws_carrier *ws, const struct ws_chunk *chunk)
{
    if (chunk->opcode == WS_CLOSE)
        client_close(ws, chunk);
    else if (chunk->opcode == WS_PING)
        ws_control_pong(ws->stream, &ws->pong, chunk->control, chunk->control_len);
}

/* Payload of a message, perhaps its last. */
static void
payload(struct ws_carrier *ws, const struct ws_chunk *chunk)
{
    bool complete = chunk->stop == WS_STOP_MESSAGE;

    if (chunk->type == WS_TEXT) {
        lose(ws, 1003, "frames come in binary messages");
        return;
    }
    if (complete && gather_len(&ws->kept) == 0) {
        take_frame(ws, chunk->data, chunk->len);
        return;
    }
    if (gather_add(&ws->kept, chunk->data, chunk->len) != 0) {
        lose(ws, 1011, "out of memory");
        return;
    }
    if (!complete)
        return;
    take_frame(ws, gather_data(&ws->kept), gather_len(&ws->kept));
    gather_clear(&ws->kept);
}

static void
failed(struct ws_carrier *ws, const struct ws_chunk *chunk)
{
    if (chunk->code == 1009)
        session_fail(ws->carrier.session, 1009, "a message over message_max");
    else
        lose(ws, chunk->code, chunk->why);
}

/* data has ENDPOINT_HEADROOM bytes before it and is used up. */
static void
decode(struct ws_carrier *ws, uint8_t *data, size_t len)
{
    bool pinged = liveness_heard(&ws->liveness, loop_now(ws->loop));
    struct session *session = ws->carrier.session;
    struct ws_chunk chunk;

    while (len > 0 && !is_over(ws)) {
        size_t used = ws_decode(&ws->decoder, data, len, &chunk);

        data += used;
        len -= used;
        if (len > 0)
            session_hold(session, true);
        if (chunk.len > 0 || chunk.stop == WS_STOP_MESSAGE)
            payload(ws, &chunk);
        if (!is_over(ws) && chunk.stop == WS_STOP_ERROR)
            failed(ws, &chunk);
        else if (!is_over(ws) && chunk.stop == WS_STOP_CONTROL)
            control(ws, &chunk);
    }
    session_hold(session, false);
    if (is_over(ws))
        return;
    if (ws->decoder.in_message)
        ws->liveness.message = loop_now(ws->loop);
    if (pinged || ws->decoder.in_message || stream_pending(ws->stream) > 0)
        tell_due(ws);
}

static void
on_readable(struct stream_owner *owner)
{
    struct ws_carrier *ws = container_of(owner, struct ws_carrier, owner);
    uint8_t *scratch = loop_scratch(ws->loop);
    ssize_t n = stream_read(ws->stream, scratch, LOOP_SCRATCH);

    if (n > 0)
        decode(ws, scratch, (size_t)n);
    else if (n != STREAM_AGAIN)
        lose(ws, 0, "");
}

/* What came before the 101. */
static void
decode_early(struct ws_carrier *ws, const struct exchange_taken *taken)
{
    uint8_t *scratch = loop_scratch(ws->loop);
    size_t done = 0;

    while (done < taken->early_len && !is_over(ws)) {
        size_t n = taken->early_len - done < LOOP_SCRATCH ? taken->early_len - done : LOOP_SCRATCH;

        memcpy(scratch, taken->early + done, n);
        done += n;
        decode(ws, scratch, n);
    }
    if (taken->ended && !is_over(ws))
        lose(ws, 0, "");
}

/* ---- making one ---- */

/* Takes the stream, and sends the 101. Returns NULL without memory, logged. */
static struct ws_carrier *
take(const struct carrier_websocket_options *options, struct exchange_taken *taken)
{
    static const struct carrier_ops ops = {op_pump, op_ack, op_end, op_look};
    static const struct stream_events events = {on_readable, on_progress};
    struct ws_carrier *ws = calloc(1, sizeof *ws);

    if (ws == NULL) {
        exchange_lacks_memory(options->exchange);
        return NULL;
    }
    ws->carrier.ops = &ops;
    ws->carrier.transport = METRICS_WEBSOCKET;
    ws->owner.events = &events;
    ws->loop = exchange_loop(options->exchange);
    ws->lingers = options->lingers;
    ws->route = options->route;
    ws->heartbeat = options->heartbeat;
    ws_decoder_init(&ws->decoder, WS_FROM_CLIENT, options->route->message_max + SESSION_HEADER_MAX,
                    true);
    exchange_take(options->exchange, &ws->owner, taken);
    ws->stream = taken->stream;
    ws_control_accept(ws->stream, options->handshake, options->digest);
    return ws;
}

/* No session is attached to it. */
static void
turn_away(struct ws_carrier *ws, uint16_t code, const char *reason)
{
    ws_session_close(ws->stream, code, reason);
    ws_control_close(ws->stream, code, reason);
    release(ws, true);
}

int
carrier_websocket_open(const struct carrier_websocket_options *options)
{
    struct exchange_taken taken;
    struct ws_carrier *ws = take(options, &taken);

    if (ws == NULL)
        return -1;
    switch (session_attach(options->session, &ws->carrier, options->attach)) {
    case SESSION_STALE:
        turn_away(ws, 4409, "the session is further than this");
        break;
    case SESSION_UNSENT:
        turn_away(ws, 1002, "an ACK of a message that was not sent");
        break;
    case SESSION_ATTACHED:
        ws_session_open(ws->stream, ws->carrier.session, ws->heartbeat);
        ws->liveness.heard = ws->liveness.message = loop_now(ws->loop);
        stream_want_read(ws->stream, true);
        op_pump(&ws->carrier);
        tell_due(ws);
        decode_early(ws, &taken);
        break;
    }
    free(taken.early);
    return 0;
}

int
carrier_websocket_refuse(const struct carrier_websocket_options *options, uint16_t code,
                         const char *reason)
{
    struct exchange_taken taken;
    struct ws_carrier *ws = take(options, &taken);

    if (ws == NULL)
        return -1;
    turn_away(ws, code, reason);
    free(taken.early);
    return 0;
}
