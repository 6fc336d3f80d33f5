/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/carrier_sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/http.h"
#include "client/session.h"
#include "event/loop.h"
#include "proto/session_frame.h"
#include "proto/sse.h"

enum {
    PENDING_MAX = HTTP_ANSWER_HIGH,
    ACK_PENDING_MAX = 2 * PENDING_MAX, /* more than messages alone may come to */
    STACK_MAX = 4096,                  /* bytes of an event that needs no memory of its own */
    ID_MAX = SESSIONS_ID_LEN + 24,
    EVENT_MAX = SESSION_OPEN_MAX + 64, /* bytes of an event that is no message */
    CLOSE_MAX = 6 * SESSION_REASON_MAX + 64,
};

struct sse_carrier {
    struct carrier carrier;
    struct exchange_owner owner;
    struct exchange *exchange; /* NULL: over */
    struct loop *loop;
    double heartbeat;
    double heard; /* when the client was last sent anything */
    struct loop_deferred free_later;
};

static struct sse_carrier *
from_carrier(struct carrier *carrier)
{
    return container_of(carrier, struct sse_carrier, carrier);
}

static void
free_carrier(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct sse_carrier, free_later));
}

static void
release(struct sse_carrier *sse)
{
    sse->exchange = NULL;
    loop_defer(sse->loop, &sse->free_later, free_carrier);
}

/* ---- to the client ---- */

/* text has EXCHANGE_HEADROOM bytes before it and EXCHANGE_TAILROOM behind. */
static void
write_out(struct sse_carrier *sse, char *text, size_t len)
{
    sse->heard = loop_now(sse->loop);
    exchange_write_framed(sse->exchange, text, len);
}

static void
send_event(struct sse_carrier *sse, const char *name, const char *id, const char *data)
{
    char room[EXCHANGE_HEADROOM + EVENT_MAX + CLOSE_MAX + EXCHANGE_TAILROOM];
    char *text = room + EXCHANGE_HEADROOM;

    write_out(sse, text, sse_event(text, EVENT_MAX + CLOSE_MAX, name, id, data));
}

static void
send_retry(struct sse_carrier *sse, unsigned milliseconds)
{
    char room[EXCHANGE_HEADROOM + 32 + EXCHANGE_TAILROOM];
    char *text = room + EXCHANGE_HEADROOM;

    write_out(sse, text, (size_t)snprintf(text, 32, "retry: %u\n\n", milliseconds));
}

static void
send_close(struct sse_carrier *sse, uint16_t code, const char *reason)
{
    size_t len = strnlen(reason, SESSION_REASON_MAX);
    char data[CLOSE_MAX];
    char *at = data + sprintf(data, "{\"code\":%u,\"reason\":", code);

    at += sse_json(at, (const uint8_t *)reason, len);
    strcpy(at, "}");
    send_event(sse, "close", NULL, data);
}

/* Returns -1 without memory. */
static int
send_message(struct sse_carrier *sse, const struct blob *blob, uint64_t seq)
{
    char id[ID_MAX], stack[EXCHANGE_HEADROOM + STACK_MAX + EXCHANGE_TAILROOM];
    size_t id_len = (size_t)snprintf(id, sizeof id, "%s.%llu", session_id(sse->carrier.session),
                                     (unsigned long long)seq);
    bool text = blob->tag == SESSION_TEXT;
    size_t len = sse_message_len(id_len, blob->data, blob->len, text);
    char *room = len <= STACK_MAX ? stack : malloc(EXCHANGE_HEADROOM + len + EXCHANGE_TAILROOM);

    if (room == NULL)
        return -1;
    len = sse_message(room + EXCHANGE_HEADROOM, id, blob->data, blob->len, text);
    write_out(sse, room + EXCHANGE_HEADROOM, len);
    if (room != stack)
        free(room);
    return 0;
}

/* ---- for the session ---- */

/* The answer is complete; the client may come back. */
static void
end_answer(struct sse_carrier *sse)
{
    struct exchange *exchange = sse->exchange;

    release(sse);
    exchange_end(exchange);
}

static void
finish(struct sse_carrier *sse)
{
    session_lost(sse->carrier.session, &sse->carrier);
    end_answer(sse);
}

static void
op_pump(struct carrier *carrier)
{
    struct sse_carrier *sse = from_carrier(carrier);
    const char *reason;
    struct blob *blob;
    uint64_t seq;
    uint16_t code;

    while (exchange_pending(sse->exchange) < PENDING_MAX &&
           (blob = session_next(carrier->session, carrier, &seq)) != NULL) {
        if (send_message(sse, blob, seq) == 0)
            continue;
        log_error(loop_log(sse->loop), "session", "out of memory");
        finish(sse);
        return;
    }
    if (session_close_is_due(carrier->session, carrier, &code, &reason)) {
        send_close(sse, code, reason);
        carrier->told_close = true;
        if (session_is_bare(carrier->session)) {
            finish(sse); /* it answers by coming back */
            return;
        }
    }
    if (session_is_stuck_bare(carrier->session, carrier)) {
        send_retry(sse, 200);
        finish(sse);
    }
}

