/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/ports.h"

#include <stdlib.h>

#include "base/log.h"
#include "event/loop.h"
#include "net/listener.h"

struct port {
    struct listener_owner owner;
    struct list link;
    struct listener *listener;
    struct ports *ports;
    int fd;
    bool tls;
    bool proxy;
    bool kept; /* by the configuration that is being put into force */
};

/* ---- accepting ---- */

static struct ports_owner *
owner_of(struct listener_owner *owner)
{
    return container_of(owner, struct port, owner)->ports->owner;
}

static bool
on_has_room(struct listener_owner *owner)
{
    return owner_of(owner)->events->has_room(owner_of(owner));
}

static size_t
on_n_spare(struct listener_owner *owner)
{
    return owner_of(owner)->events->n_spare(owner_of(owner));
}

static bool
on_make_room(struct listener_owner *owner)
{
    return owner_of(owner)->events->make_room(owner_of(owner));
}

static void
on_accepted(struct listener_owner *owner, int fd, const struct addr *peer)
{
    const struct port *port = container_of(owner, struct port, owner);

    owner_of(owner)->events->accepted(owner_of(owner), fd, peer, port->tls, port->proxy);
}

/* ---- the set ---- */

static struct port *
find(const struct ports *ports, int fd)
{
    for (struct list *at = ports->members.next; at != &ports->members; at = at->next) {
        struct port *port = container_of(at, struct port, link);

        if (port->fd == fd)
            return port;
    }
    return NULL;
}

static struct port *
open_port(struct ports *ports, int fd)
{
    struct port *port = calloc(1, sizeof *port);

    if (port == NULL) {
        log_error(loop_log(ports->loop), "service", "out of memory");
        return NULL;
    }
    port->owner.has_room = on_has_room;
    port->owner.n_spare = on_n_spare;
    port->owner.make_room = on_make_room;
    port->owner.accepted = on_accepted;
    port->ports = ports;
    port->fd = fd;
    port->listener = listener_start(ports->loop, fd, &port->owner);
    if (port->listener == NULL) {
        free(port);
        return NULL;
    }
    list_add(&ports->members, &port->link);
    return port;
}

static void
close_port(struct port *port, bool drain)
{
    if (drain)
        listener_drain(port->listener);
    listener_stop(port->listener);
    list_remove(&port->link);
    free(port);
}

static void
close_some(struct ports *ports, bool drain, bool kept_too)
{
    struct list *at = ports->members.next;

    while (at != &ports->members) {
        struct port *port = container_of(at, struct port, link);

        at = at->next;
        if (kept_too || !port->kept)
            close_port(port, drain);
        else
            port->kept = false;
    }
}

void
ports_init(struct ports *ports, struct loop *loop, struct ports_owner *owner)
{
    list_init(&ports->members);
    ports->loop = loop;
    ports->owner = owner;
}

int
ports_set(struct ports *ports, const struct service_port *wanted, size_t n)
{
    int result = 0;

    for (size_t i = 0; i < n; i++) {
        struct port *port = find(ports, wanted[i].fd);

        if (port == NULL)
            port = open_port(ports, wanted[i].fd);
        if (port == NULL) {
            result = -1;
            continue;
        }
        port->tls = wanted[i].tls;
        port->proxy = wanted[i].proxy;
        port->kept = true;
    }
    close_some(ports, true, false);
    return result;
}

void
ports_leave(struct ports *ports)
{
    for (struct list *at = ports->members.next; at != &ports->members; at = at->next)
        listener_leave(container_of(at, struct port, link)->listener);
}

void
ports_close(struct ports *ports, bool drain)
{
    close_some(ports, drain, true);
}
