/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/service.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "bridge/drain.h"
#include "bridge/ports.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "bridge/topic_route.h"
#include "client/http.h"
#include "client/proxied.h"
#include "client/sessions.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "guard/networks.h"
#include "net/linger.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "proto/ws_handshake.h"
#include "topic/buses.h"

#define LEAVING "server is stopping"
#define LOOK    0.02 /* seconds between looks at what is left while draining or stopping */

enum state {
    SERVING,
    DRAINING,
    DRAINED,
    STOPPING,
};

struct service {
    struct http_handler handler;
    struct loop *loop;
    struct loop *main_loop;
    struct resolver *resolver;
    struct snapshot *snapshot;
    struct service_owner *owner;
    struct linger_set lingers;
    struct proxied_owner proxied_owner;
    struct proxied_set proxieds;
    struct http_set https;
    struct bridge_set bridges;
    struct sessions sessions;
    struct hubs hubs;
    struct topic_clients topic_clients;
    struct service *const *peers;
    unsigned n_peers;
    struct ws_digest *digest;
    struct limits *limits;
    uint64_t n_accepted; /* numbers the connections */
    size_t sockets_max;  /* this worker's share of the descriptors */
    struct ports_owner ports_owner;
    struct ports ports;
    struct drain drain;
    struct timer look; /* at what is left, while draining or stopping */
    double stop_by;    /* when to close what is left then */
    enum state state;
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
        .sessions = &service->sessions,
        .hubs = &service->hubs,
        .topic_clients = &service->topic_clients,
        .service = service,
        .digest = service->digest,
        .limits = service->limits,
        .snapshot = service->snapshot,
        .main_loop = service->main_loop,
    };

    if (service->state == SERVING)
        route_request(&context, exchange);
    else
        route_refuse(&context, exchange, service->state != STOPPING);
}

/* Each client that has not been joined to its target yet may need a second descriptor. */
static bool
on_has_room(struct ports_owner *owner)
{
    const struct service *service = container_of(owner, struct service, ports_owner);

    return loop_sockets(service->loop) + service->proxieds.n_members + service->https.n_members +
               2 <=
           service->sockets_max;
}

/* Those who hold descriptors without asking for anything make room for who comes. */
static size_t
on_n_spare(struct ports_owner *owner)
{
    return container_of(owner, struct service, ports_owner)->https.half_open.n_waiting;
}

static bool
on_make_room(struct ports_owner *owner)
{
    struct service *service = container_of(owner, struct service, ports_owner);

    return half_open_evict(&service->https.half_open, "descriptors are short");
}

/* Seconds from `since` on that a client has to ask; not many more when we are leaving. */
static double
head_time(const struct service *service, double since)
{
    double configured = service->snapshot->conf->header_timeout;
    double gone = loop_now(service->loop) - since;

    return service->state == STOPPING ? fmin(configured, gone + HTTP_LAST_CHANCE) : configured;
}

/* But for what the client is connected by. */
static struct http_options
http_options(struct service *service, const struct addr *peer, const struct addr *destination,
             double since)
{
    const struct conf *conf = service->snapshot->conf;

    return (struct http_options){
        .loop = service->loop,
        .set = &service->https,
        .lingers = &service->lingers,
        .handler = &service->handler,
        .peer = peer,
        .destination = destination,
        .number = ++service->n_accepted,
        .since = since,
        .header_timeout = head_time(service, since),
        .header_max = conf->header_max,
        .log_access = conf->log_access,
        .draining = service->state != SERVING,
    };
}

/* Takes fd. tls NULL: plain. */
static void
serve(struct service *service, int fd, struct tls *tls, double since, const struct addr *peer,
      const struct addr *destination)
{
    struct http_options options = http_options(service, peer, destination, since);

    options.fd = fd;
    if (tls != NULL) {
        options.ssl = tls_accept(tls);
        if (options.ssl == NULL) {
            log_error(loop_log(service->loop), "service", "out of memory for TLS");
            close(fd);
            return;
        }
    }
    /* Without memory this connection is lost, which is logged; the others go on. */
    (void)http_accept(&options);
}

