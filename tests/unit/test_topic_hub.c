/* SPDX-License-Identifier: BSD-2-Clause */
/* History, messages and their forms, cursors, and a hub on a memory bus with a loop of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "conf/conf.h"
#include "net_help.h"
#include "topic/backlog.h"
#include "topic/bus.h"
#include "topic/cursor.h"
#include "topic/history.h"
#include "topic/hub.h"
#include "topic/message.h"
#include "topic/sequence.h"

static struct topic_message *
make(const char *topic, const char *payload, uint64_t number)
{
    struct topic_message *message =
        topic_message_new(topic, strlen(topic), payload, strlen(payload), false);

    assert_non_null(message);
    message->number = number;
    return message;
}

static void
put(struct history *history, uint64_t number, const char *payload)
{
    struct topic_message *message = make("a", payload, number);

    history_add(history, message);
    topic_message_unref(message);
}

static void
history_keeps_the_last(void **state)
{
    struct history history;

    (void)state;
    history_init(&history, 20, 1 << 20);
    for (uint64_t i = 1; i <= 100; i++)
        put(&history, 2 * i, "x");
    assert_int_equal(history.n, 20);
    assert_int_equal(history.evicted, 160);
    assert_true(history_reaches(&history, 160));
    assert_false(history_reaches(&history, 159));
    assert_int_equal(history_after(&history, 160), 0);
    assert_int_equal(history_after(&history, 163), 1);
    assert_int_equal(history_after(&history, 200), 20);
    assert_int_equal(history_at(&history, history_after(&history, 199))->number, 200);
    history_break(&history, 207);
    assert_int_equal(history.n, 0);
    assert_false(history_reaches(&history, 206));
    assert_true(history_reaches(&history, 207));
    history_deinit(&history);
}

static void
history_is_bounded_by_bytes(void **state)
{
    struct history history;
    struct topic_message *probe = make("a", "0123456789", 1);
    size_t size = topic_message_cost(probe);
    char *large = malloc(10 * size);

    (void)state;
    history_init(&history, 1000, 3 * size);
    for (uint64_t i = 1; i <= 10; i++)
        put(&history, i, "0123456789");
    assert_int_equal(history.n, 3);
    assert_int_equal(history.bytes, 3 * size);
    memset(large, 'x', 10 * size - 1);
    large[10 * size - 1] = '\0';
    put(&history, 11, large); /* it cannot be kept, nor anything before it */
    assert_int_equal(history.evicted, 11);
    history_deinit(&history);
    history_init(&history, 0, 1000);
    put(&history, 5, "x");
    assert_int_equal(history.evicted, 5);
    history_deinit(&history);
    topic_message_unref(probe);
    free(large);
}

static void
assert_form(const char *payload, size_t len, enum topic_form form, const char *expected,
            size_t expected_len)
{
    struct topic_message *message = topic_message_new("t/a", 3, payload, len, false);
    struct blob *blob;

    assert_non_null(message);
    message->number = 42;
    blob = topic_message_form(message, form, "e");
    assert_non_null(blob);
    assert_int_equal(blob->len, expected_len);
    assert_memory_equal(blob->data, expected, expected_len);
    assert_ptr_equal(topic_message_form(message, form, "e"), blob);
    topic_message_unref(message);
}

#define FORM(payload, form, expected)                                                              \
    assert_form(payload, sizeof payload - 1, form, expected, sizeof expected - 1)

