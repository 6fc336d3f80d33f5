/* SPDX-License-Identifier: BSD-2-Clause */
/* Publications whose outcome comes late: to a client that is there, has just ended, or takes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/metrics.h"
#include "conf/conf.h"
#include "net/linger.h"
#include "net/stream_state.h"
#include "net_help.h"
#include "topic/sequence.h"
#include "topic/subscriber_state.h"
#include "topic/talk.h"

/* A bus that takes its time. */
struct slow_bus {
    struct bus bus;
    struct bus_publication *waiting[64];
    unsigned n;
};

struct client {
    struct subscriber subscriber;
    struct talk talk;
    unsigned looks;
};

struct fixture {
    struct test_loop test;
    struct slow_bus slow;
    struct hub *hub;
    struct linger_set lingers;
    struct conf_route route;
    struct metrics_route metrics;
    struct subscriber_owner owner;
    struct client *client;
    int peer;
};

static unsigned n_gone, n_freed;

static void
op_publish(struct bus *bus, struct bus_publication *publication)
{
    struct slow_bus *slow = (struct slow_bus *)bus;

    slow->waiting[slow->n++] = publication;
}

static void
answer_all(struct slow_bus *slow)
{
    for (unsigned i = 0; i < slow->n; i++) {
        topic_message_unref(slow->waiting[i]->topic);
        slow->waiting[i]->result = BUS_TAKEN;
        slow->waiting[i]->done(slow->waiting[i]);
    }
    slow->n = 0;
}

static void
op_event(struct subscriber *subscriber, const char *json, size_t len, const char *id)
{
    (void)id;
    stream_write(subscriber->stream, json, len);
}

static void
op_goodbye(struct subscriber *subscriber, uint16_t code, const char *reason)
{
    (void)subscriber;
    (void)code;
    (void)reason;
}

static void
op_nothing(struct subscriber *subscriber)
{
    (void)subscriber;
}

static double
op_look(struct subscriber *subscriber)
{
    container_of(subscriber, struct client, subscriber)->looks++;
    return 0;
}

static void
op_free(struct subscriber *subscriber)
{
    struct client *client = container_of(subscriber, struct client, subscriber);

    talk_deinit(&client->talk);
    free(client);
    n_freed++;
}

static void
on_gone(struct subscriber_owner *owner, const struct ending *ending, uint64_t in, uint64_t out)
{
    (void)owner;
    (void)ending;
    (void)in;
    (void)out;
    n_gone++;
}

static void
on_stream(struct stream_owner *owner)
{
    (void)owner;
}

static void
add_client(struct fixture *fixture)
{
    static const struct subscriber_kind kind = {METRICS_WEBSOCKET, op_event, NULL,   op_goodbye,
                                                op_nothing,        op_look,  op_free};
    static const struct stream_events events = {on_stream, on_stream};
    const struct subscriber_options options = {.hub = fixture->hub,
                                               .route = &fixture->route,
                                               .lingers = &fixture->lingers,
                                               .metrics = &fixture->metrics,
                                               .owner = &fixture->owner};
    struct client *client = calloc(1, sizeof *client);
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    fixture->client = client;
    fixture->peer = ends[1];
    client->subscriber.events = true;
    client->subscriber.stream_owner.events = &events;
    talk_init(&client->talk, op_nothing);
    subscriber_init(&client->subscriber, &kind, &options);
    client->subscriber.stream =
        stream_open(fixture->test.loop, ends[0], NULL, &client->subscriber.stream_owner);
    assert_non_null(client->subscriber.stream);
}

static void
start(struct fixture *fixture)
{
    static char any[] = "#", *publish[] = {any, NULL};
    static const struct bus_ops ops = {.publish = op_publish};
    static const struct conf_bus conf = {.history_messages = 10, .publish_timeout = 10};
    struct hub_options hub = {.bus = &fixture->slow.bus, .conf = &conf};

    memset(fixture, 0, sizeof *fixture);
    n_gone = n_freed = 0;
    test_loop_init(&fixture->test);
    fixture->slow.bus.ops = &ops;
    fixture->slow.bus.sequence = sequence_new();
    hub.loop = fixture->test.loop;
    fixture->hub = hub_new(&hub);
    assert_non_null(fixture->hub);
    linger_init(&fixture->lingers, fixture->test.loop);
    fixture->route.publish = publish;
    fixture->owner.gone = on_gone;
    add_client(fixture);
}

static void
stop(struct fixture *fixture)
{
    close(fixture->peer);
    run_for(&fixture->test, 0.01);
    assert_int_equal(n_freed, 1);
    hub_free(fixture->hub);
    test_loop_deinit(&fixture->test);
    sequence_free(fixture->slow.bus.sequence);
}

static void
say(struct client *client, const char *json)
{
    assert_int_equal(
        talk_take(&client->subscriber, &client->talk, (const uint8_t *)json, strlen(json), true),
        0);
}

static void
an_outcome_is_told(void **state)
{
    struct fixture fixture;
    char text[256] = "";

    (void)state;
    start(&fixture);
    say(fixture.client, "{\"publish\":\"a\",\"data\":\"x\",\"ref\":7}");
    assert_int_equal(read(fixture.peer, text, sizeof text - 1), -1);
    answer_all(&fixture.slow);
    assert_true(read(fixture.peer, text, sizeof text - 1) > 0);
    assert_string_equal(text, "{\"event\":\"ack\",\"ref\":7,\"id\":null}");
    subscriber_close(&fixture.client->subscriber);
    stop(&fixture);
}

/* Both in one turn of the loop: the subscriber is still there, but has no stream and no hub any more. */
static void
an_outcome_after_the_end_is_told_nobody(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture);
    say(fixture.client, "{\"publish\":\"a\",\"data\":\"x\",\"ref\":7}");
    say(fixture.client, "{\"publish\":\"a\",\"data\":\"x\"}");
    subscriber_end(&fixture.client->subscriber, false, ENDER_CLIENT, 1006, "");
    answer_all(&fixture.slow);
    assert_int_equal(n_gone, 1);
    assert_int_equal(fixture.metrics.topics.published, 2);
    stop(&fixture);
}

/* What it is told then waits: from there on there is a deadline. */
static void
an_outcome_that_is_not_taken_has_a_deadline(void **state)
{
    struct fixture fixture;
    char text[4096] = "";

    (void)state;
    start(&fixture);
    say(fixture.client, "{\"publish\":\"a\",\"data\":\"x\",\"ref\":7}");
    while (send(fixture.client->subscriber.stream->io.fd, text, sizeof text, MSG_NOSIGNAL) > 0)
        continue;
    assert_int_equal(fixture.client->looks, 0);
    answer_all(&fixture.slow);
    assert_true(stream_pending(fixture.client->subscriber.stream) > 0);
    assert_int_equal(fixture.client->looks, 1);
    subscriber_close(&fixture.client->subscriber);
    stop(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outcome_is_told),
        cmocka_unit_test(an_outcome_after_the_end_is_told_nobody),
        cmocka_unit_test(an_outcome_that_is_not_taken_has_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