void
service_adopt(struct service *service, struct http_moved *moved)
{
    struct http_options options =
        http_options(service, &moved->peer, moved->destination, loop_now(service->loop));

    options.fd = moved->fd;
    options.ssl = moved->ssl;
    options.held = moved->held;
    options.held_len = moved->held_len;
    (void)http_accept(&options);
    free(moved->destination);
}

void
service_set_peers(struct service *service, struct service *const *peers, unsigned n)
{
    service->peers = peers;
    service->n_peers = n;
}

struct service *
service_peer(const struct service *service, unsigned loop_id)
{
    return loop_id > 0 && loop_id <= service->n_peers ? service->peers[loop_id - 1] : NULL;
}

static void
on_proxied(struct proxied_owner *owner, const struct proxied *proxied)
{
    struct service *service = container_of(owner, struct service, proxied_owner);

    serve(service, proxied->fd, proxied->tls, proxied->since, &proxied->peer,
          proxied->destination.len > 0 ? &proxied->destination : NULL);
}

/* Anybody could send a PROXY header: only those that are trusted are listened to. */
static void
serve_proxied(struct service *service, int fd, struct tls *tls, const struct addr *peer)
{
    char text[ADDR_TEXT];

    if (networks_contain(service->snapshot->trusted, (const struct sockaddr *)&peer->storage)) {
        proxied_start(&service->proxieds, fd, peer, tls, service->snapshot->conf->header_timeout,
                      &service->proxied_owner);
        return;
    }
    metrics_add(&loop_metrics(service->loop)->refusals[METRICS_REFUSED_UNTRUSTED_PROXY], 1);
    addr_text(peer, text);
    log_info(loop_log(service->loop), "listener",
             "closed: %s is not among trusted_proxies, and this address is for them", text);
    close(fd);
}

static void
on_accepted(struct ports_owner *owner, int fd, const struct addr *peer, bool with_tls, bool proxy)
{
    struct service *service = container_of(owner, struct service, ports_owner);
    struct tls *tls = with_tls ? service->snapshot->tls : NULL;

    if (proxy)
        serve_proxied(service, fd, tls, peer);
    else
        serve(service, fd, tls, loop_now(service->loop), peer, NULL);
}

/* ---- what main orders ---- */

static size_t
open_connections(const struct service *service)
{
    return service->proxieds.n_members + service->https.n_members + service->bridges.n_members +
           service->topic_clients.n_members + service->lingers.n_members;
}

static void
close_all(struct service *service)
{
    proxied_close_all(&service->proxieds);
    topic_clients_close_all(&service->topic_clients);
    http_close_all(&service->https);
    bridge_close_all(&service->bridges);
    linger_close_all(&service->lingers);
}

/* Those with targets of their own first. */
static size_t
tell_next(struct drain *drain)
{
    struct service *service = container_of(drain, struct service, drain);
    size_t clients = service->topic_clients.n_members - service->topic_clients.n_leaving;
    size_t left = bridge_drain_next(&service->bridges, 1001, LEAVING);

    if (left > 0)
        return left + clients;
    return topic_clients_drain_next(&service->topic_clients, 1001, LEAVING);
}

static void
look_whether_drained(struct service *service)
{
    if (service->bridges.n_members > 0 || service->topic_clients.n_members > 0 ||
        service->https.n_open > 0) {
        timer_set(&service->look, loop_now(service->loop) + LOOK);
        return;
    }
    service->state = DRAINED;
    service->owner->drained(service->owner);
}

static void
look_whether_stopped(struct service *service)
{
    if (loop_now(service->loop) >= service->stop_by)
        close_all(service);
    if (open_connections(service) > 0) {
        timer_set(&service->look, loop_now(service->loop) + LOOK);
        return;
    }
    loop_stop(service->loop);
    service->owner->stopped(service->owner);
}

