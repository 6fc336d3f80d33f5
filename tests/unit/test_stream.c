/* SPDX-License-Identifier: BSD-2-Clause */
/* stream and linger over real sockets, each scenario plain and with TLS. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "stream_pair.h"

static void
test_what_the_socket_does_not_take_follows_in_order(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    stream_want_read(pair->server.stream, false);
    flood(pair->client.stream);
    assert_true(stream_pending(pair->client.stream) > 0);
    assert_false(stream_flushed(pair->client.stream));
    stream_shutdown(pair->client.stream);
    stream_want_read(pair->server.stream, true);
    run_until(&pair->test, &pair->server.over, 1);
    assert_int_equal(pair->server.how, STREAM_END);
    assert_int_equal(pair->server.got, FLOOD);
    assert_int_equal(pair->server.wrong, 0);
    assert_true(stream_flushed(pair->client.stream));
    assert_int_equal(loop_pool(pair->test.loop)->n_borrowed, 0);
}

/* With TLS the rest of a record lies decrypted in OpenSSL, and no event of the socket tells of it.
 */
static void
test_a_paused_reader_finds_the_rest_when_it_goes_on(void **state)
{
    struct pair *pair = *state;
    unsigned i;

    shake_hands(pair);
    pair->server.once = true;
    pair->server.read_max = 1000;
    send_sequence(pair->client.stream, 0, 10000);
    for (i = 1; i <= 10; i++) {
        run_until(&pair->test, &pair->server.reads, i);
        run_for(&pair->test, 0.005);
        assert_int_equal(pair->server.got, i * 1000);
        stream_want_read(pair->server.stream, true);
    }
    assert_int_equal(pair->server.wrong, 0);
}

/* To change what is watched must not lose the event that stands for what is decrypted, or read ahead. */
static void
test_what_was_read_ahead_is_told_though_writing_begins_to_wait(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    stream_want_read(pair->client.stream, false);
    pair->server.once = true;
    pair->server.read_max = 10;
    send_sequence(pair->client.stream, 0, 10);
    send_sequence(pair->client.stream, 10, 10);
    run_until(&pair->test, &pair->server.reads, 1);
    stream_want_read(pair->server.stream, true);
    flood(pair->server.stream);
    assert_true(stream_pending(pair->server.stream) > 0);
    run_until(&pair->test, &pair->server.reads, 2);
    assert_int_equal(pair->server.got, 20);
    assert_int_equal(pair->server.wrong, 0);
}

static void
test_small_reads_get_everything_without_pausing(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    pair->server.read_max = 100;
    send_sequence(pair->client.stream, 0, 20000);
    run_until(&pair->test, &pair->server.reads, 200);
    assert_int_equal(pair->server.got, 20000);
    assert_int_equal(pair->server.wrong, 0);
}

static void
test_one_side_may_end_while_the_other_talks_on(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    stream_shutdown(pair->server.stream);
    run_until(&pair->test, &pair->client.over, 1);
    assert_int_equal(pair->client.how, STREAM_END);
    send_sequence(pair->client.stream, 0, 5000);
    stream_shutdown(pair->client.stream);
    run_until(&pair->test, &pair->server.over, 1);
    assert_int_equal(pair->server.how, STREAM_END);
    assert_int_equal(pair->server.got, 5000);
}

/* Without close_notify nobody knows whether that was all; without TLS a FIN is an end. */
static void
test_a_truncated_stream_is_broken_where_that_can_be_told(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    send_sequence(pair->client.stream, 0, 100);
    stream_close(pair->client.stream);
    pair->client.stream = NULL;
    run_until(&pair->test, &pair->server.over, 1);
    assert_int_equal(pair->server.got, 100);
    assert_int_equal(pair->server.how, pair->secure ? STREAM_BROKEN : STREAM_END);
    assert_true(strlen(stream_why(pair->server.stream)) > 0);
}

static void
test_a_stream_may_be_closed_in_its_own_callback(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    pair->server.close_there = true;
    send_sequence(pair->client.stream, 0, 20000);
    run_until(&pair->test, &pair->server.over, 1);
    run_for(&pair->test, 0.01);
    assert_int_equal(pair->server.over, 1);
}

