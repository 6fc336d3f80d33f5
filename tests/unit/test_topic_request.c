/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "topic/levels.h"
#include "topic/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define JUST_64      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct guard guard;

static const char *
read_text(struct topic_request *request, const char *text)
{
    size_t len = strlen(text);

    return topic_request_read(request, guard_end(&guard, text, len), len);
}

/* ---- publish ---- */

static const struct {
    const char *text, *topic, *data, *ref;
    bool retain;
} publishes[] = {
    {"{\"publish\":\"a/b\",\"data\":\"x\"}", "a/b", "x", "", false},
    {" { \"ref\" : 7 , \"data\" : \"\" , \"publish\" : \"/\" , \"retain\" : true } ", "/", "", "7",
     true},
    {"{\"publish\":\"a\",\"data64\":\"AP8=\",\"retain\":false}", "a", "\\00\\ff", "", false},
    {"{\"publish\":\"a\",\"data64\":\"AP8\"}", "a", "\\00\\ff", "", false},
    {"{\"publish\":\"a\",\"data64\":\"\"}", "a", "", "", false},
    {"{\"publish\":\"a\",\"data\":\"\\u0000\\u00e9\"}", "a", "\\00\\c3\\a9", "", false},
    {"{\"publish\":\"\\u00e9\\/\\ud83d\\ude00\",\"data\":\"\"}", "\xc3\xa9/\xf0\x9f\x98\x80", "",
     "", false},
    /* what is not known, and what belongs to others */
    {"{\"publish\":\"a\",\"data\":\"\",\"qos\":{\"a\":[1,2]},\"since\":9}", "a", "", "", false},
    /* refs */
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":\"\"}", "a", "", "\"\"", false},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":\"q\\\"\\u0000/\\u00e9\"}", "a", "",
     "\"q\\\"\\u0000/\xc3\xa9\"", false},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":-9223372036854775808}", "a", "",
     "-9223372036854775808", false},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":0.5}", "a", "", "0.5", false},
};

/* Bytes that are no text, as \xx. */
static void
show(char *out, const uint8_t *data, size_t len)
{
    *out = '\0';
    for (size_t i = 0; i < len; i++)
        out += sprintf(out, data[i] < ' ' || data[i] > '~' ? "\\%02x" : "%c", data[i]);
}

static void
test_publish(void **state)
{
    struct topic_request request;
    char data[64];

    (void)state;
    for (size_t i = 0; i < COUNT(publishes); i++) {
        const char *why = read_text(&request, publishes[i].text);

        if (why != NULL)
            fail_msg("%s: %s", publishes[i].text, why);
        show(data, request.data, request.len);
        assert_int_equal(request.kind, TOPIC_PUBLISH);
        assert_true(span_is(request.topic, publishes[i].topic));
        assert_string_equal(data, publishes[i].data);
        assert_string_equal(request.ref, publishes[i].ref);
        assert_int_equal(request.retain, publishes[i].retain);
        topic_request_clear(&request);
        topic_request_clear(&request);
    }
}

/* ---- subscribe, unsubscribe ---- */

static const struct {
    const char *text;
    enum topic_request_kind kind;
    unsigned n;
    const char *last, *since, *ref;
} lists[] = {
    {"{\"subscribe\":[\"a/+\"]}", TOPIC_SUBSCRIBE, 1, "a/+", NULL, ""},
    {"{\"subscribe\":[\"a\",\"#\",\"$x/#\"],\"since\":\"A.z_9-1\",\"ref\":1}", TOPIC_SUBSCRIBE, 3,
     "$x/#", "A.z_9-1", "1"},
    {"{\"subscribe\":[\"a\"],\"since\":\"" JUST_64 "\"}", TOPIC_SUBSCRIBE, 1, "a", JUST_64, ""},
    {"{\"subscribe\":[\"a\"],\"data\":1,\"retain\":1}", TOPIC_SUBSCRIBE, 1, "a", NULL, ""},
    {"{\"unsubscribe\":[\"a\",\"a\"],\"since\":1,\"ref\":\"r\"}", TOPIC_UNSUBSCRIBE, 2, "a", NULL,
     "\"r\""},
};

