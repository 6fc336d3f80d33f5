/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/service.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/linger.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/tls.h"

#define STOP_LOOK 0.02 /* seconds between looks at what is left while stopping */

struct port {
    struct listener_owner owner;
    struct listener *listener;
    struct service *service;
    bool tls;
};

struct service {
    struct http_handler handler;
    struct loop *loop;
    struct resolver *resolver;
    struct snapshot *snapshot;
    struct service_owner *owner;
    struct linger_set lingers;
    struct http_set https;
    struct bridge_set bridges;
    struct limits *limits;
    uint64_t n_accepted; /* numbers the connections */
    size_t sockets_max;  /* this worker's share of the descriptors */
    struct timer stop_timer;
    double stop_by; /* 0: not stopping */
    size_t n_ports;
    struct port ports[];
};

/* ---- serving ---- */

static void
on_request(struct http_handler *handler, struct exchange *exchange)
{
    struct service *service = container_of(handler, struct service, handler);
    struct route_context context = {
        .loop = service->loop,
        .resolver = service->resolver,
        .lingers = &service->lingers,
        .bridges = &service->bridges,
        .limits = service->limits,
        .snapshot = service->snapshot,
    };

    route_request(&context, exchange);
}

/* Each client that has not been joined to its target yet may need a second descriptor. */
static bool
has_room(const struct service *service)
{
    return loop_sockets(service->loop) + service->https.n_members + 2 <= service->sockets_max;
}

static bool
evict(struct service *service)
{
    return half_open_evict(&service->https.half_open, "descriptors are short");
}

/* Those who hold descriptors without asking for anything make room for who comes. */
static bool
on_has_room(struct listener_owner *owner)
{
    struct service *service = container_of(owner, struct port, owner)->service;
    size_t looks = service->https.half_open.n_waiting;

    while (!has_room(service))
        if (looks-- == 0 || !evict(service))
            return false;
    return true;
}

static bool
on_make_room(struct listener_owner *owner)
{
    return evict(container_of(owner, struct port, owner)->service);
}

/* A worker's share. */
static size_t
half_open_max(const struct conf *conf)
{
    unsigned share = conf->half_open_max / conf->workers;

    return share > 0 ? share : 1;
}

static void
on_accepted(struct listener_owner *owner, int fd, const struct addr *peer)
{
    struct port *port = container_of(owner, struct port, owner);
    struct service *service = port->service;
    const struct conf *conf = service->snapshot->conf;
    struct http_options options = {
        .loop = service->loop,
        .set = &service->https,
        .lingers = &service->lingers,
        .handler = &service->handler,
        .fd = fd,
        .peer = peer,
        .number = ++service->n_accepted,
        .header_timeout = conf->header_timeout,
        .header_max = conf->header_max,
        .log_access = conf->log_access,
    };

    if (port->tls) {
        options.ssl = tls_accept(service->snapshot->tls);
        if (options.ssl == NULL) {
            log_error(loop_log(service->loop), "service", "out of memory for TLS");
            close(fd);
            return;
        }
    }
    /* Without memory this connection is lost, which is logged; the others go on. */
    (void)http_accept(&options);
}

/* ---- stopping ---- */

static size_t
open_connections(const struct service *service)
{
    return service->https.n_members + service->bridges.n_members + service->lingers.n_members;
}

static void
close_all(struct service *service)
{
    http_close_all(&service->https);
    bridge_close_all(&service->bridges);
    linger_close_all(&service->lingers);
}

static void
stop_listening(struct service *service)
{
    size_t i;

    for (i = 0; i < service->n_ports; i++) {
        listener_stop(service->ports[i].listener);
        service->ports[i].listener = NULL;
    }
}

static void
drain_listeners(struct service *service)
{
    size_t i;

    for (i = 0; i < service->n_ports; i++)
        listener_drain(service->ports[i].listener);
}