static void
test_writing_to_a_reset_stream_tells_and_keeps_nothing(void **state)
{
    struct pair *pair = *state;
    unsigned i;

    shake_hands(pair);
    send_sequence(pair->client.stream, 0, 1000); /* unread: the close becomes a reset */
    stream_want_read(pair->server.stream, false);
    run_for(&pair->test, 0.01);
    stream_close(pair->server.stream);
    pair->server.stream = NULL;
    for (i = 0; i < 100 && stream_write(pair->client.stream, "x", 1) == 0; i++)
        continue;
    assert_int_equal(stream_write(pair->client.stream, "x", 1), -1);
    assert_int_equal(stream_pending(pair->client.stream), 0);
    assert_true(strlen(stream_why(pair->client.stream)) > 0);
}

static void
test_who_takes_little_is_told_from_who_takes_nothing(void **state)
{
    struct pair *pair = *state;
    struct stream *sender = pair->client.stream;
    double begin;

    shake_hands(pair);
    pair->server.once = true;
    pair->server.read_max = 16384;
    stream_want_read(pair->server.stream, false);
    flood(sender);
    flood(sender); /* more than the kernel takes in the course of the test */
    run_for(&pair->test, 0.05);
    begin = loop_now(pair->test.loop);
    assert_true(stream_write_due(sender, 0.5) > 0);
    /* A read now and then, each of one buffer: the socket may not even become writable. */
    while (loop_now(pair->test.loop) < begin + 1.5) {
        stream_want_read(pair->server.stream, true);
        run_for(&pair->test, 0.005);
        assert_false(stream_takes_nothing(sender, 0.5));
    }
    begin = loop_now(pair->test.loop);
    while (!stream_takes_nothing(sender, 0.5) && loop_now(pair->test.loop) < begin + 4)
        run_for(&pair->test, 0.02);
    assert_true(loop_now(pair->test.loop) < begin + 4);
    assert_true(loop_now(pair->test.loop) >= begin + 0.24);
}

static void
test_lingering_delivers_what_waits_and_ends_with_the_peer(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    stream_want_read(pair->server.stream, false);
    flood(pair->client.stream);
    linger_start(&pair->lingers, pair->client.stream, 10, 10);
    pair->client.stream = NULL;
    assert_int_equal(pair->lingers.n_members, 1);
    stream_want_read(pair->server.stream, true);
    run_until(&pair->test, &pair->server.over, 1);
    assert_int_equal(pair->server.got, FLOOD);
    assert_int_equal(pair->server.how, STREAM_END);
    stream_shutdown(pair->server.stream);
    run_for(&pair->test, 0.05);
    assert_int_equal(pair->lingers.n_members, 0);
}

static void
test_lingering_is_bounded_in_time_and_bytes(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    linger_start(&pair->lingers, pair->client.stream, 10, 0.05);
    pair->client.stream = NULL;
    run_for(&pair->test, 0.2);
    assert_int_equal(pair->lingers.n_members, 0);
    linger_start(&pair->lingers, pair->server.stream, 10, 10);
    pair->server.stream = NULL;
    run_for(&pair->test, 0.05);
    assert_int_equal(pair->lingers.n_members, 0);
}

static void
test_lingering_cuts_off_who_talks_on(void **state)
{
    struct pair *pair = *state;

    shake_hands(pair);
    linger_start(&pair->lingers, pair->server.stream, 10, 10);
    pair->server.stream = NULL;
    flood(pair->client.stream);
    run_for(&pair->test, 0.2);
    assert_int_equal(pair->lingers.n_members, 0);
}

#define BOTH_WAYS(test)                                                                            \
    {#test " (plain)", test, set_up_plain, tear_down, NULL},                                       \
    {                                                                                              \
#test " (TLS)", test, set_up_tls, tear_down, NULL                                          \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(test_what_the_socket_does_not_take_follows_in_order),
        BOTH_WAYS(test_a_paused_reader_finds_the_rest_when_it_goes_on),
        BOTH_WAYS(test_what_was_read_ahead_is_told_though_writing_begins_to_wait),
        BOTH_WAYS(test_small_reads_get_everything_without_pausing),
        BOTH_WAYS(test_one_side_may_end_while_the_other_talks_on),
        BOTH_WAYS(test_a_truncated_stream_is_broken_where_that_can_be_told),
        BOTH_WAYS(test_a_stream_may_be_closed_in_its_own_callback),
        BOTH_WAYS(test_writing_to_a_reset_stream_tells_and_keeps_nothing),
        BOTH_WAYS(test_who_takes_little_is_told_from_who_takes_nothing),
        BOTH_WAYS(test_lingering_delivers_what_waits_and_ends_with_the_peer),
        BOTH_WAYS(test_lingering_is_bounded_in_time_and_bytes),
        BOTH_WAYS(test_lingering_cuts_off_who_talks_on),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