static void
forms(void **state)
{
    (void)state;
    FORM("hi", TOPIC_FORM_FRAME, "\x81\x27{\"topic\":\"t/a\",\"id\":\"e-42\",\"data\":\"hi\"}");
    FORM("hi", TOPIC_FORM_FRAME_RETAINED,
         "\x81\x2b{\"topic\":\"t/a\",\"data\":\"hi\",\"retained\":true}");
    FORM("hi", TOPIC_FORM_FRAME_RAW, "\x81\x02hi");
    FORM("\xff", TOPIC_FORM_FRAME_RAW, "\x82\x01\xff");
    FORM("", TOPIC_FORM_FRAME_RAW, "\x81\x00");
    FORM("hi", TOPIC_FORM_EVENT,
         "id: e-42\ndata: {\"topic\":\"t/a\",\"id\":\"e-42\",\"data\":\"hi\"}\n\n");
    FORM("\n", TOPIC_FORM_EVENT_RETAINED,
         "data: {\"topic\":\"t/a\",\"data\":\"\\n\",\"retained\":true}\n\n");
    FORM("a\n\nb\n", TOPIC_FORM_EVENT_RAW, "id: e-42\ndata: a\ndata: \ndata: b\ndata: \n\n");
    FORM("a\r", TOPIC_FORM_EVENT_RAW, "id: e-42\nevent: base64\ndata: YQ0=\n\n");
    FORM("\xff", TOPIC_FORM_EVENT_RAW_RETAINED, "event: base64\ndata: /w==\n\n");
    FORM("", TOPIC_FORM_EVENT_RAW, "id: e-42\ndata: \n\n");
}

static void
cursors(void **state)
{
    char text[CURSOR_MAX + 1];
    uint64_t number = 0;

    (void)state;
    assert_string_equal(cursor_write(text, "0123", 77), "0123-77");
    assert_int_equal(cursor_read("0123-77", "0123", &number), 0);
    assert_int_equal(number, 77);
    assert_int_equal(cursor_read("0124-77", "0123", &number), -1);
    assert_int_equal(cursor_read("0123-", "0123", &number), -1);
    assert_int_equal(cursor_read("0123", "0123", &number), -1);
    assert_int_equal(cursor_read("0123-7x", "0123", &number), -1);
    assert_int_equal(cursor_read("0123-99999999999999999999", "0123", &number), -1);
}

/* ---- a hub ---- */

struct listener {
    struct hub_member member;
    struct hub_filter filters[3];
    char seen[512];
    unsigned flushes;
};

static void
on_message(struct hub_member *member, struct topic_message *message)
{
    struct listener *listener = (struct listener *)member;

    sprintf(listener->seen + strlen(listener->seen), "%u:%s ", (unsigned)message->number,
            topic_message_topic(message));
}

static void
on_note(struct hub_member *member, enum hub_note note)
{
    struct listener *listener = (struct listener *)member;

    sprintf(listener->seen + strlen(listener->seen), "%c ", "DUR"[note]);
}

static void
on_flush(struct hub_member *member)
{
    ((struct listener *)member)->flushes++;
}

struct fixture {
    struct test_loop test;
    struct sequence *sequence;
    struct bus *bus;
    struct hub *hub;
};

static void
start(struct fixture *fixture, const struct conf_bus *conf)
{
    struct bus_options bus;
    struct hub_options hub;

    test_loop_init(&fixture->test);
    fixture->sequence = sequence_new();
    assert_non_null(fixture->sequence);
    bus =
        (struct bus_options){.conf = conf, .log = fixture->test.log, .sequence = fixture->sequence};
    fixture->bus = bus_memory_open(&bus);
    assert_non_null(fixture->bus);
    hub = (struct hub_options){.loop = fixture->test.loop, .bus = fixture->bus, .conf = conf};
    fixture->hub = hub_new(&hub);
    assert_non_null(fixture->hub);
}

static void
stop(struct fixture *fixture)
{
    fixture->bus->ops->close(fixture->bus);
    hub_free(fixture->hub);
    test_loop_deinit(&fixture->test);
    sequence_free(fixture->sequence);
}

static void
join(struct fixture *fixture, struct listener *listener)
{
    static const struct hub_ops ops = {on_message, on_note, on_flush};

    memset(listener, 0, sizeof *listener);
    hub_join(fixture->hub, &listener->member, &ops);
}

static void
leave(struct listener *listener)
{
    for (unsigned i = 0; i < 3; i++)
        hub_unsubscribe(&listener->filters[i]);
    hub_leave(&listener->member);
    hub_leave(&listener->member);
}

static void
follow(struct listener *listener, unsigned i, const char *filter)
{
    assert_int_equal(
        hub_subscribe(&listener->member, &listener->filters[i], filter, strlen(filter)), 0);
}

