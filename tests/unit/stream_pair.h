/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_pair -- two streams that are connected over TCP, plain or with TLS, in one loop. What they send
 * is a sequence in which every byte tells its place, nearly.
 */
#ifndef CULVERT_TESTS_STREAM_PAIR_H
#define CULVERT_TESTS_STREAM_PAIR_H

#include <openssl/ssl.h>
#include <stdlib.h>

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
    int fd;
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

static inline uint8_t
expected(size_t i)
{
    return (uint8_t)(i * 7 + i / 255);
}

static inline void
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

static inline void
on_progress(struct stream_owner *owner)
{
    (void)owner;
}

static inline void
open_end(struct pair *pair, struct end *end, int fd, SSL *ssl)
{
    static const struct stream_events events = {on_readable, on_progress};

    end->owner.events = &events;
    end->loop = pair->test.loop;
    end->fd = fd;
    end->read_max = LOOP_SCRATCH;
    end->stream = stream_open(pair->test.loop, fd, ssl, &end->owner);
    assert_non_null(end->stream);
}

static inline void
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

static inline void
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

static inline int
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

static inline int
set_up_plain(void **state)
{
    return set_up(state, false);
}

static inline int
set_up_tls(void **state)
{
    return set_up(state, true);
}

static inline int
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
static inline void
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

static inline void
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

static inline void
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

#endif
