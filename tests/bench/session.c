/* SPDX-License-Identifier: BSD-2-Clause */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

enum {
    MESSAGE_EXTRA = 32, /* what a message counts beside its bytes */
    NUMBERS = SESSION_MESSAGE_MIN,
};

#define ACK_AFTER 90000000ull /* ns; 100 ms are promised, and a tick may be late */

/* ---- what is sent and expected ---- */

/* The number of a message, from 0 on, and the client's: what the first bytes of a message are. */
static void
put_numbers(const struct session *session, uint64_t number, uint8_t out[NUMBERS])
{
    uint32_t client = session->number;

    memcpy(out, &number, sizeof number);
    memcpy(out + sizeof number, &client, sizeof client);
}

void
session_fill(struct session *session, uint8_t *out)
{
    const struct crowd *crowd = session->crowd;

    memcpy(out, crowd->block, crowd->size);
    put_numbers(session, session->sent++, out);
    if ((session->sent - session->acked) * (crowd->size + MESSAGE_EXTRA) > session->window)
        fail("the server does not acknowledge");
}

/* Of a stream of messages: they may come joined, or in pieces. */
static void
check_echo(struct session *session, const uint8_t *data, size_t len)
{
    const struct crowd *crowd = session->crowd;
    uint64_t number = session->at / crowd->size;
    size_t at = session->at % crowd->size;
    uint8_t numbers[NUMBERS];

    while (len > 0) {
        size_t end = at < NUMBERS ? NUMBERS : crowd->size;
        size_t n = len < end - at ? len : end - at;
        const uint8_t *expected = at < NUMBERS ? numbers : crowd->block;

        put_numbers(session, number, numbers);
        if (memcmp(data, expected + at, n) != 0)
            fail("a session's echo is not what was sent");
        data += n;
        len -= n;
        at = (at + n) % crowd->size;
        number += at == 0;
    }
    if (number > session->sent)
        fail("more came back than was sent");
}

/* ---- what comes ---- */

static void
settle(struct session *session)
{
    struct crowd *crowd = session->crowd;

    if (crowd->scenario == PARK) {
        session->transport->tell(session);
        session->transport->drop(session);
        session->parked = true;
        crowd->n_open++;
    } else {
        session->transport->rest(session);
    }
    crowd->n_settled++;
}

static void
echo_came(struct session *session, uint64_t count)
{
    struct crowd *crowd = session->crowd;

    if (count == 0)
        return;
    if (crowd->scenario == IDLE || crowd->scenario == PARK) {
        settle(session);
        return;
    }
    if (crowd->n_latencies < crowd->max_latencies)
        crowd->latencies[crowd->n_latencies++] = (uint32_t)(now_ns() - session->sent_at);
    crowd->units += count;
    session->sent_at = now_ns();
    session->transport->send(session, count);
}

static void
take_message(struct session *session, const struct frame *frame)
{
    struct crowd *crowd = session->crowd;
    uint64_t before = session->at / crowd->size;

    if (frame->seq != session->received + 1)
        fail("a session's messages are not in their order");
    session->received++;
    if (session->untold == 0)
        session->untold_since = now_ns();
    session->untold += frame->len + MESSAGE_EXTRA;
    if (crowd->scenario == LINES) {
        if (!lines_is((const char *)frame->data, frame->len, session->received))
            fail("a line is not the next one");
        crowd->units++;
    } else {
        check_echo(session, frame->data, frame->len);
        session->at += frame->len;
        echo_came(session, session->at / crowd->size - before);
    }
    if (session->untold >= session->window / 4 && !session->parked)
        session->transport->tell(session);
}

static void
take_ack(struct session *session, uint64_t seq)
{
    if (seq > session->sent)
        fail("the server acknowledges what was not sent");
    if (seq > session->acked)
        session->acked = seq;
}

void
session_take(struct session *session, const struct frame *frame)
{
    if (session->leaving)
        return;
    switch (frame->type) {
    case FRAME_BINARY:
    case FRAME_TEXT:
        take_message(session, frame);
        break;
    case FRAME_ACK:
        take_ack(session, frame->seq);
        break;
    case FRAME_CLOSE:
        fail("the server closes a session");
    default:
        break;
    }
}

size_t
session_ack(struct session *session, uint8_t *out)
{
    session->untold = 0;
    return frame_begin(out, FRAME_ACK, session->received);
}

void
session_tick(struct session *session, uint64_t now)
{
    if (session->untold > 0 && !session->parked && !session->leaving &&
        now > session->untold_since + ACK_AFTER)
        session->transport->tell(session);
}

/* ---- bytes that are kept ---- */

void
session_keep(struct session *session, const uint8_t *data, size_t len)
{
    if (session->kept_len + len > session->kept_size) {
        session->kept_size = 2 * (session->kept_len + len);
        session->kept = realloc(session->kept, session->kept_size);
        if (session->kept == NULL)
            fail("out of memory");
    }
    memcpy(session->kept + session->kept_len, data, len);
    session->kept_len += len;
}

void
session_used(struct session *session, size_t len)
{
    session->kept_len -= len;
    memmove(session->kept, session->kept + len, session->kept_len);
}

/* ---- beginning ---- */

int
session_prepare(struct crowd *crowd)
{
    crowd->wire.subprotocol = "culvert.v1";
    crowd->block_len = crowd->message_len = crowd->size;
    crowd->block = malloc(crowd->size);
    if (crowd->block == NULL)
        return -1;
    wire_message(WIRE_RAW, crowd->block, crowd->size);
    return 0;
}

static const char *
value_of(const char *json, const char *name)
{
    char key[32];
    const char *found;

    snprintf(key, sizeof key, "\"%s\":", name);
    found = strstr(json, key);
    if (found == NULL)
        fail("an OPEN without what it has to tell");
    return found + strlen(key);
}

void
session_opened(struct session *session, const char *json)
{
    const char *id = value_of(json, "session");

    if (sscanf(id, "\"%63[A-Za-z0-9_-]\"", session->id) != 1)
        fail("an OPEN without a session");
    session->window = strtoull(value_of(json, "window"), NULL, 10);
}

void
session_is_ready(struct session *session)
{
    struct crowd *crowd = session->crowd;

    if (crowd->scenario == PARK) {
        session_begin(session);
        return;
    }
    crowd->n_open++;
    if (crowd->started)
        session_begin(session);
}

void
session_start(struct session *session, struct crowd *crowd, const struct transport *transport,
              unsigned number)
{
    memset(session, 0, sizeof *session);
    session->crowd = crowd;
    session->transport = transport;
    session->number = number;
    transport->start(session);
}

void
session_begin(struct session *session)
{
    if (session->begun)
        return;
    session->begun = true;
    if (session->crowd->scenario == LINES)
        return;
    session->sent_at = now_ns();
    session->transport->send(session,
                             session->crowd->scenario == ECHO ? session->crowd->in_flight : 1);
}

/* ---- ending ---- */

void
session_leave(struct session *session)
{
    session->leaving = true;
    session->transport->leave(session);
}

void
session_traffic(const struct session *session, struct traffic *down, struct traffic *up)
{
    session->transport->traffic(session, down, up);
}
