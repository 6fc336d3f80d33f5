/* SPDX-License-Identifier: BSD-2-Clause */
/* A subscriber over a WebSocket: one JSON text, or one payload, in each message. */
#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "base/metrics.h"
#include "client/http.h"
#include "client/liveness.h"
#include "client/ws_control.h"
#include "conf/conf.h"
#include "proto/ws_frame.h"
#include "topic/envelope.h"
#include "topic/subscriber_state.h"
#include "topic/talk.h"

enum {
    EVENT_STACK = 1024, /* bytes of an event that needs no memory of its own */
    ANSWERS_MAX = 2 * SUBSCRIBER_PENDING_MAX, /* that wait for a client: then it is not read */
};

#define NEXT_TURN 0.001 /* seconds until what is held is looked at */
#define BEGINNING 0.05  /* the same while as many subscriptions begin as may */

struct ws_subscriber {
    struct subscriber subscriber;
    struct ws_decoder decoder;
    struct gather kept; /* of a message that is not complete */
    struct gather
        held; /* bytes whose turn it is at held_until: its subscriptions cost enough in this one */
    double held_until;
    struct talk talk;
    struct liveness liveness;
    struct ws_pong *pong;
    bool closed; /* by a Close of the client's */
};

static struct ws_subscriber *
from(struct subscriber *subscriber)
{
    return container_of(subscriber, struct ws_subscriber, subscriber);
}

static void
op_free(struct subscriber *subscriber)
{
    struct ws_subscriber *ws = from(subscriber);

    talk_deinit(&ws->talk);
    ws_decoder_deinit(&ws->decoder);
    gather_clear(&ws->kept);
    gather_clear(&ws->held);
    free(ws->pong);
    free(ws);
}

/* ---- ending ---- */

/* code 0: without a Close. */
static void
end(struct ws_subscriber *ws, enum ender by, uint16_t code, const char *reason)
{
    talk_deinit(&ws->talk);
    subscriber_end(&ws->subscriber, code != 0, by, code != 0 ? code : WS_CODE_LOST, reason);
}

/* We find a fault with the client, or must let it go. */
static void
fail(struct ws_subscriber *ws, uint16_t code, const char *reason)
{
    if (!ws->subscriber.talked)
        ws_control_close(ws->subscriber.stream, code, reason);
    end(ws, ENDER_CULVERT, code, reason);
}

/* ---- to the client ---- */

static void
op_event(struct subscriber *subscriber, const char *json, size_t len, const char *id)
{
    uint8_t stack[WS_SERVER_HEADER_MAX + EVENT_STACK], *room = stack;
    size_t header;

    (void)id;
    if (len > EVENT_STACK)
        room = malloc(WS_SERVER_HEADER_MAX + len);
    if (room == NULL) {
        subscriber->fault = 1011;
        return;
    }
    memcpy(room + WS_SERVER_HEADER_MAX, json, len);
    header = ws_encode_before(room + WS_SERVER_HEADER_MAX, len, WS_TEXT, true);
    stream_write(subscriber->stream, room + WS_SERVER_HEADER_MAX - header, header + len);
    if (room != stack)
        free(room);
}

static void
op_cursor(struct subscriber *subscriber, const char *id)
{
    char json[128];
    size_t len = topic_envelope_cursor(json, id);

    if (subscriber->events)
        op_event(subscriber, json, len, id);
}

/* The client answers a Close with its own, for which there is close_timeout. */
static void
op_goodbye(struct subscriber *subscriber, uint16_t code, const char *reason)
{
    struct ws_subscriber *ws = from(subscriber);

    ws_control_close(subscriber->stream, code, reason);
    subscriber->talked = true;
    ws->liveness.close_by = loop_now(subscriber->loop) + subscriber->route->close_timeout;
}

/* ---- time ---- */

