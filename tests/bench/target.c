/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target COUNTERS -- what the servers under test lead to, each on a port of its own:
 *
 *     echo     sends back what it gets
 *     source   pours, and drops what it gets
 *     sink     swallows; the bytes are counted in the file COUNTERS, mapped (one uint64_t)
 *     lines    sends each peer one of the lines of lines.h on every tick, and drops what it gets
 *     upgrade  answers a request for a WebSocket with 101, then sends back what it gets
 *
 * Writes one line with the ports, then serves until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/list.h"
#include "lines.h"

enum {
    CHUNK = 65536,
    EVENTS = 256,
};

enum role {
    ECHO,
    SOURCE,
    SINK,
    UPGRADE,
    LINES,
    N_ROLES,
};

static const char *const role_names[N_ROLES] = {"echo", "source", "sink", "upgrade", "lines"};

struct peer {
    int fd;
    enum role role;
    bool listens;
    unsigned head_matched; /* UPGRADE: bytes of the blank line that ends the request */
    uint8_t *rest;         /* what the socket would not take */
    size_t rest_at, rest_len;
    uint64_t n_lines; /* LINES: that were sent */
    struct list link; /* LINES: among target.lines */
};

struct target {
    int epoll;
    volatile uint64_t *swallowed;
    struct list lines; /* peers that are sent them */
    struct peer tick;
    uint8_t chunk[CHUNK];
};

static void
watch(struct target *target, int op, struct peer *peer, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = peer}};

    if (epoll_ctl(target->epoll, op, peer->fd, &event) < 0)
        perror("target: epoll_ctl");
}