static double
longest_close_timeout(const struct conf *conf)
{
    double longest = 0;
    size_t i;

    for (i = 0; i < conf->n_routes; i++)
        if (conf->routes[i].close_timeout > longest)
            longest = conf->routes[i].close_timeout;
    return longest;
}

static void
look_whether_stopped(struct service *service)
{
    if (loop_now(service->loop) >= service->stop_by)
        close_all(service);
    if (open_connections(service) > 0) {
        timer_set(&service->stop_timer, loop_now(service->loop) + STOP_LOOK);
        return;
    }
    loop_stop(service->loop);
    service->owner->stopped(service->owner);
}

static void
on_stop_timer(struct timer *timer)
{
    look_whether_stopped(container_of(timer, struct service, stop_timer));
}

static void
stop(struct service *service, bool at_once)
{
    double now = loop_now(service->loop);

    if (at_once) {
        service->stop_by = now;
    } else if (service->stop_by == 0) {
        service->stop_by = now + longest_close_timeout(service->snapshot->conf);
        drain_listeners(service);
        stop_listening(service);
        http_drain_all(&service->https);
        bridge_drain_all(&service->bridges, 1001, "server is stopping");
    }
    /* Not now: what was just told to end does so in the course of this turn. */
    timer_set(&service->stop_timer, now);
}

struct stop_message {
    struct loop_message message;
    struct service *service;
    bool at_once;
};

static void
deliver_stop(struct loop_message *message)
{
    struct stop_message *order = container_of(message, struct stop_message, message);

    stop(order->service, order->at_once);
    free(order);
}

int
service_stop(struct service *service, bool at_once)
{
    struct stop_message *order = calloc(1, sizeof *order);

    if (order == NULL)
        return -1;
    order->message.deliver = deliver_stop;
    order->service = service;
    order->at_once = at_once;
    loop_post(service->loop, &order->message);
    return 0;
}

/* ---- lifetime ---- */

static int
start_listening(struct service *service, const struct service_options *options)
{
    size_t i;

    for (i = 0; i < options->n_ports; i++) {
        struct port *port = &service->ports[i];

        port->owner.has_room = on_has_room;
        port->owner.make_room = on_make_room;
        port->owner.accepted = on_accepted;
        port->service = service;
        port->tls = options->ports[i].tls;
        port->listener = listener_start(service->loop, options->ports[i].fd, &port->owner);
        if (port->listener == NULL)
            return -1;
        service->n_ports++;
    }
    return 0;
}

struct service *
service_new(const struct service_options *options)
{
    struct service *service =
        calloc(1, sizeof *service + options->n_ports * sizeof *service->ports);

    if (service == NULL) {
        log_error(loop_log(options->loop), "service", "out of memory");
        return NULL;
    }
    service->handler.request = on_request;
    service->loop = options->loop;
    service->owner = options->owner;
    service->sockets_max = options->sockets_max;
    service->limits = options->limits;
    service->snapshot = snapshot_ref(options->snapshot);
    linger_init(&service->lingers, service->loop);
    http_set_init(&service->https, service->loop);
    service->https.half_open.max = half_open_max(service->snapshot->conf);
    bridge_set_init(&service->bridges);
    timer_init(&service->stop_timer, service->loop, on_stop_timer);
    service->resolver = resolver_new(service->loop, NULL);
    if (service->resolver == NULL || start_listening(service, options) != 0) {
        service_free(service);
        return NULL;
    }
    return service;
}

void
service_free(struct service *service)
{
    if (service == NULL)
        return;
    stop_listening(service);
    close_all(service);
    http_set_deinit(&service->https);
    timer_deinit(&service->stop_timer);
    resolver_free(service->resolver);
    snapshot_unref(service->snapshot);
    free(service);
}

void
service_count(const struct service *service, struct service_counts *counts)
{
    counts->connections = open_connections(service);
    counts->blocks = loop_pool(service->loop)->n_borrowed;
}

struct loop *
service_loop(const struct service *service)
{
    return service->loop;
}