static bool
wants_read(const struct ws_subscriber *ws)
{
    return gather_len(&ws->held) == 0 && talk_has_room(&ws->talk) &&
           stream_pending(ws->subscriber.stream) < ANSWERS_MAX;
}

static struct liveness_view
view(const struct ws_subscriber *ws)
{
    return (struct liveness_view){
        .route = ws->subscriber.route,
        .stream = ws->subscriber.stream,
        .now = loop_now(ws->subscriber.loop),
        .heartbeat = ws->subscriber.route->heartbeat,
        .open = !ws->subscriber.talked,
        .reading = wants_read(ws),
        .in_message = ws->decoder.in_message,
    };
}

/* When the next cursor is due; 0: none is ever. */
static double
cursor_due(const struct subscriber *subscriber)
{
    double heartbeat = subscriber->route->heartbeat;

    return heartbeat == 0 || !subscriber->events || subscriber->talked
               ? 0
               : subscriber->told + heartbeat;
}

static void look_at_held(struct ws_subscriber *ws);

static double
op_look(struct subscriber *subscriber)
{
    struct ws_subscriber *ws = from(subscriber);
    struct liveness_view now = view(ws);
    double due;
    double cursor = cursor_due(subscriber);

    switch (liveness_look(&ws->liveness, &now)) {
    case LIVENESS_STALLED:
        fail(ws, 1013, "client takes no data");
        return 0;
    case LIVENESS_UNFINISHED:
        fail(ws, 1008, "unfinished message");
        return 0;
    case LIVENESS_LOST:
        end(ws, ENDER_CLIENT, 0, "no answer to ping");
        return 0;
    case LIVENESS_NO_CLOSE:
        end(ws, ENDER_CULVERT, 0, "no answer to close");
        return 0;
    case LIVENESS_PING:
        ws_control_ping(subscriber->stream);
        liveness_pinged(&ws->liveness, &now);
        break;
    case LIVENESS_FINE:
        break;
    }
    if (cursor != 0 && now.now + 0.001 >= cursor)
        subscriber_send_cursor(subscriber);
    look_at_held(ws);
    if (subscriber_is_over(subscriber))
        return 0;
    now = view(ws);
    due = timer_sooner(liveness_due(&ws->liveness, &now), cursor_due(subscriber));
    return gather_len(&ws->held) == 0 ? due : timer_sooner(due, ws->held_until);
}

static void
op_progress(struct subscriber *subscriber)
{
    struct ws_subscriber *ws = from(subscriber);

    liveness_progress(&ws->liveness, loop_now(subscriber->loop));
    ws_control_progress(subscriber->stream, &ws->pong);
    if (wants_read(ws))
        stream_want_read(subscriber->stream, true);
}

/* ---- from the client ---- */

static void
on_room(struct subscriber *subscriber)
{
    if (wants_read(from(subscriber)))
        stream_want_read(subscriber->stream, true);
}

static void
client_close(struct ws_subscriber *ws, const struct ws_chunk *chunk)
{
    char reason[WS_CONTROL_MAX + 1];
    uint16_t code;
    uint16_t fault = ws_control_read_close(chunk, &code, reason);
    struct subscriber *subscriber = &ws->subscriber;

    if (fault != 0) {
        fail(ws, fault, "a malformed close");
        return;
    }
    if (!subscriber->talked) /* else it is the answer to ours */
        ws_control_close(subscriber->stream, code == WS_CODE_NONE ? 1000 : code, "");
    else if (subscriber->leave_code != 0) {
        end(ws, ENDER_CULVERT, subscriber->leave_code, subscriber->leave_reason);
        return;
    }
    subscriber->talked = true;
    end(ws, ENDER_CLIENT, code, reason);
}

static void
control(struct ws_subscriber *ws, const struct ws_chunk *chunk)
{
    if (chunk->opcode == WS_CLOSE) {
        client_close(ws, chunk);
    } else if (chunk->opcode == WS_PING) {
        if (!ws->subscriber.talked)
            ws_control_pong(ws->subscriber.stream, &ws->pong, chunk->control, chunk->control_len);
    } else {
        double seconds = liveness_ponged(&ws->liveness, loop_now(ws->subscriber.loop));

        if (seconds >= 0)
            metrics_observe(&ws->subscriber.metrics->heartbeat, seconds);
    }
}

