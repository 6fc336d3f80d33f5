/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoint: what the bridge asks of a session, and how it ends. */
#include "client/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "base/log.h"
#include "client/session_state.h"
#include "conf/conf.h"
#include "event/timer.h"
#include "proto/session_frame.h"

#define FIRST_WAIT 10.0 /* seconds for the first attach after an opening by POST */

enum {
    MESSAGE_MAX = 32768, /* bytes of a message that a stream of bytes is cut into */
};

static struct session *
from_endpoint(const struct endpoint *endpoint)
{
    return container_of((struct endpoint *)(uintptr_t)endpoint, struct session, endpoint);
}

/* ---- counting ---- */

static void
note_parked(struct session *session, bool parked)
{
    struct metrics_sessions *metrics = &session->messages.metrics->sessions;

    if (parked == session->parked)
        return;
    session->parked = parked;
    metrics_add(parked ? &metrics->parked : &metrics->unparked, 1);
}

/* ---- ending ---- */

static void
free_session(struct loop_deferred *deferred)
{
    struct session *session = container_of(deferred, struct session, free_later);

    replay_deinit(&session->replay);
    intake_deinit(&session->intake);
    messages_deinit(&session->messages);
    gather_clear(&session->parts);
    free(session->origin);
    free(session->protocol);
    free(session->reason);
    free(session);
}

static void
release(struct session *session, const struct sessions_end *end, enum carrier_end how,
        const char *reason)
{
    struct carrier *carrier = session->carrier;

    session->state = SESSION_STATE_OVER;
    session->carrier = NULL;
    note_parked(session, false);
    metrics_add(&session->messages.metrics->sessions.ended, 1);
    sessions_remove(session->sessions, &session->member, session_conf(session)->name, end,
                    session_conf(session)->resume_window);
    if (carrier != NULL)
        carrier->ops->end(carrier, how, end->code, reason);
    while (!list_empty(&session->requests)) {
        struct session_request *request =
            container_of(session->requests.next, struct session_request, link);

        list_remove(&request->link);
        request->session = NULL;
        request->end = *end;
    }
    loop_defer(session->loop, &session->free_later, free_session);
}

static void
end(struct session *session, enum ender by, uint16_t code, const char *reason, enum carrier_end how)
{
    struct endpoint *endpoint = &session->endpoint;
    struct ending ending = {by, code, reason};
    struct sessions_end how_it_was = {.code = code, .gone = code == 1006};

    session_hold(session, false); /* what the target has taken is what is remembered */
    how_it_was.consumed = session->intake.consumed;
    how_it_was.last = session->replay.last;
    if (session->state == SESSION_STATE_CLOSING && by == ENDER_CLIENT && code != 1006)
        how_it_was.code = session->code; /* what was told is what is remembered */
    release(session, &how_it_was, how, reason);
    if (!session->told_ended)
        endpoint->events->ended(endpoint, &ending);
    endpoint->events->gone(endpoint);
}

void
session_close(struct session *session, uint16_t code, const char *reason)
{
    end(session, ENDER_CLIENT, code, reason, CARRIER_OVER);
}

void
session_fail(struct session *session, uint16_t code, const char *reason)
{
    end(session, ENDER_CULVERT, code, reason, CARRIER_FAILED);
}

/* ---- waiting ---- */

void
session_due(struct session *session, double due)
{
    if (session->endpoint.events != NULL)
        session->endpoint.events->due(&session->endpoint, due);
}

void
session_look_whether_parked(struct session *session)
{
    bool parked = session->carrier == NULL && list_empty(&session->requests);

    session->park_by = 0;
    note_parked(session, parked);
    if (!parked)
        return;
    session->park_by = loop_now(session->loop) + session_conf(session)->resume_window;
    session_due(session, session->park_by);
}

static bool
is_due(const struct session *session, double due)
{
    return due != 0 && due <= loop_now(session->loop) + 0.001;
}

static double
op_look(struct endpoint *endpoint)
{
    struct session *session = from_endpoint(endpoint);
    double due = 0;

    if (session->state == SESSION_STATE_OVER)
        return 0;
    if (is_due(session, session->park_by)) {
        metrics_add(&session->messages.metrics->sessions.expired, 1);
        end(session, ENDER_CLIENT, 1006, "did not come back", CARRIER_DROPPED);
        return 0;
    }
    if (is_due(session, session->ack_by)) {
        session->ack_by = 0;
        if (session->carrier != NULL && intake_is_untold(&session->intake))
            session->carrier->ops->ack(session->carrier);
    }
    if (session->carrier != NULL)
        due = session->carrier->ops->look(session->carrier);
    if (session->state == SESSION_STATE_OVER)
        return 0;
    return timer_sooner(due, timer_sooner(session->ack_by, session->park_by));
}

/* ---- to the client ---- */

void
session_pump(struct session *session)
{
    if (session->carrier != NULL)
        session->carrier->ops->pump(session->carrier);
}

static void
add_message(struct session *session, const void *data, size_t len, bool text)
{
    struct blob *blob = blob_new(data, len, text ? SESSION_TEXT : SESSION_BINARY);

    if (blob != NULL && replay_add(&session->replay, blob) == 0) {
        messages_count_out(&session->messages, len, 1);
        return;
    }
    blob_unref(blob);
    log_error(loop_log(session->loop), "session", "out of memory");
    session_fail(session, 1011, "out of memory");
}

static void
put(struct messages *messages, uint8_t *data, size_t len, enum ws_opcode opcode, bool fin)
{
    struct session *session = container_of(messages, struct session, messages);
    bool text = opcode != WS_BINARY; /* only text is put in parts */

    if (session->state == SESSION_STATE_OVER)
        return;
    if (fin && gather_len(&session->parts) == 0) {
        add_message(session, data, len, text);
        return;
    }
    if (gather_add(&session->parts, data, len) != 0) {
        session_fail(session, 1011, "out of memory");
        return;
    }
    if (!fin)
        return;
    add_message(session, gather_data(&session->parts), gather_len(&session->parts), text);
    gather_clear(&session->parts);
}

