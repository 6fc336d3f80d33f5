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
#include "conf/conf.h"
#include "net/linger.h"
#include "net/stream.h"
#include "net/tls.h"
#include "net_help.h"
#include "tls_certs.h"

enum {
    FLOOD = 6 * 1024 * 1024, /* more than two sockets hold */
};

/* One end of a connection: counts, checks and reads as the test wants. */
struct end {
    struct stream_owner owner;
    struct stream *stream;
    struct loop *loop;
    size_t read_max; /* bytes read at once */
    size_t got;
    unsigned wrong;   /* bytes that were not the expected ones */
    unsigned over;    /* STREAM_END or STREAM_BROKEN came */
    ssize_t how;      /* which */
    unsigned reads;   /* with bytes */
    bool once;        /* pause after each read */
    bool close_there; /* close in the callback */
};

struct pair {
    struct test_loop test;
    struct certs certs;
    struct conf conf;
    struct conf_tls conf_tls;
    struct conf_route route;
    struct tls *tls;
    struct linger_set lingers;
    struct end server;
    struct end client;
    bool secure;
};

static uint8_t
expected(size_t i)
{
    return (uint8_t)(i * 7 + i / 255);
}

static void
on_readable(struct stream_owner *owner)
{
    struct end *end = container_of(owner, struct end, owner);
    uint8_t *scratch = loop_scratch(end->loop);
    ssize_t n = stream_read(end->stream, scratch, end->read_max);
    ssize_t i;

    if (n == STREAM_AGAIN)
        return;
    if (end->close_there) {
        stream_close(end->stream);
        end->stream = NULL;
        end->over++;
        return;
    }
    if (n <= 0) {
        end->how = n;
        end->over++;
        return;
    }
    for (i = 0; i < n; i++)
        if (scratch[i] != expected(end->got++))
            end->wrong++;
    end->reads++;
    if (end->once)
        stream_want_read(end->stream, false);
}

static void
on_progress(struct stream_owner *owner)
{
    (void)owner;
}

static void
open_end(struct pair *pair, struct end *end, int fd, SSL *ssl)
{
    static const struct stream_events events = {on_readable, on_progress};

    end->owner.events = &events;
    end->loop = pair->test.loop;
    end->read_max = LOOP_SCRATCH;
    end->stream = stream_open(pair->test.loop, fd, ssl, &end->owner);
    assert_non_null(end->stream);
}

static void
connect_tcp(int fds[2])
{
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);
    const int small = 65536; /* so that its reads show at the sender soon */
    struct addr addr;

    assert_int_equal(addr_from_ip(&addr, "127.0.0.1", port), 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&addr.storage, addr.len), 0);
    do
        fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fds[1] < 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    close(listener);
}

static void
make_tls(struct pair *pair)
{
    struct conf_report report;
    struct cert cert;

    cert = cert_make(&pair->certs, (struct cert_options){.name = "server"});
    pair->conf_tls.certificate = (char *)(uintptr_t)cert.cert_file;
    pair->conf_tls.private_key = (char *)(uintptr_t)cert.key_file;
    pair->route.target.kind = CONF_TARGET_TLS;
    pair->route.target.host = (char *)(uintptr_t) "localhost";
    pair->conf.references = 1000; /* never freed by its user */
    pair->conf.tls = &pair->conf_tls;
    pair->conf.n_tls = 1;
    pair->conf.routes = &pair->route;
    pair->conf.n_routes = 1;
    conf_report_init(&report, "test");
    pair->tls = tls_new(&pair->conf, &report);
    assert_int_equal(report.n_mistakes, 0);
    conf_report_deinit(&report);
    cert_free(&cert);
}

static int
set_up(void **state, bool secure)
{
    struct pair *pair = calloc(1, sizeof *pair);
    int fds[2];

    test_loop_init(&pair->test);
    linger_init(&pair->lingers, pair->test.loop);
    certs_init(&pair->certs);
    pair->secure = secure;
    if (secure)
        make_tls(pair);
    connect_tcp(fds);
    open_end(pair, &pair->client, fds[0], secure ? tls_connect(pair->tls, 0) : NULL);
    open_end(pair, &pair->server, fds[1], secure ? tls_accept(pair->tls) : NULL);
    *state = pair;
    return 0;
}

static int
set_up_plain(void **state)
{
    return set_up(state, false);
}

static int
set_up_tls(void **state)
{
    return set_up(state, true);
}

static int
tear_down(void **state)
{
    struct pair *pair = *state;

    stream_close(pair->client.stream);
    stream_close(pair->server.stream);
    linger_close_all(&pair->lingers);
    test_loop_deinit(&pair->test);
    tls_unref(pair->tls);
    certs_deinit(&pair->certs);
    free(pair);
    return 0;
}

/* Both ends have spoken, so that a TLS handshake lies behind them. */
static void
shake_hands(struct pair *pair)
{
    unsigned rounds = 0;
    int client;
    int server;

    stream_want_read(pair->client.stream, true);
    stream_want_read(pair->server.stream, true);
    do {
        client = stream_handshake(pair->client.stream);
        server = stream_handshake(pair->server.stream);
        assert_true(client >= 0 && server >= 0);
    } while ((client == 0 || server == 0) && rounds++ < 100000);
    assert_true(client == 1 && server == 1);
}

static void
send_sequence(struct stream *stream, size_t from, size_t len)
{
    uint8_t *data = malloc(len);
    size_t i;

    assert_non_null(data);
    for (i = 0; i < len; i++)
        data[i] = expected(from + i);
    assert_int_equal(stream_write(stream, data, len), 0);
    free(data);
}

static void
flood(struct stream *stream)
{
    size_t sent = 0;
    size_t len = 1;

    while (sent < FLOOD) {
        if (len > FLOOD - sent)
            len = FLOOD - sent;
        send_sequence(stream, sent, len);
        sent += len;
        len = len * 3 % 50021 + 1;
    }
}

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
