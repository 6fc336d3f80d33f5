/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/carrier_poll.h"

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

enum {
    SMALL_MAX = 4096, /* bytes of a body that is sent with its head */
};

/* What an answer holds. Messages stay, whoever acknowledges them meanwhile. */
struct batch {
    struct blob **blobs; /* ours; NULL if there are none */
    size_t n;
    size_t at;      /* the next to be written */
    uint64_t first; /* number of blobs[0] */
    size_t len;     /* of the whole body */
    uint8_t before[SESSION_BODY_CONTROL_MAX], after[SESSION_BODY_CONTROL_MAX]; /* ACK; CLOSE */
    size_t before_len, after_len;
};

struct poll_carrier {
    struct carrier carrier;
    struct exchange_owner owner;
    struct exchange *exchange; /* NULL: over */
    struct loop *loop;
    const char *headers;
    double wait_by;
    bool tells_again; /* the last ACK may have been lost with its answer */
    bool answering;
    struct batch batch;
    struct loop_deferred free_later;
};

static struct poll_carrier *
from_carrier(struct carrier *carrier)
{
    return container_of(carrier, struct poll_carrier, carrier);
}

static void
free_carrier(struct loop_deferred *deferred)
{
    struct poll_carrier *poll = container_of(deferred, struct poll_carrier, free_later);

    for (size_t i = 0; i < poll->batch.n; i++)
        blob_unref(poll->batch.blobs[i]);
    free(poll->batch.blobs);
    free(poll);
}

static void
release(struct poll_carrier *poll)
{
    poll->exchange = NULL;
    loop_defer(poll->loop, &poll->free_later, free_carrier);
}

static void
let_go(struct poll_carrier *poll)
{
    if (poll->carrier.session != NULL)
        session_lost(poll->carrier.session, &poll->carrier);
}

/* The whole answer, in one piece. */
static void
answer_small(struct poll_carrier *poll, int status, const void *body, size_t len)
{
    struct exchange *exchange = poll->exchange;
    char lines[512];

    snprintf(lines, sizeof lines, "%s%s", len > 0 ? "Content-Type: " SESSION_MEDIA_TYPE "\r\n" : "",
             poll->headers);
    release(poll);
    exchange_answer(exchange, status, lines, body, len);
}

/* ---- batches ---- */

/* Writes the length and the header of a message before its bytes. Returns how much that is. */
static size_t
put_before(struct blob *blob, uint64_t seq)
{
    size_t header = session_frame_before(blob->data, (enum session_frame_type)blob->tag, seq);
    size_t n = varint_len(header + blob->len);

    varint_encode(blob->data - header - n, header + blob->len);
    return n + header;
}

_Static_assert((int)BLOB_HEADROOM >= (int)VARINT_MAX + (int)SESSION_HEADER_MAX,
               "a length and a header go before a message");

/* Returns -1 without memory. */
static int
collect(struct poll_carrier *poll)
{
    struct batch *batch = &poll->batch;
    struct session *session = poll->carrier.session;
    size_t n = session_n_next(session, &poll->carrier);
    uint64_t seq;

    if (n == 0)
        return 0;
    batch->blobs = malloc(n * sizeof(struct blob *));
    if (batch->blobs == NULL)
        return -1;
    batch->first = poll->carrier.next;
    for (batch->n = 0; batch->n < n; batch->n++) {
        struct blob *blob = blob_ref(session_next(session, &poll->carrier, &seq));

        batch->blobs[batch->n] = blob;
        batch->len += put_before(blob, seq) + blob->len;
    }
    return 0;
}

static void
put_ack(struct poll_carrier *poll)
{
    struct session *session = poll->carrier.session;
    bool again = poll->tells_again;

    if (!session_has_ack(session) && !again)
        return;
    poll->batch.before_len = session_body_ack(poll->batch.before, session_tell_ack(session));
    if (!again)
        session_doubt_ack(session, exchange_number(poll->exchange));
    poll->batch.len += poll->batch.before_len;
}

static void
put_close(struct poll_carrier *poll, uint16_t code, const char *reason)
{
    poll->batch.after_len = session_body_close(poll->batch.after, code, reason);
    poll->batch.len += poll->batch.after_len;
}

/* ---- answers ---- */

static void
write_small(struct poll_carrier *poll)
{
    struct batch *batch = &poll->batch;
    uint8_t body[SMALL_MAX];
    uint8_t *at = mempcpy(body, batch->before, batch->before_len);

    for (size_t i = 0; i < batch->n; i++) {
        size_t before = put_before(batch->blobs[i], batch->first + i);

        at = mempcpy(at, batch->blobs[i]->data - before, before + batch->blobs[i]->len);
    }
    memcpy(at, batch->after, batch->after_len);
    let_go(poll);
    answer_small(poll, 200, body, batch->len);
}

/* As the socket takes it. */
static void
write_on(struct poll_carrier *poll)
{
    struct batch *batch = &poll->batch;
    struct exchange *exchange = poll->exchange;

    while (batch->at < batch->n && exchange_pending(exchange) < HTTP_ANSWER_HIGH) {
        struct blob *blob = batch->blobs[batch->at];
        size_t before = put_before(blob, batch->first + batch->at++);

        exchange_write(exchange, blob->data - before, before + blob->len);
    }
    if (batch->at < batch->n && !exchange_is_lost(exchange))
        return;
    exchange_write(exchange, batch->after, batch->after_len);
    let_go(poll);
    release(poll);
    exchange_end(exchange);
}

