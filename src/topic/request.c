/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/topic_filter.h"
#include "proto/base64.h"
#include "topic/levels.h"

static const char no_memory[] = "out of memory";

static const char *const kinds[] = {
    [TOPIC_PUBLISH] = "publish",
    [TOPIC_SUBSCRIBE] = "subscribe",
    [TOPIC_UNSUBSCRIBE] = "unsubscribe",
};

/* ---- JSON ---- */

/* Behind the string that begins there; end, if it does not end. */
static const char *
skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : end;
}

/* Counts what is outside of strings. That it is no JSON at all is the parser's to say. */
static const char *
measure(const char *at, size_t len)
{
    const char *end = at + len;
    unsigned depth = 0, values = 1;

    while (at < end) {
        char c = *at;

        if (c == '"') {
            at = skip_string(at, end);
            continue;
        }
        depth += (c == '{' || c == '[');
        depth -= ((c == '}' || c == ']') && depth > 0);
        values += (c == '{' || c == '[' || c == ',');
        if (depth > TOPIC_REQUEST_DEPTH)
            return "the message is nested too deeply";
        if (values > TOPIC_REQUEST_VALUES)
            return "the message has too many values";
        at++;
    }
    return NULL;
}

static const char *
parse(struct topic_request *request, const char *text, size_t len)
{
    const char *why = measure(text, len);
    json_error_t error;

    if (why != NULL)
        return why;
    request->json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (request->json == NULL)
        return json_error_code(&error) == json_error_out_of_memory ? no_memory
                                                                   : "the message is no valid JSON";
    return json_is_object((json_t *)request->json) ? NULL : "the message is no JSON object";
}

static struct span
text_of(const json_t *string)
{
    return (struct span){json_string_value(string), json_string_length(string)};
}

static const char *
read_ref(struct topic_request *request)
{
    const json_t *ref = json_object_get(request->json, "ref");
    size_t len;

    if (ref == NULL)
        return NULL;
    if (!json_is_string(ref) && !json_is_number(ref))
        return "ref is a string or a number";
    len = json_dumpb(ref, request->ref, TOPIC_REF_MAX, JSON_ENCODE_ANY | JSON_COMPACT);
    request->ref[len <= TOPIC_REF_MAX ? len : 0] = '\0';
    if (len == 0)
        return no_memory;
    return len <= TOPIC_REF_MAX ? NULL : "ref is at most 64 bytes";
}

static const char *
read_kind(struct topic_request *request)
{
    unsigned found = 0;

    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (json_object_get(request->json, kinds[i]) != NULL) {
            request->kind = i;
            found++;
        }
    }
    return found == 1 ? NULL : "the message has one of publish, subscribe and unsubscribe";
}

/* ---- publish ---- */

static const char *
read_topic(struct topic_request *request)
{
    const json_t *topic = json_object_get(request->json, "publish");

    if (!json_is_string(topic))
        return "publish is the name of a topic";
    request->topic = text_of(topic);
    if (!topic_name_is_valid(request->topic.at, request->topic.len))
        return "publish is a topic of 1 to 65535 bytes, without + # NUL";
    return topic_levels_ok(request->topic.at, request->topic.len)
               ? NULL
               : "a topic has at most 128 levels";
}

static const char *
decode(struct topic_request *request, struct span base64)
{
    size_t room = base64_decoded_max(base64.len);

    request->bytes = malloc(room > 0 ? room : 1);
    if (request->bytes == NULL)
        return no_memory;
    request->data = request->bytes;
    return base64_decode(request->bytes, base64.at, base64.len, &request->len)
               ? NULL
               : "data64 is no valid base64";
}

static const char *
read_data(struct topic_request *request)
{
    const json_t *data = json_object_get(request->json, "data");
    const json_t *data64 = json_object_get(request->json, "data64");
    struct span text;

    if ((data != NULL) == (data64 != NULL))
        return "publish needs one of data and data64";
    if (!json_is_string(data) && !json_is_string(data64))
        return data != NULL ? "data is a string" : "data64 is a string";
    if (data64 != NULL)
        return decode(request, text_of(data64));
    text = text_of(data);
    request->data = (const uint8_t *)text.at;
    request->len = text.len;
    return NULL;
}

static const char *
read_retain(struct topic_request *request)
{
    const json_t *retain = json_object_get(request->json, "retain");

    request->retain = json_is_true(retain);
    return retain == NULL || json_is_boolean(retain) ? NULL : "retain is true or false";
}

static const char *
read_publish(struct topic_request *request)
{
    const char *why = read_topic(request);

    if (why == NULL)
        why = read_data(request);
    return why != NULL ? why : read_retain(request);
}

/* ---- subscribe, unsubscribe ---- */

static const char *
read_filter(const json_t *json, struct span *filter)
{
    if (!json_is_string(json))
        return "a topic filter is a string";
    *filter = text_of(json);
    if (!topic_filter_is_valid(filter->at, filter->len))
        return "not a valid topic filter";
    return topic_levels_ok(filter->at, filter->len) ? NULL
                                                    : "a topic filter has at most 128 levels";
}

static const char *
read_filters(struct topic_request *request)
{
    const json_t *list = json_object_get(request->json, kinds[request->kind]);
    size_t n = json_array_size(list);
    const char *why = NULL;

    if (n == 0 || n > TOPIC_REQUEST_FILTERS)
        return request->kind == TOPIC_SUBSCRIBE ? "subscribe is a list of 1 to 64 topic filters"
                                                : "unsubscribe is a list of 1 to 64 topic filters";
    for (; request->n_filters < n && why == NULL; request->n_filters++)
        why = read_filter(json_array_get(list, request->n_filters),
                          &request->filter[request->n_filters]);
    return why;
}

bool
topic_since_is_valid(const char *text, size_t len)
{
    if (len == 0 || len > TOPIC_SINCE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static const char *
read_subscribe(struct topic_request *request)
{
    const char *why = read_filters(request);
    const json_t *since = json_object_get(request->json, "since");

    if (why != NULL || since == NULL)
        return why;
    if (!json_is_string(since))
        return "since is a string";
    if (!topic_since_is_valid(json_string_value(since), json_string_length(since)))
        return "since is no cursor";
    request->since = json_string_value(since);
    return NULL;
}

/* ---- all of it ---- */

static const char *
read_body(struct topic_request *request)
{
    switch (request->kind) {
    case TOPIC_PUBLISH:
        return read_publish(request);
    case TOPIC_SUBSCRIBE:
        return read_subscribe(request);
    case TOPIC_UNSUBSCRIBE:
        break;
    }
    return read_filters(request);
}

const char *
topic_request_read(struct topic_request *request, const char *text, size_t len)
{
    const char *why;

    memset(request, 0, sizeof *request);
    why = parse(request, text, len);
    /* First, so that an answer to what is wrong elsewhere can name it. */
    if (why == NULL)
        why = read_ref(request);
    if (why == NULL)
        why = read_kind(request);
    if (why == NULL)
        why = read_body(request);
    if (why != NULL)
        topic_request_clear(request);
    return why;
}

void
topic_request_clear(struct topic_request *request)
{
    json_decref(request->json);
    free(request->bytes);
    request->json = NULL;
    request->bytes = NULL;
}
