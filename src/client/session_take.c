/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes from a session's client. */
#include <string.h>

#include "client/session_state.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "proto/session_frame.h"
#include "proto/utf8.h"

#define ACK_WAIT 0.08 /* seconds that an ACK may wait for more; the client is promised 0.1 */

void
session_note_consumed(struct session *session)
{
    if (session->carrier == NULL || !intake_is_untold(&session->intake))
        return;
    if (intake_is_urgent(&session->intake)) {
        session->carrier->ops->ack(session->carrier);
    } else if (session->ack_by == 0) {
        session->ack_by = loop_now(session->loop) + ACK_WAIT;
        session_due(session, session->ack_by);
    }
}

/* How many bytes a message is at the target. */
static size_t
framed_len(const struct conf_route *route, const uint8_t *data, size_t len)
{
    switch (route->framing) {
    case CONF_FRAMING_LINE:
        return len + (len == 0 || data[len - 1] != '\n');
    case CONF_FRAMING_LENGTH16:
        return len + 2;
    case CONF_FRAMING_LENGTH32:
        return len + 4;
    case CONF_FRAMING_NONE:
        break;
    }
    return len;
}

static bool
deliver(struct session *session, const struct session_frame *frame, size_t *sent,
        struct messages_fault *fault)
{
    struct ws_chunk chunk = {
        .data = frame->data,
        .len = frame->len,
        .n_messages = 1,
        .type = frame->type == SESSION_TEXT ? WS_TEXT : WS_BINARY,
        .stop = WS_STOP_MESSAGE,
    };
    uint8_t *data;
    size_t len;

    *sent = 0;
    messages_count_in(&session->messages, &chunk);
    if (messages_from_client(&session->messages, &chunk, &data, &len, fault)) {
        *sent = framed_len(session_conf(session), data, len);
        session->endpoint.events->deliver(&session->endpoint, data, len,
                                          frame->type == SESSION_TEXT ? ENDPOINT_TEXT : 0);
        messages_sent(&session->messages);
    }
    return fault->code == 0;
}

/* After messages: what of them has the target taken by now? */
static void
settle(struct session *session)
{
    struct endpoint *endpoint = &session->endpoint;

    intake_taken(&session->intake, endpoint->events->waiting(endpoint));
    session_note_consumed(session);
}

static enum session_verdict
take_message(struct session *session, const struct session_frame *frame, const char **why)
{
    struct endpoint *endpoint = &session->endpoint;
    struct messages_fault fault = {0};
    size_t sent;

    if (frame->len > session_conf(session)->message_max)
        return SESSION_TOO_LONG;
    if (frame->type == SESSION_TEXT && !utf8_valid(frame->data, frame->len))
        return SESSION_NO_TEXT;
    if (!session->holds)
        session->nobody = endpoint->events->waiting(endpoint) == SIZE_MAX;
    if (session->nobody)
        return SESSION_TAKEN; /* nobody is left to take it, and it is not acknowledged */
    switch (intake_judge(&session->intake, frame->seq, frame->len)) {
    case INTAKE_REPEATED:
        return SESSION_TAKEN;
    case INTAKE_GAP:
        return SESSION_GAP;
    case INTAKE_OVERRUN:
        return SESSION_OVERRUN;
    case INTAKE_NEXT:
        break;
    }
    if (!deliver(session, frame, &sent, &fault)) {
        *why = fault.why;
        session_fail(session, fault.code, fault.why);
        return SESSION_ENDED;
    }
    if (session->state == SESSION_STATE_OVER) /* by what an answer of the target's was */
        return SESSION_ENDED;
    intake_add(&session->intake, frame->len, sent);
    if (!session->holds)
        settle(session);
    return SESSION_TAKEN;
}

void
session_hold(struct session *session, bool on)
{
    struct endpoint *endpoint = &session->endpoint;

    if (session->holds == on)
        return;
    session->holds = on;
    endpoint->events->hold(endpoint, on);
    if (on)
        session->nobody = endpoint->events->waiting(endpoint) == SIZE_MAX;
    else if (session->state != SESSION_STATE_OVER)
        settle(session);
}

static enum session_verdict
take_ack(struct session *session, uint64_t seq, const char **why)
{
    if (seq > session->sent) {
        *why = "an ACK of a message that was not sent";
        return SESSION_FAULT;
    }
    session->bare = false;
    session_acknowledge(session, seq);
    session_pump(session);
    return session->state == SESSION_STATE_OVER ? SESSION_ENDED : SESSION_TAKEN;
}

enum session_verdict
session_take(struct session *session, struct session_frame *frame, const char **why)
{
    char reason[SESSION_REASON_MAX + 1];

    switch (frame->type) {
    case SESSION_BINARY:
    case SESSION_TEXT:
        return take_message(session, frame, why);
    case SESSION_ACK:
        return take_ack(session, frame->seq, why);
    case SESSION_CLOSE:
        memcpy(reason, frame->data, frame->len);
        reason[frame->len] = '\0';
        session_close(session, frame->code, reason);
        return SESSION_ENDED;
    default:
        return SESSION_TAKEN;
    }
}