/* From this worker's own loop, or from elsewhere. */
static void
publish(struct fixture *fixture, enum sequence_kind kind, const char *topic, const char *payload,
        bool mine)
{
    struct topic_message *message = topic == NULL ? NULL : make(topic, payload, 0);

    if (message != NULL && payload[0] == '!')
        message->retain = true;
    if (message != NULL && strcmp(payload, "-") == 0) {
        topic_message_unref(message);
        message = make(topic, "", 0);
        message->retain = true;
    }
    (void)sequence_put(fixture->sequence, kind, message, mine ? fixture->test.loop : NULL);
    topic_message_unref(message);
}

static void
a_hub_fans_out(void **state)
{
    const struct conf_bus conf = {.history_messages = 100,
                                  .history_bytes = 1 << 20,
                                  .retained_max = 10,
                                  .retained_bytes = 1 << 20};
    struct fixture fixture;
    struct listener both, one;

    (void)state;
    start(&fixture, &conf);
    join(&fixture, &both);
    join(&fixture, &one);
    follow(&both, 0, "a/#");
    follow(&both, 1, "+/b");
    follow(&both, 2, "a/b");
    follow(&one, 0, "c");
    for (unsigned i = 0; i < 2; i++) {
        publish(&fixture, SEQUENCE_MESSAGE, "a/b", "x", i == 0);
        publish(&fixture, SEQUENCE_MESSAGE, "c", "x", i == 0);
        publish(&fixture, SEQUENCE_MESSAGE, "d", "x", i == 0);
        run_for(&fixture.test, 0.01);
    }
    publish(&fixture, SEQUENCE_DOWN, NULL, NULL, false);
    publish(&fixture, SEQUENCE_UP, NULL, NULL, false);
    publish(&fixture, SEQUENCE_BREAK, NULL, NULL, false);
    run_for(&fixture.test, 0.01);
    assert_string_equal(both.seen, "1:a/b 4:a/b D U R ");
    assert_string_equal(one.seen, "2:c 5:c D U R ");
    assert_int_equal(both.flushes, 3); /* once for what came together */
    assert_int_equal(hub_history(fixture.hub)->n, 0);
    assert_int_equal(hub_history(fixture.hub)->evicted, 9);
    leave(&both);
    leave(&one);
    assert_int_equal(hub_members(fixture.hub), 0);
    stop(&fixture);
}

/* A cursor that is ahead of this worker holds for what came with it, and for nothing else. */
static void
a_filter_begins_later(void **state)
{
    const struct conf_bus conf = {.history_messages = 100, .history_bytes = 1 << 20};
    struct fixture fixture;
    struct listener listener;

    (void)state;
    start(&fixture, &conf);
    join(&fixture, &listener);
    follow(&listener, 0, "a");
    follow(&listener, 1, "+");
    listener.filters[1].after = 3;
    for (unsigned i = 0; i < 3; i++) {
        publish(&fixture, SEQUENCE_MESSAGE, "a", "x", true);
        publish(&fixture, SEQUENCE_MESSAGE, "b", "x", true);
    }
    run_for(&fixture.test, 0.01);
    assert_string_equal(listener.seen, "1:a 3:a 4:b 5:a 6:b ");
    leave(&listener);
    stop(&fixture);
}

static void
assert_retained(struct hub *hub, const char *filter, const char *expected)
{
    const struct span filters[] = {{filter, strlen(filter)}};
    const struct backlog_options options = {
        .hub = hub, .filters = filters, .n_filters = 1, .retained = true};
    struct backlog *backlog = backlog_new(&options);
    struct topic_message *messages[8];
    char text[256] = "";
    unsigned n;

    assert_non_null(backlog);
    while ((n = backlog_retained(backlog, messages, 1)) > 0) {
        sprintf(text + strlen(text), "%s=%.*s ", topic_message_topic(messages[0]),
                (int)messages[0]->payload_len, topic_message_payload(messages[0]));
        backlog_retained_sent(backlog, n);
    }
    assert_string_equal(text, expected);
    backlog_free(backlog);
}