static void
test_lists(void **state)
{
    struct topic_request request;

    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        const char *why = read_text(&request, lists[i].text);

        if (why != NULL)
            fail_msg("%s: %s", lists[i].text, why);
        assert_int_equal(request.kind, lists[i].kind);
        assert_int_equal(request.n_filters, lists[i].n);
        assert_true(span_is(request.filter[lists[i].n - 1], lists[i].last));
        assert_string_equal(request.ref, lists[i].ref);
        if (lists[i].since != NULL)
            assert_string_equal(request.since, lists[i].since);
        else
            assert_null(request.since);
        topic_request_clear(&request);
    }
}

/* ---- what is refused ---- */

static const struct {
    const char *text, *why, *ref;
} refused[] = {
    {"", "the message is no valid JSON", ""},
    {"{", "the message is no valid JSON", ""},
    {"}]{", "the message is no valid JSON", ""},
    {"{\"publish\":\"a", "the message is no valid JSON", ""},
    {"{\"publish\":\"a\\", "the message is no valid JSON", ""},
    {"{\"publish\":\"\xff\",\"data\":\"\"}", "the message is no valid JSON", ""},
    {"{\"publish\":\"a\",\"data\":\"\"}{}", "the message is no valid JSON", ""},
    {"{\"publish\":\"a\",\"data\":\"1\",\"data\":\"2\"}", "the message is no valid JSON", ""},
    {"[]", "the message is no JSON object", ""},
    {"\"publish\"", "the message is no valid JSON", ""},
    {"{}", "the message has one of publish, subscribe and unsubscribe", ""},
    {"{\"ref\":5}", "the message has one of publish, subscribe and unsubscribe", "5"},
    {"{\"subscribe\":[\"a\"],\"unsubscribe\":[\"a\"],\"ref\":5}",
     "the message has one of publish, subscribe and unsubscribe", "5"},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":null}", "ref is a string or a number", ""},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":true}", "ref is a string or a number", ""},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":[]}", "ref is a string or a number", ""},
    {"{\"publish\":\"a\",\"data\":\"\",\"ref\":\"" JUST_64 "\"}", "ref is at most 64 bytes", ""},
    {"{\"publish\":7,\"data\":\"\",\"ref\":1}", "publish is the name of a topic", "1"},
    {"{\"publish\":\"\",\"data\":\"\"}", "publish is a topic of 1 to 65535 bytes, without + # NUL",
     ""},
    {"{\"publish\":\"a/+\",\"data\":\"\"}",
     "publish is a topic of 1 to 65535 bytes, without + # NUL", ""},
    {"{\"publish\":\"a\\u0000\",\"data\":\"\"}",
     "publish is a topic of 1 to 65535 bytes, without + # NUL", ""},
    {"{\"publish\":\"a\"}", "publish needs one of data and data64", ""},
    {"{\"publish\":\"a\",\"data\":\"\",\"data64\":\"\"}", "publish needs one of data and data64",
     ""},
    {"{\"publish\":\"a\",\"data\":{}}", "data is a string", ""},
    {"{\"publish\":\"a\",\"data\":null}", "data is a string", ""},
    {"{\"publish\":\"a\",\"data64\":0}", "data64 is a string", ""},
    {"{\"publish\":\"a\",\"data64\":\"AP8*\"}", "data64 is no valid base64", ""},
    {"{\"publish\":\"a\",\"data64\":\"A\"}", "data64 is no valid base64", ""},
    {"{\"publish\":\"a\",\"data\":\"\",\"retain\":1}", "retain is true or false", ""},
    {"{\"subscribe\":\"a\"}", "subscribe is a list of 1 to 64 topic filters", ""},
    {"{\"subscribe\":[],\"ref\":\"x\"}", "subscribe is a list of 1 to 64 topic filters", "\"x\""},
    {"{\"unsubscribe\":{}}", "unsubscribe is a list of 1 to 64 topic filters", ""},
    {"{\"subscribe\":[\"a\",1]}", "a topic filter is a string", ""},
    {"{\"subscribe\":[\"a\",\"#/a\"]}", "not a valid topic filter", ""},
    {"{\"subscribe\":[\"a\\u0000\"]}", "not a valid topic filter", ""},
    {"{\"subscribe\":[\"\"]}", "not a valid topic filter", ""},
    {"{\"subscribe\":[\"a\"],\"since\":0}", "since is a string", ""},
    {"{\"subscribe\":[\"a\"],\"since\":\"\"}", "since is no cursor", ""},
    {"{\"subscribe\":[\"a\"],\"since\":\"a b\"}", "since is no cursor", ""},
    {"{\"subscribe\":[\"a\"],\"since\":\"a\\u0000\"}", "since is no cursor", ""},
    {"{\"subscribe\":[\"a\"],\"since\":\"a" JUST_64 "\"}", "since is no cursor", ""},
    {"[[[[[[[[[]]]]]]]]]", "the message is nested too deeply", ""},
    {"{\"x\":[[[[[[[{}]]]]]]]}", "the message is nested too deeply", ""},
};

