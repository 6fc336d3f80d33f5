/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a topic route's clients say, and what they are told. Input: a text, which is read as a request; and the
 * same bytes as topic, payload, filters and reason of what is sent, which a JSON parser must read back.
 */
#include <jansson.h>

#include "base/topic_filter.h"
#include "fuzz.h"
#include "proto/utf8.h"
#include "topic/envelope.h"
#include "topic/levels.h"
#include "topic/request.h"

/* ---- requests ---- */

static void
check_text(struct span text)
{
    CHECK(text.at[text.len] == '\0');
    CHECK(utf8_valid((const uint8_t *)text.at, text.len) && topic_levels_ok(text.at, text.len));
}

static void
check_ref(const char *ref)
{
    json_t *json = json_loads(ref, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    CHECK(strlen(ref) <= TOPIC_REF_MAX);
    CHECK(ref[0] == '\0' || json_is_string(json) || json_is_number(json));
    json_decref(json);
}

static void
check_request(const struct topic_request *request)
{
    if (request->kind == TOPIC_PUBLISH) {
        check_text(request->topic);
        CHECK(topic_name_is_valid(request->topic.at, request->topic.len));
        CHECK(request->data != NULL && request->n_filters == 0);
        return;
    }
    CHECK(request->n_filters > 0 && request->n_filters <= TOPIC_REQUEST_FILTERS);
    for (unsigned i = 0; i < request->n_filters; i++) {
        check_text(request->filter[i]);
        CHECK(topic_filter_is_valid(request->filter[i].at, request->filter[i].len));
    }
    CHECK(request->since == NULL || topic_since_is_valid(request->since, strlen(request->since)));
}

/* ---- what is sent ---- */

/* What was written, read. */
static json_t *
load(char *out, size_t room, size_t len)
{
    json_t *json = json_loadb(out, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    CHECK(len == room && json_is_object(json));
    CHECK(memchr(out, '\n', len) == NULL && memchr(out, '\r', len) == NULL);
    free(out);
    return json;
}

static bool
is_text(const json_t *json, const void *at, size_t len)
{
    return json_is_string(json) && json_string_length(json) == len &&
           memcmp(json_string_value(json), at, len) == 0;
}

/* The payload comes back through a request. */
static void
check_payload(const json_t *envelope, const struct topic_envelope *message)
{
    const char *key = message->text ? "data" : "data64";
    struct topic_request request;
    json_t *json = json_object();
    char *text;

    CHECK(json_object_get(envelope, key) != NULL);
    json_object_set_new(json, "publish", json_string("t"));
    json_object_set(json, key, json_object_get(envelope, key));
    text = json_dumps(json, 0);
    CHECK(text != NULL && topic_request_read(&request, text, strlen(text)) == NULL);
    CHECK(request.len == message->len && memcmp(request.data, message->data, message->len) == 0);
    topic_request_clear(&request);
    free(text);
    json_decref(json);
}

static void
check_message(const struct topic_envelope *message)
{
    size_t room = topic_envelope_message(NULL, message);
    char *out = malloc(room);
    json_t *json;

    CHECK(out != NULL);
    json = load(out, room, topic_envelope_message(out, message));
    CHECK(is_text(json_object_get(json, "topic"), message->topic.at, message->topic.len));
    CHECK(json_is_true(json_object_get(json, "retained")) == message->retained);
    CHECK((json_object_get(json, "id") != NULL) == (message->id != NULL));
    CHECK(json_object_size(json) == 2u + (message->id != NULL) + message->retained);
    check_payload(json, message);
    json_decref(json);
}

static void
check_subscribed(struct span text)
{
    struct span filters[2] = {text, {"a", 1}};
    size_t room = topic_envelope_subscribed(NULL, filters, 2, "e-1");
    char *out = malloc(room);
    json_t *json, *topics;

    CHECK(out != NULL);
    json = load(out, room, topic_envelope_subscribed(out, filters, 2, "e-1"));
    topics = json_object_get(json, "topics");
    CHECK(json_array_size(topics) == 2 && is_text(json_array_get(topics, 0), text.at, text.len));
    CHECK(is_text(json_object_get(json, "since"), "e-1", 3));
    json_decref(json);
}

static void
check_error(const char *ref, const char *reason)
{
    size_t room = topic_envelope_error(NULL, ref, reason);
    char *out = malloc(room);
    json_t *json;

    CHECK(out != NULL);
    json = load(out, room, topic_envelope_error(out, ref, reason));
    CHECK(is_text(json_object_get(json, "reason"), reason, strlen(reason)));
    CHECK((json_object_get(json, "ref") != NULL) == (ref[0] != '\0'));
    json_decref(json);
}

static void
check_ack(const char *ref)
{
    size_t room = topic_envelope_ack(NULL, ref, NULL);
    char *out = malloc(room);
    json_t *json, *before = json_loads(ref, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    CHECK(out != NULL);
    json = load(out, room, topic_envelope_ack(out, ref, NULL));
    CHECK(json_equal(json_object_get(json, "ref"), before));
    CHECK(json_is_null(json_object_get(json, "id")));
    json_decref(before);
    json_decref(json);
}

static void
check_sent(const char *text, size_t len)
{
    bool is_utf8 = utf8_valid((const uint8_t *)text, len);
    struct topic_envelope message = {
        .topic = {"t", 1}, .id = "e-1", .data = (const uint8_t *)text, .len = len, .text = is_utf8};

    check_message(&message);
    if (!is_utf8)
        return;
    message.topic = (struct span){text, len};
    message.id = NULL;
    message.retained = true;
    check_message(&message);
    check_subscribed(message.topic);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_copy(data, len);
    struct topic_request request;
    const char *why = topic_request_read(&request, text, len);

    check_ref(request.ref);
    check_error(request.ref, why != NULL ? why : "none");
    if (request.ref[0] != '\0')
        check_ack(request.ref);
    if (why == NULL)
        check_request(&request);
    topic_request_clear(&request);
    check_sent(text, len);
    free(text);
    return 0;
}
