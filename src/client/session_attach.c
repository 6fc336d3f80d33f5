/* SPDX-License-Identifier: BSD-2-Clause */
/* A session's carriers and requests: who comes and goes, and what they are to send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "client/session_state.h"
#include "conf/conf.h"
#include "event/loop.h"

/* ---- what is to be told ---- */

struct blob *
session_next(struct session *session, struct carrier *carrier, uint64_t *seq)
{
    if (!session_has_next(session, carrier))
        return NULL;
    *seq = carrier->next++;
    if (*seq > session->sent)
        session->sent = *seq;
    return replay_get(&session->replay, *seq);
}

size_t
session_n_next(const struct session *session, const struct carrier *carrier)
{
    return session_has_next(session, carrier)
               ? (size_t)(session->replay.allowed - carrier->next + 1)
               : 0;
}

bool
session_has_next(const struct session *session, const struct carrier *carrier)
{
    return carrier->next <= session->replay.allowed;
}

bool
session_close_is_due(struct session *session, const struct carrier *carrier, uint16_t *code,
                     const char **reason)
{
    if (session->state != SESSION_STATE_CLOSING || carrier->told_close ||
        carrier->next <= session->replay.last)
        return false;
    session->told_close = true; /* as it is asked for in order to be told */
    *code = session->code;
    *reason = session->reason != NULL ? session->reason : "";
    return true;
}

bool
session_is_bare(const struct session *session)
{
    return session->bare;
}

bool
session_is_stuck_bare(const struct session *session, const struct carrier *carrier)
{
    return session->bare && session->full && !session_has_next(session, carrier);
}

static void
tell_drained(struct loop_deferred *deferred)
{
    struct session *session = container_of(deferred, struct session, drained_later);

    session->draining = false;
    if (session->state != SESSION_STATE_OVER)
        session->endpoint.events->drained(&session->endpoint);
}

/* There is room for the target again: later, as what it then sends may end the session, and whoever
 * acknowledges is in the middle of something. */
void
session_acknowledge(struct session *session, uint64_t seq)
{
    if (seq <= session->replay.acked)
        return;
    replay_ack(&session->replay, seq);
    session_note_kept(session);
    if (session->carrier != NULL && session->carrier->next <= seq)
        session->carrier->next = seq + 1;
    if (session->draining)
        return;
    session->draining = true;
    loop_defer(session->loop, &session->drained_later, tell_drained);
}

bool
session_has_ack(const struct session *session)
{
    return intake_is_untold(&session->intake);
}

uint64_t
session_tell_ack(struct session *session)
{
    session->ack_by = 0;
    session->doubts_ack = false;
    return intake_tell(&session->intake);
}

void
session_doubt_ack(struct session *session, uint64_t number)
{
    session->doubts_ack = true;
    session->told_on = number;
}

bool
session_ack_is_in_doubt(struct session *session, uint64_t number)
{
    bool doubts = session->doubts_ack && session->told_on != number;

    session->doubts_ack = false;
    return doubts;
}

/* ---- carriers and requests ---- */

static void
detach(struct session *session)
{
    struct carrier *carrier = session->carrier;

    session->carrier = NULL;
    session->ack_by = 0;
    carrier->ops->end(carrier, CARRIER_DETACHED, 4409, "detached");
}

static enum session_attached
check_attach(const struct session *session, const struct session_attach *attach)
{
    if ((attach->has_n && attach->n < session->attach_n) ||
        (attach->has_ack && attach->ack < session->replay.acked))
        return SESSION_STALE;
    return attach->has_ack && attach->ack > session->sent ? SESSION_UNSENT : SESSION_ATTACHED;
}

enum session_attached
session_attach(struct session *session, struct carrier *carrier,
               const struct session_attach *attach)
{
    enum session_attached result = check_attach(session, attach);

    if (result != SESSION_ATTACHED)
        return result;
    if (session->carrier != NULL)
        detach(session);
    if (attach->has_n)
        session->attach_n = attach->n;
    if (attach->explicit_ack)
        session->bare = false;
    if (attach->has_ack)
        session_acknowledge(session, attach->ack);
    if (session->attached && (session->parked || session->messages.transport != carrier->transport))
        metrics_add(&session->messages.metrics->sessions.resumed, 1);
    session->attached = true;
    carrier->session = session;
    carrier->next = session->replay.acked + 1;
    carrier->told_close = false;
    session->carrier = carrier;
    session->messages.transport = carrier->transport;
    session_look_whether_parked(session);
    return SESSION_ATTACHED;
}