/* How much of a target's stream goes into one message; what a unit holds is one message. */
static size_t
cut_at(const struct session *session, size_t len)
{
    const struct conf_route *route = session_conf(session);
    size_t max = route->buffer / 4 < MESSAGE_MAX ? route->buffer / 4 : MESSAGE_MAX;

    if (route->framing != CONF_FRAMING_NONE)
        return len;
    if (route->messages == CONF_MESSAGES_BASE64)
        max = max / 4 * 3;
    if (route->messages == CONF_MESSAGES_TEXT)
        max -= sizeof session->messages.cut; /* what was cut before goes in front */
    return len < max ? len : max;
}

/* A window that is nearly full is full, or the target would be read by the byte. */
static size_t
kept_of(const struct session *session)
{
    size_t window = session->replay.window;
    size_t kept = session->replay.bytes;

    if (session->state == SESSION_STATE_OVER)
        return 0;
    return kept > window - window / 8 && kept < window ? window : kept;
}

/* As the bridge stops the target, and lets it go on. */
void
session_note_kept(struct session *session)
{
    size_t kept = kept_of(session);

    if (kept >= session->replay.window)
        session->full = true;
    else if (kept <= session->replay.window / 2)
        session->full = false;
}

static void
op_send(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags)
{
    struct session *session = from_endpoint(endpoint);
    struct messages_fault fault = {0};

    (void)flags; /* a target's bytes have the type that the route gives them */
    if (session->state != SESSION_STATE_OPEN)
        return;
    do {
        size_t n = cut_at(session, len);

        messages_to_client(&session->messages, put, data, n, &fault);
        data += n;
        len -= n;
    } while (len > 0 && fault.code == 0 && session->state == SESSION_STATE_OPEN);
    if (fault.code != 0 && session->state == SESSION_STATE_OPEN)
        session_fail(session, fault.code, fault.why);
    if (session->state == SESSION_STATE_OPEN) {
        session_note_kept(session);
        session_pump(session);
    }
}

static size_t
op_pending(const struct endpoint *endpoint)
{
    return kept_of(from_endpoint(endpoint));
}

static void
op_finish(struct endpoint *endpoint, const struct ending *ending)
{
    struct session *session = from_endpoint(endpoint);
    struct messages_fault fault = {0};
    char retry[32];

    if (session->state != SESSION_STATE_OPEN)
        return;
    if (ending->by == ENDER_TARGET && ending->code == 1000)
        messages_end(&session->messages, &fault);
    if (fault.code != 0 || ending->code == 1008) {
        session_fail(session, fault.code != 0 ? fault.code : ending->code,
                     fault.code != 0 ? fault.why : ending->reason);
        return;
    }
    /* When we leave, they are told when to come back. */
    snprintf(retry, sizeof retry, "{\"retry\":%u}",
             arc4random_uniform((unsigned)(session_conf(session)->reconnect_spread * 1000) + 1));
    session->state = SESSION_STATE_CLOSING;
    session->code = ending->code;
    session->reason = strdup(ending->code == 1001 ? retry : ending->reason);
    session_pump(session);
    if (ending->by != ENDER_CULVERT || session->state == SESSION_STATE_OVER)
        return;
    /* By our own decision: the target gets what was received, and its end, whatever the client answers. */
    session->told_ended = true;
    endpoint->events->ended(endpoint, ending);
}

static void
op_taken(struct endpoint *endpoint)
{
    struct session *session = from_endpoint(endpoint);

    if (session->state == SESSION_STATE_OVER)
        return;
    intake_taken(&session->intake, endpoint->events->waiting(endpoint));
    session_note_consumed(session);
}

/* Its carriers are always read: the window bounds what comes. */
static void
op_resume(struct endpoint *endpoint)
{
    struct session *session = from_endpoint(endpoint);

    if (session->park_by != 0)
        session_due(session, session->park_by);
}

static void
op_close(struct endpoint *endpoint)
{
    struct session *session = from_endpoint(endpoint);
    struct sessions_end how_it_was = {.gone = true};

    if (session->state != SESSION_STATE_OVER)
        release(session, &how_it_was, CARRIER_DROPPED, "");
}

/* ---- making one ---- */

static int
copy_names(struct session *session, const struct session_options *options)
{
    session->protocol = strdup(options->protocol);
    session->origin = strdup(options->origin);
    return session->protocol != NULL && session->origin != NULL ? 0 : -1;
}

struct session *
session_new(const struct session_options *options)
{
    static const struct endpoint_ops ops = {
        .send = op_send,
        .pending = op_pending,
        .resume = op_resume,
        .finish = op_finish,
        .close = op_close,
        .look = op_look,
        .taken = op_taken,
    };
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL || copy_names(session, options) != 0) {
        log_error(loop_log(options->loop), "session", "out of memory");
        goto fail;
    }
    session->endpoint.ops = &ops;
    session->loop = options->loop;
    session->sessions = options->sessions;
    session->number = options->number;
    session->bare = true;
    session->replay.window = session->intake.window = options->route->buffer;
    session->park_by = loop_now(options->loop) + FIRST_WAIT;
    list_init(&session->requests);
    messages_init(&session->messages, options->route, options->metrics);
    if (sessions_add(options->sessions, &session->member) == 0) {
        metrics_add(&options->metrics->sessions.opened, 1);
        return session;
    }
fail:
    if (session != NULL) {
        free(session->origin);
        free(session->protocol);
    }
    free(session);
    return NULL;
}
