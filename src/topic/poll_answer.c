/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/poll_answer.h"

#include <string.h>

#include "base/blob.h"
#include "conf/conf.h"
#include "topic/backlog.h"
#include "topic/cursor.h"
#include "topic/envelope.h"
#include "topic/hub.h"
#include "topic/message.h"

#define BEGINNING "{\"messages\":["

enum {
    SLICE = 32, /* messages that are looked up at a time */
};

static void
add(struct poll_answer *answer, const void *bytes, size_t len)
{
    if (gather_add(&answer->body, bytes, len) != 0)
        answer->failed = true;
}

static void
add_element(struct poll_answer *answer, const void *json, size_t len)
{
    if (answer->n == 0)
        add(answer, BEGINNING, strlen(BEGINNING));
    else
        add(answer, ",", 1);
    answer->n++;
    add(answer, json, len);
}

static void
add_message(struct poll_answer *answer, struct topic_message *message, enum topic_form form)
{
    struct blob *blob = topic_message_form(message, form, hub_epoch(answer->hub));

    if (blob == NULL) {
        answer->failed = true;
        return;
    }
    add_element(answer, blob->data + blob->tag, blob->len - blob->tag);
    answer->messages++;
    answer->message_bytes += blob->len - blob->tag;
}

/* Returns whether those were all. */
static bool
add_retained(struct poll_answer *answer)
{
    struct topic_message *message;

    while (!answer->failed && backlog_retained(answer->backlog, &message, 1) > 0) {
        if (gather_len(&answer->body) >= POLL_ANSWER_PIECE)
            return false;
        add_message(answer, message, TOPIC_FORM_FRAME_RETAINED);
        backlog_retained_sent(answer->backlog, 1);
    }
    return true;
}

static bool
is_full(const struct poll_answer *answer)
{
    return answer->failed || answer->n >= answer->route->queue_messages ||
           answer->bytes >= answer->route->queue_bytes;
}

/* Returns the number up to which all was told. Where history is too long for one turn, the client asks for the
 * rest. */
static uint64_t
add_history(struct poll_answer *answer)
{
    struct backlog *backlog = answer->backlog;
    struct topic_message *messages[SLICE];
    unsigned work = BACKLOG_WORK;
    int n;

    while ((n = backlog_history(backlog, answer->hub, answer->route->retain, messages, SLICE,
                                &work)) > 0) {
        for (int i = 0; i < n; i++) {
            if (is_full(answer))
                return backlog->after;
            add_message(answer, messages[i], TOPIC_FORM_FRAME);
            answer->bytes += messages[i]->topic_len + messages[i]->payload_len;
            backlog_history_sent(backlog, messages[i]->number);
        }
    }
    answer->partial = work == 0 && backlog->after < backlog->until;
    return answer->partial ? backlog->after : backlog->since;
}

static void
add_reset(struct poll_answer *answer)
{
    char json[64];
    size_t len = topic_envelope_reset(json);

    if (!answer->backlog->reset)
        return;
    answer->backlog->reset = false;
    add_element(answer, json, len);
}

static void
add_states(struct poll_answer *answer)
{
    char json[64];

    for (unsigned up = 0; up < 2; up++) {
        size_t len = topic_envelope_bus(json, up == 1);

        if (answer->was_told[up])
            add_element(answer, json, len);
    }
}

bool
poll_answer_next(struct poll_answer *answer)
{
    add_reset(answer);
    if (!add_retained(answer))
        return false;
    if (!answer->has_history) {
        answer->number = add_history(answer);
        answer->has_history = true;
        add_reset(answer); /* history was lost meanwhile: it begins anew */
        if (!add_retained(answer))
            return false;
    }
    if (answer->n == 0)
        add_states(answer);
    return true;
}

void
poll_answer_end(struct poll_answer *answer)
{
    char since[CURSOR_MAX + 1];

    cursor_write(since, hub_epoch(answer->hub), answer->number);
    if (answer->n == 0)
        add(answer, BEGINNING, strlen(BEGINNING));
    add(answer, "],\"since\":\"", 11);
    add(answer, since, strlen(since));
    add(answer, "\"}\n", 3);
}

void
poll_answer_clear(struct poll_answer *answer)
{
    gather_clear(&answer->body);
}