static void
take(struct ws_subscriber *ws, const uint8_t *data, size_t len, enum ws_opcode type)
{
    uint16_t code = talk_take(&ws->subscriber, &ws->talk, data, len, type == WS_TEXT);

    if (code == 1003)
        fail(ws, code, "messages are JSON texts");
    else if (code == 1008)
        fail(ws, code, "this route takes no messages");
    else if (code != 0)
        fail(ws, code, "out of memory");
}

/* Payload of a message, perhaps its last. */
static void
payload(struct ws_subscriber *ws, const struct ws_chunk *chunk)
{
    bool complete = chunk->stop == WS_STOP_MESSAGE;

    if (ws->subscriber.talked)
        return; /* what comes after our Close says nothing any more */
    if (complete && gather_len(&ws->kept) == 0) {
        take(ws, chunk->data, chunk->len, chunk->type);
        return;
    }
    if (gather_add(&ws->kept, chunk->data, chunk->len) != 0) {
        fail(ws, 1011, "out of memory");
        return;
    }
    if (!complete)
        return;
    take(ws, gather_data(&ws->kept), gather_len(&ws->kept), chunk->type);
    gather_clear(&ws->kept);
}

/* Whoever else is served by this loop waits meanwhile; and what a subscription begins with is kept. */
static bool
has_enough(const struct subscriber *subscriber)
{
    return subscriber->walked >= BACKLOG_WORK || subscriber->n_backlogs == SUBSCRIBER_BACKLOGS_MAX;
}

static void
hold(struct ws_subscriber *ws, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    if (gather_add(&ws->held, data, len) != 0) {
        fail(ws, 1011, "out of memory");
        return;
    }
    ws->held_until = loop_now(ws->subscriber.loop) + NEXT_TURN;
}

static void
decode(struct ws_subscriber *ws, uint8_t *data, size_t len)
{
    struct subscriber *subscriber = &ws->subscriber;
    bool pinged = liveness_heard(&ws->liveness, loop_now(subscriber->loop));
    struct ws_chunk chunk;

    subscriber->walked = 0;
    while (len > 0 && !subscriber_is_over(subscriber) && !has_enough(subscriber)) {
        size_t used = ws_decode(&ws->decoder, data, len, &chunk);

        data += used;
        len -= used;
        if (chunk.len > 0 || chunk.stop == WS_STOP_MESSAGE)
            payload(ws, &chunk);
        if (!subscriber_is_over(subscriber) && chunk.stop == WS_STOP_ERROR)
            fail(ws, chunk.code, chunk.why);
        else if (!subscriber_is_over(subscriber) && chunk.stop == WS_STOP_CONTROL)
            control(ws, &chunk);
    }
    if (!subscriber_is_over(subscriber))
        hold(ws, data, len);
    if (subscriber_is_over(subscriber))
        return;
    if (ws->decoder.in_message)
        ws->liveness.message = loop_now(subscriber->loop);
    if (!wants_read(ws))
        stream_want_read(subscriber->stream, false);
    if (len > 0 || pinged || ws->decoder.in_message || stream_pending(subscriber->stream) > 0)
        subscriber_tell_due(subscriber);
}

static void
look_at_held(struct ws_subscriber *ws)
{
    struct subscriber *subscriber = &ws->subscriber;
    struct gather held = ws->held;

    if (gather_len(&held) == 0 || loop_now(subscriber->loop) < ws->held_until)
        return;
    if (subscriber->n_backlogs == SUBSCRIBER_BACKLOGS_MAX) {
        ws->held_until = loop_now(subscriber->loop) + BEGINNING;
        return;
    }
    ws->held = (struct gather){0};
    decode(ws, gather_data(&held), gather_len(&held));
    gather_clear(&held);
    if (!subscriber_is_over(subscriber) && wants_read(ws))
        stream_want_read(subscriber->stream, true);
}