static void
op_ack(struct carrier *carrier)
{
    struct sse_carrier *sse = from_carrier(carrier);
    char data[24];

    if (exchange_pending(sse->exchange) > ACK_PENDING_MAX)
        return; /* when it has taken something */
    snprintf(data, sizeof data, "%llu", (unsigned long long)session_tell_ack(carrier->session));
    send_event(sse, "ack", NULL, data);
}

static void
break_off(struct sse_carrier *sse)
{
    struct exchange *exchange = sse->exchange;

    sse->carrier.session = NULL;
    release(sse);
    exchange_break(exchange);
}

static void
op_end(struct carrier *carrier, enum carrier_end how, uint16_t code, const char *reason)
{
    struct sse_carrier *sse = from_carrier(carrier);

    if (how == CARRIER_DETACHED && exchange_pending(sse->exchange) > 0) {
        break_off(sse); /* it does not take what it was given, and needs it no more */
        return;
    }
    if (how == CARRIER_DETACHED)
        send_event(sse, "detached", NULL, "{}");
    if (how == CARRIER_FAILED || (how == CARRIER_OVER && !carrier->told_close)) {
        if (session_has_ack(carrier->session))
            op_ack(carrier);
        send_close(sse, code, reason);
    }
    carrier->session = NULL;
    end_answer(sse);
}

static double
op_look(struct carrier *carrier)
{
    struct sse_carrier *sse = from_carrier(carrier);

    if (sse->heartbeat == 0)
        return 0;
    if (loop_now(sse->loop) + 0.001 < sse->heard + sse->heartbeat)
        return sse->heard + sse->heartbeat;
    if (exchange_pending(sse->exchange) == 0)
        send_event(sse, "ping", NULL, "{}");
    return loop_now(sse->loop) + sse->heartbeat;
}

/* ---- from the client ---- */

static void
on_progress(struct exchange_owner *owner)
{
    struct sse_carrier *sse = container_of(owner, struct sse_carrier, owner);

    op_pump(&sse->carrier);
    if (sse->exchange != NULL && session_has_ack(sse->carrier.session))
        op_ack(&sse->carrier);
}

static void
on_gone(struct exchange_owner *owner)
{
    struct sse_carrier *sse = container_of(owner, struct sse_carrier, owner);

    release(sse);
    session_lost(sse->carrier.session, &sse->carrier);
}

/* ---- making one ---- */

static void
begin(struct sse_carrier *sse, const char *headers)
{
    char text[SESSION_OPEN_MAX], id[ID_MAX], lines[512];
    const struct session *session = sse->carrier.session;

    snprintf(lines, sizeof lines, "Content-Type: text/event-stream\r\n%s", headers);
    exchange_begin(sse->exchange, 200, lines, -1);
    send_retry(sse, 1000);
    snprintf(id, sizeof id, "%s.%llu", session_id(session),
             (unsigned long long)sse->carrier.next - 1);
    session_open_text(sse->carrier.session, sse->heartbeat, text);
    send_event(sse, "open", id, text);
}

int
carrier_sse_open(const struct carrier_sse_options *options)
{
    static const struct carrier_ops ops = {op_pump, op_ack, op_end, op_look};
    static const struct exchange_events events = {.progress = on_progress, .gone = on_gone};
    struct sse_carrier *sse = calloc(1, sizeof *sse);
    enum session_attached attached;

    if (sse == NULL) {
        log_error(loop_log(exchange_loop(options->exchange)), "session", "out of memory");
        return -1;
    }
    sse->carrier.ops = &ops;
    sse->carrier.transport = METRICS_SSE;
    sse->owner.events = &events;
    sse->exchange = options->exchange;
    sse->loop = exchange_loop(options->exchange);
    sse->heartbeat = options->heartbeat;
    attached = session_attach(options->session, &sse->carrier, options->attach);
    if (attached != SESSION_ATTACHED) {
        free(sse);
        return (int)attached;
    }
    exchange_set_owner(sse->exchange, &sse->owner);
    exchange_expect_talk(sse->exchange, true);
    begin(sse, options->headers);
    session_due(options->session, op_look(&sse->carrier));
    op_pump(&sse->carrier);
    return SESSION_ATTACHED;
}
