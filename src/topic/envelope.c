/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/sse.h"

/* Counts, and writes if there is somewhere: so that a length and its text cannot differ. */
struct writer {
    char *at; /* NULL: counts alone */
    size_t len;
};

static void
put(struct writer *to, const char *text)
{
    size_t len = strlen(text);

    if (to->at != NULL)
        memcpy(to->at + to->len, text, len);
    to->len += len;
}

static void
put_string(struct writer *to, const char *text, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)text;

    to->len += to->at != NULL ? sse_json(to->at + to->len, bytes, len) : sse_json_len(bytes, len);
}

static void
put_base64(struct writer *to, const uint8_t *data, size_t len)
{
    put(to, "\"");
    if (to->at != NULL)
        base64_encode(to->at + to->len, data, len);
    to->len += base64_encoded_len(len);
    put(to, "\"");
}

/* Cursors need no escapes, and are not trusted with that. */
static void
put_id(struct writer *to, const char *id)
{
    put_string(to, id, strlen(id));
}

size_t
topic_envelope_message(char *out, const struct topic_envelope *message)
{
    struct writer to = {.at = out};

    put(&to, "{\"topic\":");
    put_string(&to, message->topic.at, message->topic.len);
    if (message->id != NULL) {
        put(&to, ",\"id\":");
        put_id(&to, message->id);
    }
    if (message->text) {
        put(&to, ",\"data\":");
        put_string(&to, (const char *)message->data, message->len);
    } else {
        put(&to, ",\"data64\":");
        put_base64(&to, message->data, message->len);
    }
    put(&to, message->retained ? ",\"retained\":true}" : "}");
    return to.len;
}

size_t
topic_envelope_subscribed(char *out, const struct span *filters, size_t n, const char *since)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"subscribed\",\"topics\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            put(&to, ",");
        put_string(&to, filters[i].at, filters[i].len);
    }
    put(&to, "],\"since\":");
    put_id(&to, since);
    put(&to, "}");
    return to.len;
}

size_t
topic_envelope_cursor(char *out, const char *since)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"cursor\",\"since\":");
    put_id(&to, since);
    put(&to, "}");
    return to.len;
}

size_t
topic_envelope_reset(char *out)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"reset\"}");
    return to.len;
}

size_t
topic_envelope_dropped(char *out, uint64_t count)
{
    struct writer to = {.at = out};
    char number[24];

    snprintf(number, sizeof number, "%" PRIu64, count);
    put(&to, "{\"event\":\"dropped\",\"count\":");
    put(&to, number);
    put(&to, "}");
    return to.len;
}

size_t
topic_envelope_bus(char *out, bool up)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"bus\",\"state\":");
    put(&to, up ? "\"up\"}" : "\"down\"}");
    return to.len;
}

size_t
topic_envelope_ack(char *out, const char *ref, const char *id)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"ack\",\"ref\":");
    put(&to, ref);
    put(&to, ",\"id\":");
    if (id != NULL)
        put_id(&to, id);
    else
        put(&to, "null");
    put(&to, "}");
    return to.len;
}

size_t
topic_envelope_error(char *out, const char *ref, const char *reason)
{
    struct writer to = {.at = out};

    put(&to, "{\"event\":\"error\"");
    if (ref[0] != '\0') {
        put(&to, ",\"ref\":");
        put(&to, ref);
    }
    put(&to, ",\"reason\":");
    put_string(&to, reason, strlen(reason));
    put(&to, "}");
    return to.len;
}