static void
on_readable(struct stream_owner *owner)
{
    struct subscriber *subscriber = container_of(owner, struct subscriber, stream_owner);
    uint8_t *scratch = loop_scratch(subscriber->loop);
    ssize_t n = stream_read(subscriber->stream, scratch, LOOP_SCRATCH);

    if (n > 0)
        decode(from(subscriber), scratch, (size_t)n);
    else if (n != STREAM_AGAIN)
        end(from(subscriber), ENDER_CLIENT, 0,
            n == STREAM_END ? "connection closed without a close frame"
                            : stream_why(subscriber->stream));
}

static void
on_progress(struct stream_owner *owner)
{
    subscriber_progress(container_of(owner, struct subscriber, stream_owner));
}

/* ---- making one ---- */

/* What came before the 101. */
static void
decode_early(struct ws_subscriber *ws, const struct exchange_taken *taken)
{
    struct subscriber *subscriber = &ws->subscriber;
    uint8_t *scratch = loop_scratch(subscriber->loop);
    size_t done = 0;

    while (done < taken->early_len && !subscriber_is_over(subscriber)) {
        size_t n = taken->early_len - done < LOOP_SCRATCH ? taken->early_len - done : LOOP_SCRATCH;

        memcpy(scratch, taken->early + done, n);
        done += n;
        if (gather_len(&ws->held) == 0)
            decode(ws, scratch, n);
        else
            hold(ws, scratch, n);
    }
    if (taken->ended && !subscriber_is_over(subscriber))
        end(ws, ENDER_CLIENT, 0, "connection closed without a close frame");
}

static struct ws_subscriber *
make(const struct subscriber_options *options)
{
    static const struct stream_events events = {on_readable, on_progress};
    static const struct subscriber_kind kind = {METRICS_WEBSOCKET, op_event, op_cursor, op_goodbye,
                                                op_progress,       op_look,  op_free};
    struct ws_subscriber *ws = calloc(1, sizeof *ws);
    bool raw = options->route->payload == CONF_PAYLOAD_RAW;

    if (ws == NULL)
        return NULL;
    ws->subscriber.stream_owner.events = &events;
    ws->subscriber.events = !raw;
    ws->subscriber.form = raw ? TOPIC_FORM_FRAME_RAW : TOPIC_FORM_FRAME;
    ws->subscriber.form_retained = raw ? TOPIC_FORM_FRAME_RAW : TOPIC_FORM_FRAME_RETAINED;
    ws_decoder_init(&ws->decoder, WS_FROM_CLIENT, options->route->message_max, true);
    talk_init(&ws->talk, on_room);
    subscriber_init(&ws->subscriber, &kind, options);
    ws->liveness.heard = ws->liveness.message = loop_now(ws->subscriber.loop);
    return ws;
}

struct subscriber *
subscriber_websocket_open(const struct subscriber_options *options)
{
    struct ws_subscriber *ws = make(options);
    struct subscriber *subscriber = &ws->subscriber;
    struct exchange_taken taken;

    if (ws == NULL || subscriber_subscribe(subscriber, options->filters, options->n_filters,
                                           options->since) != NULL) {
        exchange_lacks_memory(options->exchange);
        if (ws != NULL)
            subscriber_discard(subscriber);
        return NULL;
    }
    exchange_take(options->exchange, &subscriber->stream_owner, &taken);
    subscriber->stream = taken.stream;
    ws_control_accept(subscriber->stream, options->handshake, options->digest);
    stream_want_read(subscriber->stream, true);
    subscriber_begin(subscriber);
    if (!subscriber_is_over(subscriber))
        decode_early(ws, &taken);
    free(taken.early);
    return subscriber;
}