static void
test_refused(void **state)
{
    struct topic_request request;

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *why = read_text(&request, refused[i].text);

        if (why == NULL)
            fail_msg("taken: %s", refused[i].text);
        if (strcmp(why, refused[i].why) != 0)
            fail_msg("%s: %s", refused[i].text, why);
        assert_string_equal(request.ref, refused[i].ref);
        topic_request_clear(&request);
    }
}

/* ---- bounds ---- */

/* begin, and n times a word, and end. */
static const char *
repeated(char *out, const char *begin, const char *word, unsigned n, const char *end)
{
    char *at = stpcpy(out, begin);

    while (n-- > 0)
        at = stpcpy(at, word);
    strcpy(at, end);
    return out;
}

static const struct {
    const char *begin, *word, *end;
    unsigned most;
    const char *why;
} bounds[] = {
    {"{\"subscribe\":[\"b\"", ",\"a\"", "]}", TOPIC_REQUEST_FILTERS - 1,
     "subscribe is a list of 1 to 64 topic filters"},
    {"{\"subscribe\":[\"b", "/+", "\"]}", TOPIC_LEVELS - 1,
     "a topic filter has at most 128 levels"},
    {"{\"data\":\"\",\"publish\":\"b", "/", "\"}", TOPIC_LEVELS - 1,
     "a topic has at most 128 levels"},
    {"{\"data\":\"\",\"publish\":\"a\",\"x\":[0", ",0", "]}", TOPIC_REQUEST_VALUES - 5,
     "the message has too many values"},
    {"{\"data\":\"\",\"publish\":\"a\",\"ref\":\"", "x", "\"}", TOPIC_REF_MAX - 2,
     "ref is at most 64 bytes"},
};

static void
test_bounds(void **state)
{
    struct topic_request request;
    char text[4096];

    (void)state;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        const char *begin = bounds[i].begin, *word = bounds[i].word, *end = bounds[i].end;
        const char *why = read_text(&request, repeated(text, begin, word, bounds[i].most, end));

        if (why != NULL)
            fail_msg("%s: %s", text, why);
        topic_request_clear(&request);
        why = read_text(&request, repeated(text, begin, word, bounds[i].most + 1, end));
        assert_string_equal(why, bounds[i].why);
    }
    assert_null(read_text(&request, "{\"x\":[[[[[[[1]]]]]]],\"y\":\"[[[[[[[[\\\"[[[[[[[[[{,\","
                                    "\"unsubscribe\":[\"a\"]}"));
    topic_request_clear(&request);
}

static int
open_guard(void **state)
{
    (void)state;
    guard = guard_open(4096);
    return 0;
}

static int
close_guard(void **state)
{
    (void)state;
    guard_close(&guard);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, open_guard, close_guard);
}
