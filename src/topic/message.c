/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "proto/base64.h"
#include "proto/sse.h"
#include "proto/utf8.h"
#include "proto/ws_frame.h"
#include "topic/cursor.h"
#include "topic/envelope.h"

/* ---- counting ---- */

struct topic_message *
topic_message_new(const char *topic, size_t topic_len, const void *payload, size_t payload_len,
                  bool retain)
{
    struct topic_message *message = malloc(sizeof *message + topic_len + 1 + payload_len);

    if (message == NULL)
        return NULL;
    *message = (struct topic_message){
        .references = 1, .retain = retain, .topic_len = topic_len, .payload_len = payload_len};
    memcpy(message->bytes, topic, topic_len);
    message->bytes[topic_len] = '\0';
    if (payload_len > 0)
        memcpy(message->bytes + topic_len + 1, payload, payload_len);
    message->text = utf8_valid(topic_message_payload(message), payload_len);
    message->wire_len = message->text ? sse_json_len(topic_message_payload(message), payload_len)
                                      : base64_encoded_len(payload_len);
    return message;
}

struct topic_message *
topic_message_ref(struct topic_message *message)
{
    __atomic_fetch_add(&message->references, 1, __ATOMIC_RELAXED);
    return message;
}

void
topic_message_unref(struct topic_message *message)
{
    if (message == NULL || __atomic_sub_fetch(&message->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (unsigned i = 0; i < TOPIC_FORMS; i++)
        blob_unref(message->forms[i]);
    free(message);
}

/* ---- forms ---- */

/* Room for bytes that come behind the frame's or event's beginning. */
struct form {
    char *bytes; /* NULL: only measured */
    size_t len;
};

static void
add(struct form *form, const void *bytes, size_t len)
{
    if (form->bytes != NULL)
        memcpy(form->bytes + form->len, bytes, len);
    form->len += len;
}

static void
add_text(struct form *form, const char *text)
{
    add(form, text, strlen(text));
}

static void
add_frame_header(struct form *form, size_t len, enum ws_opcode opcode)
{
    uint8_t header[WS_HEADER_MAX];

    add(form, header, ws_encode_header(header, len, opcode, true, NULL));
}

static void
add_envelope(struct form *form, const struct topic_message *message, const char *id)
{
    const struct topic_envelope envelope = {
        .topic = {topic_message_topic(message), message->topic_len},
        .id = id,
        .data = topic_message_payload(message),
        .len = message->payload_len,
        .text = message->text,
        .retained = id == NULL,
    };

    form->len +=
        topic_envelope_message(form->bytes == NULL ? NULL : form->bytes + form->len, &envelope);
}

static void
add_id(struct form *form, const char *id)
{
    if (id == NULL)
        return;
    add_text(form, "id: ");
    add_text(form, id);
    add_text(form, "\n");
}

/* One data line for each line of the payload: the reader puts a line feed between them. */
static void
add_lines(struct form *form, const uint8_t *text, size_t len)
{
    for (;;) {
        const uint8_t *end = len == 0 ? NULL : memchr(text, '\n', len);
        size_t line = end == NULL ? len : (size_t)(end - text);

        add_text(form, "data: ");
        add(form, text, line);
        add_text(form, "\n");
        if (end == NULL)
            return;
        text = end + 1;
        len -= line + 1;
    }
}

static void
add_base64(struct form *form, const uint8_t *data, size_t len)
{
    add_text(form, "event: base64\ndata: ");
    if (form->bytes != NULL)
        base64_encode(form->bytes + form->len, data, len);
    form->len += base64_encoded_len(len);
    add_text(form, "\n");
}

/* Returns the length of the data, as the client gets it. */
static size_t
add_raw_event(struct form *form, const struct topic_message *message)
{
    const uint8_t *payload = topic_message_payload(message);
    size_t len = message->payload_len;

    if (message->text && memchr(payload, '\r', len) == NULL) {
        add_lines(form, payload, len);
    } else {
        add_base64(form, payload, len);
        len = base64_encoded_len(len);
    }
    add_text(form, "\n");
    return len;
}

/* Returns how much of it is the message, and not what carries it. */
static size_t
write_form(struct form *form, enum topic_form which, const struct topic_message *message,
           const char *id)
{
    struct form inner = {.bytes = NULL};

    switch (which) {
    case TOPIC_FORM_FRAME:
    case TOPIC_FORM_FRAME_RETAINED:
        add_envelope(&inner, message, id);
        add_frame_header(form, inner.len, WS_TEXT);
        add_envelope(form, message, id);
        return inner.len;
    case TOPIC_FORM_FRAME_RAW:
        add_frame_header(form, message->payload_len, message->text ? WS_TEXT : WS_BINARY);
        add(form, topic_message_payload(message), message->payload_len);
        return message->payload_len;
    case TOPIC_FORM_EVENT:
    case TOPIC_FORM_EVENT_RETAINED:
        add_envelope(&inner, message, id);
        add_id(form, id);
        add_text(form, "data: ");
        add_envelope(form, message, id);
        add_text(form, "\n\n");
        return inner.len;
    case TOPIC_FORM_EVENT_RAW:
    case TOPIC_FORM_EVENT_RAW_RETAINED:
        add_id(form, id);
        return add_raw_event(form, message);
    case TOPIC_FORMS:
        break;
    }
    return 0;
}

static bool
has_id(enum topic_form form)
{
    return form == TOPIC_FORM_FRAME || form == TOPIC_FORM_EVENT || form == TOPIC_FORM_EVENT_RAW;
}

static struct blob *
make_form(const struct topic_message *message, enum topic_form which, const char *epoch)
{
    struct form form = {.bytes = NULL};
    char text[CURSOR_MAX + 1];
    const char *id = has_id(which) ? cursor_write(text, epoch, message->number) : NULL;
    struct blob *blob;

    (void)write_form(&form, which, message, id);
    blob = blob_reserve(form.len, 0);
    if (blob == NULL)
        return NULL;
    form = (struct form){.bytes = (char *)blob->data};
    blob->tag = (unsigned)(blob->len - write_form(&form, which, message, id));
    return blob;
}

struct blob *
topic_message_form(struct topic_message *message, enum topic_form form, const char *epoch)
{
    struct blob **place = &message->forms[form];
    struct blob *blob = __atomic_load_n(place, __ATOMIC_ACQUIRE), *made;

    if (blob != NULL)
        return blob;
    made = make_form(message, form, epoch);
    if (made == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(place, &blob, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    blob_unref(made); /* another worker was faster */
    return blob;
}