static void
retained_values(void **state)
{
    const struct conf_bus conf = {.history_messages = 100,
                                  .history_bytes = 1 << 20,
                                  .retained_max = 3,
                                  .retained_bytes = 2 * 350};
    struct fixture fixture;
    struct listener listener;

    (void)state;
    start(&fixture, &conf);
    join(&fixture, &listener);
    follow(&listener, 0, "#");
    publish(&fixture, SEQUENCE_MESSAGE, "a", "!1", true);
    publish(&fixture, SEQUENCE_MESSAGE, "b", "!2", true);
    publish(&fixture, SEQUENCE_MESSAGE, "a", "3", true);   /* not to be kept */
    publish(&fixture, SEQUENCE_RETAINED, "b", "!2", true); /* no news */
    publish(&fixture, SEQUENCE_RETAINED, "c", "!4", true);
    publish(&fixture, SEQUENCE_MESSAGE, "d", "!5", true); /* one too many is told, not kept */
    run_for(&fixture.test, 0.01);
    assert_string_equal(listener.seen, "1:a 2:b 3:a 5:c 6:d ");
    assert_retained(fixture.hub, "#", "a=!1 b=!2 c=!4 ");
    assert_false(hub_retains(fixture.hub, "d", 1, 2));
    publish(&fixture, SEQUENCE_MESSAGE, "a", "-", true);
    run_for(&fixture.test, 0.01);
    assert_retained(fixture.hub, "#", "b=!2 c=!4 ");
    assert_true(hub_retains(fixture.hub, "d", 1, 2));
    /* The broker comes back and tells of c alone: b is kept there no more. */
    publish(&fixture, SEQUENCE_DOWN, NULL, NULL, true);
    publish(&fixture, SEQUENCE_RETAINED, "$SYS/a", "!6", true);
    publish(&fixture, SEQUENCE_DOWN, NULL, NULL, true);
    publish(&fixture, SEQUENCE_RETAINED, "c", "!4", true);
    publish(&fixture, SEQUENCE_UP, NULL, NULL, true);
    publish(&fixture, SEQUENCE_BREAK, NULL, NULL, true);
    run_for(&fixture.test, 0.01);
    assert_retained(fixture.hub, "$SYS/#", "$SYS/a=!6 ");
    run_for(&fixture.test, 2.1);
    assert_retained(fixture.hub, "$SYS/#", "");
    assert_retained(fixture.hub, "#", "c=!4 ");
    leave(&listener);
    stop(&fixture);
}

/* A worker that does not read is told that something is missing, and memory is bounded. */
static void
an_inbox_is_bounded(void **state)
{
    const struct conf_bus conf = {.history_messages = 1000,
                                  .history_bytes = 1 << 30,
                                  .retained_max = 3,
                                  .retained_bytes = 2 * 350};
    char *large = malloc((4 << 20) + 1);
    struct fixture fixture;
    struct listener listener;

    (void)state;
    memset(large, 'x', 4 << 20);
    large[4 << 20] = '\0';
    start(&fixture, &conf);
    join(&fixture, &listener);
    follow(&listener, 0, "a");
    for (unsigned i = 0; i < 20; i++)
        publish(&fixture, SEQUENCE_MESSAGE, "a", large, false);
    publish(&fixture, SEQUENCE_DOWN, NULL, NULL, false);
    run_for(&fixture.test, 0.05);
    assert_string_equal(listener.seen,
                        "1:a 2:a 3:a 4:a 5:a 6:a 7:a 8:a 9:a 10:a 11:a 12:a 13:a 14:a 15:a R D ");
    assert_int_equal(hub_history(fixture.hub)->evicted, 20);
    leave(&listener);
    stop(&fixture);
    free(large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_keeps_the_last),
        cmocka_unit_test(history_is_bounded_by_bytes),
        cmocka_unit_test(forms),
        cmocka_unit_test(cursors),
        cmocka_unit_test(a_hub_fans_out),
        cmocka_unit_test(a_filter_begins_later),
        cmocka_unit_test(retained_values),
        cmocka_unit_test(an_inbox_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
