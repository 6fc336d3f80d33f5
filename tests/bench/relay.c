/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay LISTEN TARGET -- the floor: two sockets, and for each chunk one receive and one send.
 *
 * A proxy that bytes pass through in user space cannot do less. What a socket does not take is
 * kept, and the other side is not read until it is gone.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    EVENTS = 256,
};

struct side {
    int fd;
    struct side *other;
    uint8_t *rest; /* what this socket would not take */
    size_t rest_at, rest_len;
    struct side *next_dead;
};

static void
watch(int epoll, int op, struct side *side, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = side}};

    epoll_ctl(epoll, op, side->fd, &event);
}

static struct sockaddr_in
address(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)},
                                .sin_port = htons((uint16_t)atoi(port))};
}

static void
accept_one(int epoll, int listener, const struct sockaddr_in *target)
{
    struct side *pair = calloc(2, sizeof *pair);
    int i, one = 1;

    pair[0] = (struct side){.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), .other = &pair[1]};
    pair[1] = (struct side){.fd = socket(AF_INET, SOCK_STREAM, 0), .other = &pair[0]};
    if (connect(pair[1].fd, (const struct sockaddr *)target, sizeof *target) < 0)
        perror("relay: connect");
    for (i = 0; i < 2; i++) {
        setsockopt(pair[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, EPOLL_CTL_ADD, &pair[i], EPOLLIN);
    }
}

/* Returns 0, or -1 if the pair is over. */
static int
flush(int epoll, struct side *side)
{
    ssize_t n = send(side->fd, side->rest + side->rest_at, side->rest_len - side->rest_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return -1;
    side->rest_at += (size_t)n;
    if (side->rest_at < side->rest_len)
        return 0;
    free(side->rest);
    side->rest = NULL;
    watch(epoll, EPOLL_CTL_MOD, side, EPOLLIN);
    watch(epoll, EPOLL_CTL_MOD, side->other, side->other->rest == NULL ? EPOLLIN : EPOLLOUT);
    return 0;
}

static int
pass(int epoll, struct side *from, uint8_t *chunk)
{
    struct side *to = from->other;
    ssize_t n, sent;

    if (to->rest != NULL)
        return -1; /* it is not watched, so this can only be a reset */
    n = recv(from->fd, chunk, CHUNK, MSG_DONTWAIT);
    if (n <= 0)
        return -1;
    sent = send(to->fd, chunk, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == n)
        return 0;
    to->rest_at = 0;
    to->rest_len = (size_t)(n - (sent > 0 ? sent : 0));
    to->rest = malloc(to->rest_len);
    memcpy(to->rest, chunk + (size_t)n - to->rest_len, to->rest_len);
    watch(epoll, EPOLL_CTL_MOD, to, EPOLLOUT);
    watch(epoll, EPOLL_CTL_MOD, from, from->rest == NULL ? 0 : EPOLLOUT);
    return 0;
}

static void
end(struct side *side, struct side **dead)
{
    struct side *first = side < side->other ? side : side->other;

    close(side->fd);
    close(side->other->fd);
    side->fd = side->other->fd = -1;
    first->next_dead = *dead;
    *dead = first;
}

int
main(int argc, char **argv)
{
    static uint8_t chunk[CHUNK];
    struct epoll_event events[EVENTS];
    struct side listener = {.fd = socket(AF_INET, SOCK_STREAM, 0)}, *dead = NULL, *next;
    struct sockaddr_in local = address(argc == 3 ? argv[1] : "0");
    struct sockaddr_in target = address(argc == 3 ? argv[2] : "0");
    int epoll = epoll_create1(0), i, n, one = 1;

    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (argc != 3 || bind(listener.fd, (struct sockaddr *)&local, sizeof local) < 0 ||
        listen(listener.fd, 4096) < 0) {
        fputs("usage: relay LISTEN TARGET, two ports of 127.0.0.1, the first one free\n", stderr);
        return 2;
    }
    watch(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
    while ((n = epoll_wait(epoll, events, EVENTS, -1)) >= 0) {
        for (i = 0; i < n; i++) {
            struct side *side = events[i].data.ptr;

            if (side == &listener)
                accept_one(epoll, listener.fd, &target);
            else if (side->fd >= 0 &&
                     (side->rest != NULL ? flush(epoll, side) : pass(epoll, side, chunk)) < 0)
                end(side, &dead);
        }
        /* Only now has nobody an event of theirs any more. */
        for (; dead != NULL; dead = next) {
            next = dead->next_dead;
            free(dead[0].rest);
            free(dead[1].rest);
            free(dead);
        }
    }
    return 1;
}
