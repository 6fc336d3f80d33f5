/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dns_peer -- a name server for tests, on the test's own loop: UDP and TCP on one port of
 * 127.0.0.1, answers from a script, late or never if so told. What it has no rule for does not
 * exist (NXDOMAIN).
 */
#ifndef CULVERT_TESTS_DNS_PEER_H
#define CULVERT_TESTS_DNS_PEER_H

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "net_help.h"

enum {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_AAAA = 28,
    DNS_RULES = 32,
    DNS_ADDRESSES = 40,
    DNS_MESSAGE = 2048,
};

/* One answer to one name and type. "*" in the place of the name is any. */
struct dns_rule {
    const char *name;
    uint16_t type;
    const char *addresses[DNS_ADDRESSES]; /* up to NULL; none: the name has no such record */
    const char *alias;                    /* a CNAME to this comes first; alias_ttl holds */
    uint32_t ttl;
    uint32_t alias_ttl;
    double delay; /* seconds; < 0: never */
    uint8_t rcode;
    bool truncated; /* over UDP */
    unsigned asked; /* how often it was */
};

struct dns_peer {
    struct test_loop *test;
    int fd;
    int tcp_fd;
    uint16_t port;
    char address[64]; /* for resolver_new() */
    ev_io io;
    ev_io tcp_io;
    struct list late;
    struct dns_rule rules[DNS_RULES];
    unsigned n_rules;
    unsigned asked; /* all together */
};

struct dns_late {
    struct list link;
    struct timer timer;
    struct dns_peer *peer;
    struct sockaddr_in to;
    uint8_t bytes[DNS_MESSAGE];
    size_t len;
};

struct dns_stream {
    ev_io io;
    struct dns_peer *peer;
};

struct dns_writer {
    uint8_t *bytes;
    size_t len;
};