static void
answer(struct poll_carrier *poll)
{
    char lines[512];

    poll->answering = true;
    if (poll->batch.len <= SMALL_MAX) {
        write_small(poll);
        return;
    }
    snprintf(lines, sizeof lines, "Content-Type: " SESSION_MEDIA_TYPE "\r\n%s", poll->headers);
    exchange_begin(poll->exchange, 200, lines, (int64_t)poll->batch.len);
    exchange_write(poll->exchange, poll->batch.before, poll->batch.before_len);
    write_on(poll);
}

/* With all that there is now. */
static void
answer_now(struct poll_carrier *poll)
{
    const char *reason;
    uint16_t code;

    put_ack(poll);
    if (collect(poll) != 0) {
        log_error(loop_log(poll->loop), "session", "out of memory");
        let_go(poll);
        answer_small(poll, 503, NULL, 0);
        return;
    }
    if (session_close_is_due(poll->carrier.session, &poll->carrier, &code, &reason))
        put_close(poll, code, reason);
    answer(poll);
}

/* ---- for the session ---- */

static void
op_pump(struct carrier *carrier)
{
    struct poll_carrier *poll = from_carrier(carrier);
    const char *reason;
    uint16_t code;

    if (!poll->answering && (session_has_next(carrier->session, carrier) ||
                             session_close_is_due(carrier->session, carrier, &code, &reason)))
        answer_now(poll);
}

static void
op_ack(struct carrier *carrier)
{
    if (!from_carrier(carrier)->answering)
        answer_now(from_carrier(carrier));
}

static void
op_end(struct carrier *carrier, enum carrier_end how, uint16_t code, const char *reason)
{
    struct poll_carrier *poll = from_carrier(carrier);
    struct exchange *exchange = poll->exchange;
    static const char detached[] = "detached\n";

    if (!poll->answering && (how == CARRIER_OVER || how == CARRIER_FAILED)) {
        put_ack(poll);
        put_close(poll, code, reason);
        carrier->session = NULL;
        answer(poll);
        return;
    }
    carrier->session = NULL;
    release(poll);
    if (exchange_pending(exchange) > 0 || poll->answering)
        exchange_break(exchange); /* it does not take what it was given, and needs it no more */
    else
        exchange_answer(exchange, how == CARRIER_DETACHED ? 409 : 503, poll->headers, detached,
                        how == CARRIER_DETACHED ? sizeof detached - 1 : 0);
}

static double
op_look(struct carrier *carrier)
{
    struct poll_carrier *poll = from_carrier(carrier);

    if (poll->answering)
        return 0;
    if (loop_now(poll->loop) + 0.001 < poll->wait_by)
        return poll->wait_by;
    if (session_has_ack(carrier->session)) {
        answer_now(poll);
        return 0;
    }
    let_go(poll);
    answer_small(poll, 204, NULL, 0);
    return 0;
}

/* ---- from the client ---- */

static void
on_progress(struct exchange_owner *owner)
{
    struct poll_carrier *poll = container_of(owner, struct poll_carrier, owner);

    if (poll->answering)
        write_on(poll);
}

static void
on_gone(struct exchange_owner *owner)
{
    struct poll_carrier *poll = container_of(owner, struct poll_carrier, owner);

    release(poll);
    let_go(poll);
}

/* ---- making one ---- */

int
carrier_poll_open(const struct carrier_poll_options *options)
{
    static const struct carrier_ops ops = {op_pump, op_ack, op_end, op_look};
    static const struct exchange_events events = {.progress = on_progress, .gone = on_gone};
    struct poll_carrier *poll = calloc(1, sizeof *poll);
    enum session_attached attached;

    if (poll == NULL) {
        log_error(loop_log(exchange_loop(options->exchange)), "session", "out of memory");
        return -1;
    }
    poll->carrier.ops = &ops;
    poll->carrier.transport = METRICS_LONGPOLL;
    poll->owner.events = &events;
    poll->exchange = options->exchange;
    poll->loop = exchange_loop(options->exchange);
    poll->headers = options->headers;
    poll->wait_by = loop_now(poll->loop) + options->wait;
    attached = session_attach(options->session, &poll->carrier, options->attach);
    if (attached != SESSION_ATTACHED) {
        free(poll);
        return (int)attached;
    }
    exchange_set_owner(poll->exchange, &poll->owner);
    exchange_expect_talk(poll->exchange, true);
    poll->tells_again = session_ack_is_in_doubt(options->session, exchange_number(poll->exchange));
    if (poll->tells_again) {
        answer_now(poll);
        return SESSION_ATTACHED;
    }
    session_due(options->session, poll->wait_by);
    op_pump(&poll->carrier);
    /* What was consumed while nobody was there to be told does not wait for more. */
    if (!poll->answering && session_has_ack(options->session))
        answer_now(poll);
    return SESSION_ATTACHED;
}