static void
accept_one(struct target *target, struct peer *listener)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int one = 1;

    if (peer == NULL)
        return;
    peer->role = listener->role;
    peer->fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK);
    if (peer->fd < 0) {
        free(peer);
        return;
    }
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    list_init(&peer->link);
    if (peer->role == LINES)
        list_add(&target->lines, &peer->link);
    watch(target, EPOLL_CTL_ADD, peer, peer->role == SOURCE ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
end(struct peer *peer)
{
    list_remove(&peer->link);
    close(peer->fd);
    free(peer->rest);
    free(peer);
}

/* Each returns 0, or -1 if the peer has gone. */
static int
echo(struct target *target, struct peer *peer, const uint8_t *data, size_t len)
{
    ssize_t n = send(peer->fd, data, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN)
        return -1;
    if (n == (ssize_t)len)
        return 0;
    peer->rest_at = 0;
    peer->rest_len = len - (size_t)(n > 0 ? n : 0);
    peer->rest = malloc(peer->rest_len);
    if (peer->rest == NULL)
        return -1;
    memcpy(peer->rest, data + len - peer->rest_len, peer->rest_len);
    watch(target, EPOLL_CTL_MOD, peer, EPOLLOUT);
    return 0;
}

static int
flush(struct target *target, struct peer *peer)
{
    ssize_t n =
        send(peer->fd, peer->rest + peer->rest_at, peer->rest_len - peer->rest_at, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    peer->rest_at += (size_t)n;
    if (peer->rest_at < peer->rest_len)
        return 0;
    free(peer->rest);
    peer->rest = NULL;
    watch(target, EPOLL_CTL_MOD, peer, EPOLLIN);
    return 0;
}

/* Bytes of data that belong to the request; answers it when it is complete. */
static size_t
take_head(struct peer *peer, const uint8_t *data, size_t len)
{
    static const char blank[] = "\r\n\r\n";
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "\r\n";
    size_t used = 0;

    while (used < len && blank[peer->head_matched] != '\0') {
        bool next = data[used] == (uint8_t)blank[peer->head_matched];

        peer->head_matched = next ? peer->head_matched + 1 : data[used] == '\r';
        used++;
    }
    if (used > 0 && blank[peer->head_matched] == '\0' &&
        send(peer->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
        perror("target: send");
    return used;
}

static int
read_one(struct target *target, struct peer *peer)
{
    ssize_t n = recv(peer->fd, target->chunk, CHUNK, 0);
    size_t head = 0;

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return -1;
    switch (peer->role) {
    case SINK:
        *target->swallowed += (uint64_t)n;
        return 0;
    case UPGRADE:
        head = take_head(peer, target->chunk, (size_t)n);
        if (head == (size_t)n)
            return 0;
        break;
    case SOURCE:
    case LINES:
        return 0;
    default:
        break;
    }
    return echo(target, peer, target->chunk + head, (size_t)n - head);
}

static int
pour(struct target *target, struct peer *peer)
{
    ssize_t n = send(peer->fd, target->chunk, CHUNK, MSG_NOSIGNAL);

    return n < 0 && errno != EAGAIN ? -1 : 0;
}

/* ---- lines ---- */

/* A socket that takes no more has to wait for the next tick: a source that is paced does not pile up. */
static void
send_line(struct peer *peer)
{
    char line[LINE_LEN];
    ssize_t n;

    lines_make(line, peer->n_lines + 1);
    n = send(peer->fd, line, sizeof line, MSG_NOSIGNAL);
    if (n == (ssize_t)sizeof line)
        peer->n_lines++;
    else if (n > 0)
        shutdown(peer->fd, SHUT_RDWR); /* cut inside a line: it is seen at the other end */
}

/* Ticks that were missed are not made up for. */
static void
tick(struct target *target)
{
    struct list *node;
    uint64_t expired;

    if (read(target->tick.fd, &expired, sizeof expired) < 0)
        return;
    for (node = target->lines.next; node != &target->lines; node = node->next)
        send_line(container_of(node, struct peer, link));
}

static void
begin_ticks(struct target *target)
{
    struct timespec every = {.tv_nsec = LINES_EVERY_MS * 1000000};
    struct itimerspec when = {.it_interval = every, .it_value = every};

    list_init(&target->lines);
    target->tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (target->tick.fd < 0 || timerfd_settime(target->tick.fd, 0, &when, NULL) < 0) {
        perror("target: timer");
        exit(1);
    }
    watch(target, EPOLL_CTL_ADD, &target->tick, EPOLLIN);
}

/* ---- all of it ---- */

static void
serve(struct target *target, struct peer *peer, uint32_t events)
{
    int result = 0;

    if (peer == &target->tick) {
        tick(target);
        return;
    }
    if (peer->listens) {
        accept_one(target, peer);
        return;
    }
    if (peer->rest != NULL)
        result = flush(target, peer);
    else if ((events & ~(uint32_t)EPOLLOUT) != 0)
        result = read_one(target, peer);
    if (result == 0 && peer->role == SOURCE && (events & EPOLLOUT) != 0)
        result = pour(target, peer);
    if (result < 0)
        end(peer);
}

static void
listen_for(struct target *target, struct peer *listener, enum role role)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof local;

    listener->listens = true;
    listener->role = role;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener->fd, (struct sockaddr *)&local, sizeof local) < 0 ||
        listen(listener->fd, 4096) < 0 ||
        getsockname(listener->fd, (struct sockaddr *)&local, &len) < 0) {
        perror("target: listen");
        exit(1);
    }
    printf("%s=%d%c", role_names[role], ntohs(local.sin_port), role + 1 == N_ROLES ? '\n' : ' ');
    watch(target, EPOLL_CTL_ADD, listener, EPOLLIN);
}

int
main(int argc, char **argv)
{
    static struct target target;
    static struct peer listeners[N_ROLES];
    struct epoll_event events[EVENTS];
    int i, n, fd = argc == 2 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;

    if (fd < 0 || ftruncate(fd, sizeof *target.swallowed) < 0) {
        fputs("usage: target COUNTERS\n", stderr);
        return 2;
    }
    target.swallowed =
        mmap(NULL, sizeof *target.swallowed, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    target.epoll = epoll_create1(0);
    if (target.swallowed == MAP_FAILED || target.epoll < 0) {
        perror("target");
        return 1;
    }
    for (i = 0; i < N_ROLES; i++)
        listen_for(&target, &listeners[i], (enum role)i);
    fflush(stdout);
    begin_ticks(&target);
    while ((n = epoll_wait(target.epoll, events, EVENTS, -1)) >= 0 || errno == EINTR) {
        for (i = 0; i < n; i++)
            serve(&target, events[i].data.ptr, events[i].events);
    }
    return 1;
}