bool
session_is_answered_by(const struct session *session, const struct session_attach *attach)
{
    return session->state == SESSION_STATE_CLOSING && session->told_close && attach->has_ack &&
           attach->ack == session->replay.last;
}

void
session_lost(struct session *session, struct carrier *carrier)
{
    carrier->session = NULL;
    if (session->carrier != carrier)
        return;
    session->carrier = NULL;
    session->ack_by = 0;
    session_look_whether_parked(session);
}

static void
forget(struct session *session, struct session_request *request)
{
    request->session = NULL;
    list_remove(&request->link);
    session->n_requests--;
}

void
session_enter(struct session *session, struct session_request *request)
{
    struct session_request *silent =
        container_of(session->requests.next, struct session_request, link);

    request->session = session;
    session->bare = false;
    if (session->n_requests == SESSION_REQUESTS_MAX) {
        forget(session, silent);
        silent->replaced(silent);
    }
    list_add(&session->requests, &request->link);
    session->n_requests++;
    session_look_whether_parked(session);
}

void
session_go_on(struct session_request *request)
{
    if (request->session == NULL)
        return;
    list_remove(&request->link);
    list_add(&request->session->requests, &request->link);
}

void
session_leave(struct session_request *request)
{
    struct session *session = request->session;

    if (session == NULL)
        return;
    forget(session, request);
    session_look_whether_parked(session);
}

/* ---- what it is ---- */

struct endpoint *
session_endpoint(struct session *session)
{
    return &session->endpoint;
}

struct session *
session_find(const struct sessions *sessions, const char *id)
{
    struct sessions_member *member = sessions_find(sessions, id);

    return member != NULL ? container_of(member, struct session, member) : NULL;
}

const char *
session_name(const struct session *session, char out[LOOP_NAME])
{
    return loop_connection_name(session->loop, session->number, out);
}

const char *
session_id(const struct session *session)
{
    return session->member.id;
}

const struct conf_route *
session_route_of(const struct session *session)
{
    return session_conf(session);
}

bool
session_is_for(struct session *session, struct span origin)
{
    /* A page opens by GET without an Origin, and names it when it posts; the route's policy has let it. */
    if (origin.at != NULL && session->origin[0] == '\0') {
        char *first = strndup(origin.at, origin.len);

        if (first == NULL)
            return false;
        free(session->origin);
        session->origin = first;
    }
    return origin.at == NULL || span_is(origin, session->origin);
}

static void
list_transports(unsigned transports, char *out)
{
    static const char *const names[] = {"websocket", "sse", "longpoll"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((transports & 1U << i) != 0)
            out += sprintf(out, "%s\"%s\"", out[-1] == '[' ? "" : ",", names[i]);
    strcpy(out, "]}");
}

static unsigned long
milliseconds(double seconds)
{
    return (unsigned long)(seconds * 1000 + 0.5);
}

size_t
session_open_text(struct session *session, double heartbeat, char out[SESSION_OPEN_MAX])
{
    const struct conf_route *route = session_conf(session);
    int n = snprintf(out, SESSION_OPEN_MAX - 64,
                     "{\"session\":\"%s\",\"ack\":%llu,\"window\":%zu,\"resume\":%lu,"
                     "\"heartbeat\":%lu,\"poll\":%lu,\"spread\":%lu,\"message_max\":%zu,"
                     "\"protocol\":\"%s\",\"transports\":[",
                     session->member.id, (unsigned long long)session_tell_ack(session),
                     route->buffer, milliseconds(route->resume_window), milliseconds(heartbeat),
                     milliseconds(route->poll_wait), milliseconds(route->reconnect_spread),
                     route->message_max, session->protocol);

    list_transports(route->transports, out + n);
    return strlen(out);
}
