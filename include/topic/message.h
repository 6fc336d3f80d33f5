/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_message -- one publication, shared by all who deliver it, and its forms on the wire.
 *
 *      topic, payload ──first who needs it──→ form: the WebSocket frame, the SSE event … ──→ everybody
 *
 * Server frames are not masked and events name nobody, so a form is the same bytes for all subscribers of
 * all workers: it is made once. Two workers that need it at the same moment both make it, and one is kept.
 *
 * Thread:    any; number is set once, before others see the message.
 * Lifetime:  counted; forms live as long as their message.
 */
#ifndef CULVERT_TOPIC_MESSAGE_H
#define CULVERT_TOPIC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob;

/* How a message looks to a client (PROTOCOL.md section 4). The blob's tag is how many of the bytes carry it: in
 * a frame those of the header, behind which the JSON of an envelope stands. */
enum topic_form {
    TOPIC_FORM_FRAME,          /* a WebSocket frame with the envelope */
    TOPIC_FORM_FRAME_RETAINED, /* the same of a retained value: without id */
    TOPIC_FORM_FRAME_RAW,      /* the payload alone: text if it is UTF-8, else binary */
    TOPIC_FORM_EVENT,          /* SSE */
    TOPIC_FORM_EVENT_RETAINED,
    TOPIC_FORM_EVENT_RAW,
    TOPIC_FORM_EVENT_RAW_RETAINED,
    TOPIC_FORMS,
};

struct topic_message {
    unsigned references; /* atomic */
    bool text;           /* the payload is UTF-8 */
    bool retain;         /* its topic keeps it; an empty payload: keeps nothing any more */
    uint64_t number;     /* its place on the bus; 0: none */
    size_t topic_len;
    size_t payload_len;
    size_t wire_len;                 /* of its payload in JSON */
    struct blob *forms[TOPIC_FORMS]; /* atomic; private */
    char bytes[];                    /* private: the topic, NUL, the payload */
};

/* A copy, with one reference. topic: topic_name_is_valid(). NULL without memory. */
struct topic_message *topic_message_new(const char *topic, size_t topic_len, const void *payload,
                                        size_t payload_len, bool retain)
    __attribute__((warn_unused_result));
struct topic_message *topic_message_ref(struct topic_message *message);
/* NULL is fine. */
void topic_message_unref(struct topic_message *message);

/* Terminated. */
static inline const char *
topic_message_topic(const struct topic_message *message)
{
    return message->bytes;
}

static inline const uint8_t *
topic_message_payload(const struct topic_message *message)
{
    return (const uint8_t *)message->bytes + message->topic_len + 1;
}

/* What it takes in memory, forms not counted. */
static inline size_t
topic_message_size(const struct topic_message *message)
{
    return sizeof *message + message->topic_len + 1 + message->payload_len;
}

/* The same with the forms that it has or may get: that of a WebSocket and that of SSE. */
static inline size_t
topic_message_cost(const struct topic_message *message)
{
    return topic_message_size(message) + 2 * (message->topic_len + message->wire_len + 128);
}

/* Borrowed from the message. epoch begins the ids. NULL without memory. */
struct blob *topic_message_form(struct topic_message *message, enum topic_form form,
                                const char *epoch);

#endif
