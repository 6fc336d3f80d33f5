/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams that pass on what is in a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pipes.h"
#include "stream_pair.h"

static int
set_up_pipes(void **state)
{
    set_up_plain(state);
    loop_open_pipes(((struct pair *)*state)->test.loop);
    return 0;
}

/* A pipe with bytes of the sequence, as if a socket had brought them. */
static struct pipe *
fill_pipe(struct pair *pair, size_t from, size_t len)
{
    struct pipe *pipe = loop_pipe_get(pair->test.loop);
    uint8_t byte[1000];
    int fds[2];
    size_t i;

    assert_non_null(pipe);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    while (len > 0) {
        size_t n = len < sizeof byte ? len : sizeof byte;

        for (i = 0; i < n; i++)
            byte[i] = expected(from + i);
        assert_int_equal(write(fds[0], byte, n), n);
        assert_int_equal(pipe_fill(pipe, fds[1], n), n);
        from += n;
        len -= n;
    }
    close(fds[0]);
    close(fds[1]);
    return pipe;
}

/* Sends a header of 4 bytes and a pipe with 16,000; returns how far the sequence has come. */
static size_t
send_piped(struct pair *pair, size_t from)
{
    const uint8_t header[] = {expected(from), expected(from + 1), expected(from + 2),
                              expected(from + 3)};

    assert_int_equal(stream_write_piped(pair->client.stream, header, sizeof header,
                                        fill_pipe(pair, from + sizeof header, 16000)),
                     0);
    return from + sizeof header + 16000;
}

/* More than the socket takes: the last pipe keeps its bytes. */
static size_t
send_until_full(struct pair *pair)
{
    size_t sent = 0;

    while (stream_pending(pair->client.stream) == 0)
        sent = send_piped(pair, sent);
    return sent;
}

static void
expect_all(struct pair *pair, size_t sent)
{
    stream_shutdown(pair->client.stream);
    stream_want_read(pair->server.stream, true);
    run_until(&pair->test, &pair->server.over, 1);
    assert_int_equal(pair->server.how, STREAM_END);
    assert_int_equal(pair->server.got, sent);
    assert_int_equal(pair->server.wrong, 0);
    assert_int_equal(loop_sockets(pair->test.loop), 2); /* no pipe of its own is left */
}

static void
test_what_the_socket_takes_leaves_nothing_behind(void **state)
{
    struct pair *pair = *state;
    size_t sent = send_piped(pair, send_piped(pair, 0));

    assert_int_equal(stream_pending(pair->client.stream), 0);
    expect_all(pair, sent);
}

/* What is written later waits behind the pipe, in order. */
static void
test_what_it_does_not_take_waits_in_the_pipe(void **state)
{
    struct pair *pair = *state;
    size_t sent = send_until_full(pair), waiting = stream_pending(pair->client.stream);

    assert_true(waiting <= 16000);
    assert_int_equal(loop_pool(pair->test.loop)->n_borrowed, 0);
    send_sequence(pair->client.stream, sent, 100000);
    assert_int_equal(stream_pending(pair->client.stream), waiting + 100000);
    assert_true(stream_write_due(pair->client.stream, 10) > 0);
    expect_all(pair, sent + 100000);
    assert_true(stream_write_due(pair->client.stream, 10) == 0);
}

/* The socket is full before the header comes: it must not end up behind its bytes. */
static void
test_a_header_that_has_to_wait_takes_its_bytes_with_it(void **state)
{
    struct pair *pair = *state;
    size_t sent = 0;
    uint8_t byte = expected(0);

    while (send(pair->client.fd, &byte, 1, MSG_DONTWAIT) == 1)
        byte = expected(++sent);
    sent = send_piped(pair, sent);
    assert_int_equal(stream_pending(pair->client.stream), 16004);
    assert_true(loop_pool(pair->test.loop)->n_borrowed > 0);
    assert_true(stream_write_due(pair->client.stream, 10) > 0);
    expect_all(pair, sent);
}

static void
test_a_pipe_that_is_not_sent_is_given_back(void **state)
{
    struct pair *pair = *state;

    send_until_full(pair);
    stream_close(pair->server.stream); /* with bytes that it has not read: a reset */
    pair->server.stream = NULL;
    stream_want_read(pair->client.stream, true);
    run_until(&pair->test, &pair->client.over, 1);
    assert_true(stream_is_broken(pair->client.stream));
    assert_int_equal(stream_pending(pair->client.stream), 0);
    assert_int_equal(stream_write_piped(pair->client.stream, "head", 4, fill_pipe(pair, 0, 10)),
                     -1);
}

static void
test_a_stream_that_is_closed_gives_its_pipe_back(void **state)
{
    struct pair *pair = *state;

    struct pipe *pipe;

    send_until_full(pair);
    stream_close(pair->client.stream);
    pair->client.stream = NULL;
    pipe = loop_pipe_get(pair->test.loop); /* the first one again, empty */
    assert_int_equal(pipe->len, 0);
    assert_int_equal(loop_sockets(pair->test.loop), 1);
    loop_pipe_put(pair->test.loop, pipe);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_PIPES(test) cmocka_unit_test_setup_teardown(test, set_up_pipes, tear_down)
        WITH_PIPES(test_what_the_socket_takes_leaves_nothing_behind),
        WITH_PIPES(test_what_it_does_not_take_waits_in_the_pipe),
        WITH_PIPES(test_a_header_that_has_to_wait_takes_its_bytes_with_it),
        WITH_PIPES(test_a_pipe_that_is_not_sent_is_given_back),
        WITH_PIPES(test_a_stream_that_is_closed_gives_its_pipe_back),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