static void
on_look(struct timer *timer)
{
    struct service *service = container_of(timer, struct service, look);

    if (service->state == DRAINING)
        look_whether_drained(service);
    else if (service->state == STOPPING)
        look_whether_stopped(service);
}

void
service_drain(struct service *service, double seconds)
{
    if (service->state != SERVING)
        return;
    service->state = DRAINING;
    ports_leave(&service->ports);
    http_drain_all(&service->https);
    drain_start(&service->drain, seconds);
    /* Not now: what was just told to end does so in the course of this turn. */
    timer_set(&service->look, loop_now(service->loop));
}

void
service_stop(struct service *service, bool at_once)
{
    double now = loop_now(service->loop);

    if (service->state != STOPPING) {
        service->state = STOPPING;
        service->stop_by = now + conf_longest_close_timeout(service->snapshot->conf);
        ports_close(&service->ports, true);
        proxied_hurry_all(&service->proxieds, HTTP_LAST_CHANCE);
        http_drain_all(&service->https);
        bridge_drain_all(&service->bridges, 1001, LEAVING);
        topic_clients_drain_all(&service->topic_clients, 1001, LEAVING);
    }
    if (at_once)
        service->stop_by = now;
    timer_set(&service->look, now);
}

/* The old configuration is freed when the last connection that began with it has ended. */
void
service_configure(struct service *service, const struct service_config *config)
{
    struct snapshot *old = service->snapshot;

    /* First: what waits at a port that goes was meant for it as it was. With TLS, for one. */
    (void)ports_set(&service->ports, config->ports, config->n_ports);
    service->snapshot = snapshot_ref(config->snapshot);
    snapshot_unref(old);
    service->sockets_max = config->sockets_max;
    service->https.half_open.max = config->half_open_max;
    (void)resolver_reload(service->resolver);
    (void)hubs_update(&service->hubs, config->buses); /* what is missing answers 503 */
    service->owner->configured(service->owner);
}

/* ---- lifetime ---- */

struct service *
service_new(const struct service_options *options)
{
    static const struct ports_events events = {on_has_room, on_n_spare, on_make_room, on_accepted};
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL) {
        log_error(loop_log(options->loop), "service", "out of memory");
        return NULL;
    }
    service->handler.request = on_request;
    service->loop = options->loop;
    loop_open_pipes(service->loop);
    service->main_loop = options->main_loop;
    service->owner = options->owner;
    service->limits = options->limits;
    service->sockets_max = options->config.sockets_max;
    service->snapshot = snapshot_ref(options->config.snapshot);
    service->ports_owner.events = &events;
    ports_init(&service->ports, service->loop, &service->ports_owner);
    linger_init(&service->lingers, service->loop);
    service->proxied_owner.ready = on_proxied;
    proxied_set_init(&service->proxieds, service->loop);
    http_set_init(&service->https, service->loop);
    service->https.half_open.max = options->config.half_open_max;
    bridge_set_init(&service->bridges);
    hubs_init(&service->hubs, service->loop);
    topic_clients_init(&service->topic_clients);
    drain_init(&service->drain, service->loop, tell_next);
    timer_init(&service->look, service->loop, on_look);
    service->resolver = resolver_new(service->loop, NULL);
    service->digest = ws_digest_new();
    if (service->digest == NULL)
        log_error(loop_log(service->loop), "service", "cannot use SHA-1: out of memory?");
    if (sessions_init(&service->sessions, service->loop) != 0) {
        service_free(service);
        return NULL;
    }
    if (service->resolver == NULL || service->digest == NULL ||
        hubs_update(&service->hubs, options->config.buses) != 0 ||
        ports_set(&service->ports, options->config.ports, options->config.n_ports) != 0) {
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
    ports_close(&service->ports, false);
    close_all(service);
    drain_deinit(&service->drain);
    timer_deinit(&service->look);
    http_set_deinit(&service->https);
    resolver_free(service->resolver);
    sessions_deinit(&service->sessions);
    hubs_deinit(&service->hubs);
    ws_digest_free(service->digest);
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
