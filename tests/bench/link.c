/* SPDX-License-Identifier: BSD-2-Clause */
#include "link.h"

#include <string.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "client.h"

enum {
    SCRATCH = 65536,
};

static void
watch(struct link *link, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = &link->handler}};

    if (epoll_ctl(link->crowd->epoll, op, link->wire.fd, &event) < 0)
        fail("epoll_ctl failed");
}

static void
advance(struct link *link)
{
    if (wire_advance(&link->wire) != 0)
        fail("a connection was refused");
    if (link->wire.state == WIRE_CONNECTING || link->wire.state == WIRE_SECURING)
        return;
    watch(link, EPOLL_CTL_MOD, EPOLLIN);
    if (link->wire.state == WIRE_OPEN) {
        link->is_open = true;
        link->events->open(link);
    }
}

static void
receive(struct link *link)
{
    static uint8_t scratch[SCRATCH];
    ssize_t n;

    do {
        n = wire_receive(&link->wire, scratch, sizeof scratch);
        if (n == WIRE_ENDED) {
            link_close(link);
            link->events->ended(link);
            return;
        }
        if (!link->is_open && link->wire.state == WIRE_OPEN) {
            link->is_open = true;
            link->events->open(link);
        }
        if (n > 0)
            link->events->data(link, scratch, (size_t)n);
    } while (n >= 0 && link->wire.fd >= 0 && wire_has_more(&link->wire));
}

static void
on_event(struct handler *handler, uint32_t events)
{
    struct link *link = container_of(handler, struct link, handler);

    if (link->wire.fd < 0)
        return;
    if (link->wire.state == WIRE_CONNECTING || link->wire.state == WIRE_SECURING)
        advance(link);
    else if ((events & ~(uint32_t)EPOLLOUT) != 0)
        receive(link);
}

void
link_init(struct link *link, struct crowd *crowd, const struct link_events *events)
{
    memset(link, 0, sizeof *link);
    link->handler.event = on_event;
    link->crowd = crowd;
    link->events = events;
    link->wire.fd = -1;
}

void
link_open(struct link *link)
{
    struct crowd *crowd = link->crowd;

    link->is_open = false;
    if (wire_connect(&link->wire, &crowd->wire, crowd->n_connects++) < 0)
        fail("cannot connect");
    watch(link, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void
link_send(struct link *link, const void *data, size_t len)
{
    if (wire_send(&link->wire, data, len) != (ssize_t)len)
        fail("a connection does not take what is sent");
}

void
link_close(struct link *link)
{
    if (link->wire.fd >= 0)
        wire_close(&link->wire);
    link->is_open = false;
}