static inline void
dns_put(struct dns_writer *out, const void *bytes, size_t len)
{
    assert_true(out->len + len <= DNS_MESSAGE);
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static inline void
dns_put16(struct dns_writer *out, unsigned value)
{
    dns_put(out, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

/* The head of a record of the name that is at offset. */
static inline void
dns_put_record(struct dns_writer *out, unsigned offset, uint16_t type, uint32_t ttl, size_t len)
{
    dns_put16(out, 0xc000 | offset);
    dns_put16(out, type);
    dns_put16(out, 1);
    dns_put16(out, ttl >> 16);
    dns_put16(out, ttl & 0xffff);
    dns_put16(out, (unsigned)len);
}

static inline void
dns_put_name(struct dns_writer *out, const char *name)
{
    while (*name != '\0') {
        size_t len = strcspn(name, ".");
        uint8_t byte = (uint8_t)len;

        dns_put(out, &byte, 1);
        dns_put(out, name, len);
        name += len + (name[len] == '.');
    }
    dns_put(out, "", 1);
}

static inline unsigned
dns_put_answers(struct dns_writer *out, const struct dns_rule *rule)
{
    unsigned n = 0;
    unsigned offset = 12; /* the name in the question */
    uint8_t ip[16];

    if (rule->alias != NULL) {
        dns_put_record(out, offset, DNS_CNAME, rule->alias_ttl, strlen(rule->alias) + 2);
        offset = (unsigned)out->len;
        dns_put_name(out, rule->alias);
        n++;
    }
    for (unsigned i = 0; rule->addresses[i] != NULL; i++, n++) {
        int family = rule->type == DNS_A ? AF_INET : AF_INET6;
        size_t len = family == AF_INET ? 4 : 16;

        assert_int_equal(inet_pton(family, rule->addresses[i], ip), 1);
        dns_put_record(out, offset, rule->type, rule->ttl, len);
        dns_put(out, ip, len);
    }
    return n;
}

/* Returns the length of the question, name, type and class, after the header of 12 bytes. */
static inline size_t
dns_question(const uint8_t *bytes, size_t len, char *name, uint16_t *type)
{
    size_t at = 12;

    *name = '\0';
    while (at < len && bytes[at] != 0) {
        size_t label = bytes[at];

        assert_true(label < 64 && at + label < len);
        if (at > 12)
            strcat(name, ".");
        strncat(name, (const char *)bytes + at + 1, label);
        at += 1 + label;
    }
    assert_true(at + 5 <= len);
    *type = (uint16_t)(bytes[at + 1] << 8 | bytes[at + 2]);
    return at + 5 - 12;
}

static inline struct dns_rule *
dns_find(struct dns_peer *peer, const char *name, uint16_t type)
{
    for (unsigned i = 0; i < peer->n_rules; i++) {
        struct dns_rule *rule = &peer->rules[i];

        if (rule->type == type && (strcmp(rule->name, "*") == 0 || !strcasecmp(rule->name, name)))
            return rule;
    }
    return NULL;
}

/* The answer to a query; *delay tells when. Returns its length. */
static inline size_t
dns_answer(struct dns_peer *peer, const uint8_t *query, size_t len, uint8_t *out, bool tcp,
           double *delay)
{
    struct dns_writer writer = {out, 0};
    char name[256];
    uint16_t type;
    size_t question = dns_question(query, len, name, &type);
    struct dns_rule *rule = dns_find(peer, name, type);
    bool truncated = rule != NULL && rule->truncated && !tcp;
    unsigned rcode = rule != NULL ? rule->rcode : 3;
    unsigned n;

    peer->asked++;
    if (rule != NULL)
        rule->asked++;
    *delay = rule != NULL ? rule->delay : 0;
    dns_put(&writer, query, 12 + question);
    n = rule != NULL && !truncated ? dns_put_answers(&writer, rule) : 0;
    out[2] = (uint8_t)(0x81 | (truncated ? 2 : 0));
    out[3] = (uint8_t)(0x80 | rcode);
    memcpy(out + 4, (uint8_t[]){0, 1, 0, (uint8_t)n, 0, 0, 0, 0}, 8);
    return writer.len;
}

static inline void
dns_send_late(struct timer *timer)
{
    struct dns_late *late = container_of(timer, struct dns_late, timer);

    sendto(late->peer->fd, late->bytes, late->len, 0, (struct sockaddr *)&late->to,
           sizeof late->to);
    list_remove(&late->link);
    timer_deinit(timer);
    free(late);
}

static inline void
dns_udp(struct ev_loop *ev, ev_io *io, int events)
{
    struct dns_peer *peer = container_of(io, struct dns_peer, io);
    uint8_t query[DNS_MESSAGE];
    struct sockaddr_in from;
    socklen_t from_len;
    ssize_t len;

    (void)ev;
    (void)events;
    while (from_len = sizeof from, (len = recvfrom(peer->fd, query, sizeof query, 0,
                                                   (struct sockaddr *)&from, &from_len)) > 0) {
        struct dns_late *late = calloc(1, sizeof *late);
        double delay;

        late->peer = peer;
        late->to = from;
        late->len = dns_answer(peer, query, (size_t)len, late->bytes, false, &delay);
        list_init(&late->link);
        timer_init(&late->timer, peer->test->loop, dns_send_late);
        if (delay < 0) {
            free(late);
        } else if (delay == 0) {
            dns_send_late(&late->timer);
        } else {
            list_add(&peer->late, &late->link);
            timer_set(&late->timer, loop_now(peer->test->loop) + delay);
        }
    }
}

/* One query, in one piece. */
static inline void
dns_stream_ready(struct ev_loop *ev, ev_io *io, int events)
{
    struct dns_stream *stream = container_of(io, struct dns_stream, io);
    uint8_t query[2 + DNS_MESSAGE];
    uint8_t out[2 + DNS_MESSAGE];
    ssize_t len = recv(io->fd, query, sizeof query, 0);
    double delay;
    size_t size;

    (void)events;
    if (len > 2) {
        size = dns_answer(stream->peer, query + 2, (size_t)len - 2, out + 2, true, &delay);
        out[0] = (uint8_t)(size >> 8);
        out[1] = (uint8_t)size;
        assert_int_equal(send(io->fd, out, size + 2, MSG_NOSIGNAL), size + 2);
    }
    ev_io_stop(ev, io);
    close(io->fd);
    free(stream);
}

static inline void
dns_tcp(struct ev_loop *ev, ev_io *io, int events)
{
    struct dns_stream *stream;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    stream = calloc(1, sizeof *stream);
    stream->peer = container_of(io, struct dns_peer, tcp_io);
    ev_io_init(&stream->io, dns_stream_ready, fd, EV_READ);
    ev_io_start(ev, &stream->io);
}

static inline void
dns_peer_init(struct dns_peer *peer, struct test_loop *test)
{
    memset(peer, 0, sizeof *peer);
    peer->test = test;
    list_init(&peer->late);
    peer->tcp_fd = listening("127.0.0.1", &peer->port, 16);
    peer->fd = bound_socket("127.0.0.1", SOCK_DGRAM, &peer->port);
    snprintf(peer->address, sizeof peer->address, "127.0.0.1:%u", peer->port);
    ev_io_init(&peer->io, dns_udp, peer->fd, EV_READ);
    ev_io_init(&peer->tcp_io, dns_tcp, peer->tcp_fd, EV_READ);
    ev_io_start(loop_ev(test->loop), &peer->io);
    ev_io_start(loop_ev(test->loop), &peer->tcp_io);
}

static inline void
dns_peer_deinit(struct dns_peer *peer)
{
    while (!list_empty(&peer->late)) {
        struct dns_late *late = container_of(peer->late.next, struct dns_late, link);

        list_remove(&late->link);
        timer_deinit(&late->timer);
        free(late);
    }
    ev_io_stop(loop_ev(peer->test->loop), &peer->io);
    ev_io_stop(loop_ev(peer->test->loop), &peer->tcp_io);
    close(peer->fd);
    close(peer->tcp_fd);
}

static inline struct dns_rule *
dns_peer_rule(struct dns_peer *peer, struct dns_rule rule)
{
    assert_true(peer->n_rules < DNS_RULES);
    peer->rules[peer->n_rules] = rule;
    return &peer->rules[peer->n_rules++];
}

#endif
