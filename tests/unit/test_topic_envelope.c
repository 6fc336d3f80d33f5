/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "topic/envelope.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SPAN(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define DATA(text) (const uint8_t *)text, sizeof(text) - 1

enum {
    ROOM = 512,
};

static const struct {
    struct topic_envelope message;
    const char *json;
} messages[] = {
    {{SPAN("a/b"), "e-1", DATA("text"), true, false},
     "{\"topic\":\"a/b\",\"id\":\"e-1\",\"data\":\"text\"}"},
    {{SPAN("a/b"), "e-1", DATA("\0\xff"), false, false},
     "{\"topic\":\"a/b\",\"id\":\"e-1\",\"data64\":\"AP8=\"}"},
    {{SPAN("a"), NULL, DATA("1"), true, true},
     "{\"topic\":\"a\",\"data\":\"1\",\"retained\":true}"},
    {{SPAN("a"), NULL, DATA("\x80"), false, true},
     "{\"topic\":\"a\",\"data64\":\"gA==\",\"retained\":true}"},
    {{SPAN("a"), "e-2", NULL, 0, true, false}, "{\"topic\":\"a\",\"id\":\"e-2\",\"data\":\"\"}"},
    {{SPAN("q\"\\\n/\xc3\xa9"), "e-3", DATA("\0\x1f\r\n\t\"\\\x7f\xe2\x80\xa8"), true, false},
     "{\"topic\":\"q\\\"\\\\\\n/\xc3\xa9\",\"id\":\"e-3\","
     "\"data\":\"\\u0000\\u001f\\r\\n\\t\\\"\\\\\x7f\xe2\x80\xa8\"}"},
};

static struct guard guard;

/* Room for just so much, at a page that faults. */
static char *
room(size_t len)
{
    static const char blank[ROOM];

    assert_true(len <= ROOM);
    return guard_end(&guard, blank, len);
}

static void
check(const char *out, size_t len, const char *json)
{
    assert_int_equal(len, strlen(json));
    assert_memory_equal(out, json, len);
}

static void
test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct topic_envelope *message = &messages[i].message;
        char *out = room(topic_envelope_message(NULL, message));

        check(out, topic_envelope_message(out, message), messages[i].json);
    }
}

#define CHECK_EVENT(call, json)                                                                    \
    do {                                                                                           \
        char *out = NULL;                                                                          \
        out = room(call);                                                                          \
        check(out, call, json);                                                                    \
    } while (0)

static void
test_events(void **state)
{
    static const struct span filters[] = {SPAN("a/+"), SPAN("\"")};

    (void)state;
    CHECK_EVENT(topic_envelope_subscribed(out, filters, 2, "e-7"),
                "{\"event\":\"subscribed\",\"topics\":[\"a/+\",\"\\\"\"],\"since\":\"e-7\"}");
    CHECK_EVENT(topic_envelope_subscribed(out, filters, 0, "e-7"),
                "{\"event\":\"subscribed\",\"topics\":[],\"since\":\"e-7\"}");
    CHECK_EVENT(topic_envelope_cursor(out, "e-7"), "{\"event\":\"cursor\",\"since\":\"e-7\"}");
    CHECK_EVENT(topic_envelope_reset(out), "{\"event\":\"reset\"}");
    CHECK_EVENT(topic_envelope_dropped(out, 3), "{\"event\":\"dropped\",\"count\":3}");
    CHECK_EVENT(topic_envelope_dropped(out, UINT64_MAX),
                "{\"event\":\"dropped\",\"count\":18446744073709551615}");
    CHECK_EVENT(topic_envelope_bus(out, true), "{\"event\":\"bus\",\"state\":\"up\"}");
    CHECK_EVENT(topic_envelope_bus(out, false), "{\"event\":\"bus\",\"state\":\"down\"}");
    CHECK_EVENT(topic_envelope_ack(out, "\"r\"", "e-9"),
                "{\"event\":\"ack\",\"ref\":\"r\",\"id\":\"e-9\"}");
    CHECK_EVENT(topic_envelope_ack(out, "4", NULL), "{\"event\":\"ack\",\"ref\":4,\"id\":null}");
    CHECK_EVENT(topic_envelope_error(out, "4", "not \"allowed\""),
                "{\"event\":\"error\",\"ref\":4,\"reason\":\"not \\\"allowed\\\"\"}");
    CHECK_EVENT(topic_envelope_error(out, "", "no"), "{\"event\":\"error\",\"reason\":\"no\"}");
}

static int
open_guard(void **state)
{
    (void)state;
    guard = guard_open(ROOM);
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
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_events),
    };

    return cmocka_run_group_tests(tests, open_guard, close_guard);
}
