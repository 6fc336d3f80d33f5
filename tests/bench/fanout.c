/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fanout PUBLISH SUBSCRIBE -- the floor of a fan-out: what is read from a publisher is sent to each
 * subscriber as it is, one send() each, whatever number of messages it is. What a subscriber sends is read.
 *
 * Both are ports of 127.0.0.1. A subscriber whose socket does not take all is closed: a floor keeps
 * nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    EVENTS = 256,
    FDS_MAX = 20000,
};

enum role {
    NOBODY,
    LISTENS_PUBLISHERS,
    LISTENS_SUBSCRIBERS,
    PUBLISHER,
    SUBSCRIBER,
};

struct fanout {
    int epoll;
    uint8_t roles[FDS_MAX]; /* by descriptor */
    int subscribers[FDS_MAX];
    unsigned count;
};

static void
take(struct fanout *fanout, int fd, enum role role)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    fanout->roles[fd] = (uint8_t)role;
    epoll_ctl(fanout->epoll, EPOLL_CTL_ADD, fd, &event);
    if (role == SUBSCRIBER)
        fanout->subscribers[fanout->count++] = fd;
}

static int
open_listener(struct fanout *fanout, const char *port, enum role role)
{
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)},
                                .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0 || listen(fd, 4096) < 0)
        return -1;
    take(fanout, fd, role);
    return 0;
}

static void
accept_one(struct fanout *fanout, int listener, enum role role)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;

    if (fd < 0 || fd >= FDS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    take(fanout, fd, role);
}

static void
end(struct fanout *fanout, int fd)
{
    for (unsigned i = 0; i < fanout->count; i++) {
        if (fanout->subscribers[i] == fd)
            fanout->subscribers[i--] = fanout->subscribers[--fanout->count];
    }
    fanout->roles[fd] = NOBODY;
    close(fd);
}

static void
publish(struct fanout *fanout, int fd)
{
    static uint8_t chunk[CHUNK];
    ssize_t n = recv(fd, chunk, sizeof chunk, 0);

    if (n <= 0) {
        end(fanout, fd);
        return;
    }
    for (unsigned i = fanout->count; i-- > 0;) {
        if (send(fanout->subscribers[i], chunk, (size_t)n, MSG_NOSIGNAL) != n)
            end(fanout, fanout->subscribers[i]);
    }
}

/* What a poll asks with; nobody looks at it. */
static void
take_request(struct fanout *fanout, int fd)
{
    static uint8_t scratch[CHUNK];

    if (recv(fd, scratch, sizeof scratch, 0) <= 0)
        end(fanout, fd);
}

static void
serve(struct fanout *fanout, int fd)
{
    switch ((enum role)fanout->roles[fd]) {
    case LISTENS_PUBLISHERS:
        accept_one(fanout, fd, PUBLISHER);
        break;
    case LISTENS_SUBSCRIBERS:
        accept_one(fanout, fd, SUBSCRIBER);
        break;
    case PUBLISHER:
        publish(fanout, fd);
        break;
    case SUBSCRIBER:
        take_request(fanout, fd);
        break;
    case NOBODY:
        break;
    }
}

int
main(int argc, char **argv)
{
    static struct fanout fanout;
    struct epoll_event events[EVENTS];
    int n;

    fanout.epoll = epoll_create1(0);
    if (argc != 3 || open_listener(&fanout, argv[1], LISTENS_PUBLISHERS) < 0 ||
        open_listener(&fanout, argv[2], LISTENS_SUBSCRIBERS) < 0) {
        fputs("usage: fanout PUBLISH SUBSCRIBE, two ports of 127.0.0.1 that are free\n", stderr);
        return 2;
    }
    while ((n = epoll_wait(fanout.epoll, events, EVENTS, -1)) >= 0) {
        for (int i = 0; i < n; i++)
            serve(&fanout, events[i].data.fd);
    }
    return 1;
}
