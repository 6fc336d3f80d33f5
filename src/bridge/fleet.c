/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/fleet.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/list.h"
#include "base/log.h"
#include "base/pipes.h"
#include "bridge/service.h"
#include "bridge/service_order.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/worker.h"
#include "net/listen_set.h"
#include "topic/buses.h"

/* One worker with what it serves. Each message is under way at most once. */
struct crew {
    struct service_owner owner;
    struct fleet *fleet;
    struct loop *loop;
    struct service *service;
    struct worker *worker; /* NULL: does not run */
    struct loop_message configured;
    struct loop_message drained;
    struct loop_message stopped;
};

struct fleet {
    struct loop *loop; /* main's */
    struct limits *limits;
    size_t spare_descriptors;
    struct fleet_owner *owner;
    struct fleet_owner nobody; /* in its place while the fleet is being freed */
    struct snapshot *snapshot;
    struct buses *buses;
    struct listen_set *listens;
    struct listen_set *old_listens; /* while workers go over to others */
    unsigned n_changing;            /* workers that have not gone over yet */
    unsigned n_undrained;
    unsigned n_running;
    unsigned n;
    struct service **services; /* of the crews */
    struct crew crews[];
};

/* ---- from the services ---- */

static void
deliver_configured(struct loop_message *message)
{
    struct fleet *fleet = container_of(message, struct crew, configured)->fleet;

    if (--fleet->n_changing > 0)
        return;
    listen_set_close(fleet->old_listens);
    fleet->old_listens = NULL;
    buses_follow(fleet->buses, fleet->snapshot->conf);
    fleet->owner->configured(fleet->owner);
}

static void
deliver_drained(struct loop_message *message)
{
    struct fleet *fleet = container_of(message, struct crew, drained)->fleet;

    if (--fleet->n_undrained == 0)
        fleet->owner->drained(fleet->owner);
}

static void
deliver_stopped(struct loop_message *message)
{
    struct fleet *fleet = container_of(message, struct crew, stopped)->fleet;

    if (--fleet->n_running == 0)
        fleet->owner->stopped(fleet->owner);
}

static void
tell(struct crew *crew, struct loop_message *message, void (*deliver)(struct loop_message *message))
{
    message->deliver = deliver;
    loop_post(crew->fleet->loop, message);
}

/* These three on the worker's thread. */

static void
on_configured(struct service_owner *owner)
{
    struct crew *crew = container_of(owner, struct crew, owner);

    tell(crew, &crew->configured, deliver_configured);
}

static void
on_drained(struct service_owner *owner)
{
    struct crew *crew = container_of(owner, struct crew, owner);

    tell(crew, &crew->drained, deliver_drained);
}

static void
on_stopped(struct service_owner *owner)
{
    struct crew *crew = container_of(owner, struct crew, owner);

    tell(crew, &crew->stopped, deliver_stopped);
}

/* ---- configurations ---- */

/* What is left of the descriptors after those of the process itself, the log's (twice while it is
 * reopened), of the loops, their pipes and the resolvers. */
static size_t
sockets_of_a_worker(unsigned n_workers, size_t n_listens, size_t spare)
{
    size_t own = spare + 10 + 3 * (n_workers + 1) + (PIPES_DESCRIPTORS + n_listens) * n_workers;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur > own ? (limit.rlim_cur - own) / n_workers : 0;
}

/* A worker's part of what the process may have. */
static size_t
share_of(unsigned whole, unsigned n_workers)
{
    return whole > n_workers ? whole / n_workers : 1;
}

/* What worker `index` serves by. Returns the ports in it, for the caller to free; NULL without
 * memory. */
static struct service_port *
make_config(const struct fleet *fleet, struct snapshot *snapshot, const struct listen_set *listens,
            unsigned index, struct service_config *config)
{
    size_t n = listen_set_count(listens);
    struct service_port *ports = calloc(n, sizeof *ports);
    size_t i;

    if (ports == NULL)
        return NULL;
    for (i = 0; i < n; i++) {
        ports[i].fd = listen_set_fd(listens, i, index);
        ports[i].tls = listen_set_conf(listens, i)->tls;
        ports[i].proxy = listen_set_conf(listens, i)->proxy;
    }
    config->snapshot = snapshot;
    config->buses = fleet->buses;
    config->ports = ports;
    config->n_ports = n;
    config->half_open_max = share_of(snapshot->conf->half_open_max, fleet->n);
    config->sockets_max = sockets_of_a_worker(fleet->n, n, fleet->spare_descriptors);
    return ports;
}

/* ---- orders to all ---- */

/* Sends orders[] of every worker that runs, or frees them all if one is missing. */
static int
send_all(struct fleet *fleet, struct service_order **orders)
{
    bool whole = true;
    unsigned i;

    for (i = 0; i < fleet->n; i++)
        whole = whole && orders[i] != NULL;
    for (i = 0; i < fleet->n; i++) {
        if (whole && fleet->crews[i].worker != NULL)
            service_order_send(fleet->crews[i].service, orders[i]);
        else
            service_order_free(orders[i]);
    }
    free(orders);
    if (whole)
        return 0;
    log_error(loop_log(fleet->loop), "fleet", "out of memory");
    return -1;
}

static struct service_order **
make_orders(const struct fleet *fleet)
{
    struct service_order **orders = calloc(fleet->n, sizeof *orders);

    if (orders == NULL)
        log_error(loop_log(fleet->loop), "fleet", "out of memory");
    return orders;
}

static int
order_configure(struct fleet *fleet, struct snapshot *snapshot, const struct listen_set *listens)
{
    struct service_order **orders = make_orders(fleet);
    unsigned i;

    if (orders == NULL)
        return -1;
    for (i = 0; i < fleet->n; i++) {
        struct service_config config;
        struct service_port *ports = make_config(fleet, snapshot, listens, i, &config);

        if (ports != NULL)
            orders[i] = service_order_configure(&config);
        free(ports);
    }
    return send_all(fleet, orders);
}

int
fleet_configure(struct fleet *fleet, struct snapshot *snapshot)
{
    struct listen_set *listens =
        listen_set_open(snapshot->conf, fleet->n, fleet->listens, loop_log(fleet->loop));

    if (listens == NULL)
        return -1;
    if (buses_open(fleet->buses, snapshot->conf) != 0 ||
        order_configure(fleet, snapshot, listens) != 0) {
        listen_set_close(listens);
        return -1;
    }
    fleet->n_changing = fleet->n;
    fleet->old_listens = fleet->listens;
    fleet->listens = listens;
    snapshot_unref(fleet->snapshot);
    fleet->snapshot = snapshot_ref(snapshot);
    return 0;
}

bool
fleet_is_changing(const struct fleet *fleet)
{
    return fleet->n_changing > 0;
}

int
fleet_drain(struct fleet *fleet, double seconds)
{
    struct service_order **orders = make_orders(fleet);
    unsigned i;

    if (orders == NULL)
        return -1;
    fleet->n_undrained = fleet->n;
    for (i = 0; i < fleet->n; i++)
        orders[i] = service_order_drain(seconds);
    return send_all(fleet, orders);
}

int
fleet_stop(struct fleet *fleet, bool at_once)
{
    struct service_order **orders = make_orders(fleet);
    unsigned i;

    if (orders == NULL)
        return -1;
    for (i = 0; i < fleet->n; i++)
        orders[i] = service_order_stop(at_once);
    return send_all(fleet, orders);
}

/* ---- lifetime ---- */

static int
make_crew(struct fleet *fleet, struct crew *crew, unsigned index)
{
    struct service_options options = {
        .owner = &crew->owner, .main_loop = fleet->loop, .limits = fleet->limits};
    struct service_port *ports;

    crew->fleet = fleet;
    crew->owner = (struct service_owner){on_configured, on_drained, on_stopped};
    crew->loop = options.loop = loop_new(loop_log(fleet->loop), index + 1);
    if (crew->loop == NULL)
        return -1;
    ports = make_config(fleet, fleet->snapshot, fleet->listens, index, &options.config);
    if (ports != NULL)
        crew->service = service_new(&options);
    free(ports);
    return crew->service != NULL ? 0 : -1;
}

/* All are made before any runs: making shares libraries' state, running does not. */
static int
start_all(struct fleet *fleet)
{
    unsigned i;

    for (i = 0; i < fleet->n; i++)
        if (make_crew(fleet, &fleet->crews[i], i) != 0)
            return -1;
    for (i = 0; i < fleet->n; i++) {
        fleet->services[i] = fleet->crews[i].service;
        service_set_peers(fleet->services[i], fleet->services, fleet->n);
    }
    for (i = 0; i < fleet->n; i++) {
        fleet->crews[i].worker = worker_start(fleet->crews[i].loop);
        if (fleet->crews[i].worker == NULL)
            return -1;
        fleet->n_running++;
    }
    return 0;
}

struct fleet *
fleet_start(const struct fleet_options *options)
{
    struct conf *conf = options->snapshot->conf;
    struct fleet *fleet = calloc(1, sizeof *fleet + conf->workers * sizeof fleet->crews[0]);

    if (fleet == NULL) {
        log_error(loop_log(options->loop), "fleet", "out of memory");
        return NULL;
    }
    fleet->loop = options->loop;
    fleet->owner = options->owner;
    fleet->limits = options->limits;
    fleet->spare_descriptors = options->spare_descriptors;
    fleet->snapshot = snapshot_ref(options->snapshot);
    fleet->n = conf->workers;
    fleet->listens = listen_set_open(conf, fleet->n, NULL, loop_log(fleet->loop));
    fleet->services = calloc(fleet->n, sizeof(struct service *));
    if (fleet->services == NULL)
        log_error(loop_log(options->loop), "fleet", "out of memory");
    fleet->buses = buses_new(loop_log(fleet->loop));
    if (fleet->listens != NULL && fleet->services != NULL && fleet->buses != NULL &&
        buses_open(fleet->buses, conf) == 0 && start_all(fleet) == 0) {
        buses_follow(fleet->buses, conf);
        return fleet;
    }
    fleet_free(fleet);
    return NULL;
}

/* For who is being freed, and whose owner has nothing to learn any more. */
static void
ignore(struct fleet_owner *owner)
{
    (void)owner;
}

static void
free_crew(struct crew *crew)
{
    service_free(crew->service);
    loop_free(crew->loop);
}

void
fleet_free(struct fleet *fleet)
{
    unsigned i;

    if (fleet == NULL)
        return;
    fleet->nobody = (struct fleet_owner){ignore, ignore, ignore};
    fleet->owner = &fleet->nobody;
    if (fleet->n_running > 0 && fleet_stop(fleet, true) != 0)
        abort(); /* threads that cannot be told to end: nothing may be freed beneath them */
    for (i = 0; i < fleet->n; i++)
        worker_join(fleet->crews[i].worker);
    buses_close(fleet->buses);
    for (i = 0; i < fleet->n;
         i++) /* what has come too late; before any of those it names is freed */
        if (fleet->crews[i].loop != NULL)
            loop_deliver(fleet->crews[i].loop);
    for (i = 0; i < fleet->n; i++)
        free_crew(&fleet->crews[i]);
    loop_deliver(fleet->loop); /* what they have told since */
    buses_free(fleet->buses);
    listen_set_close(fleet->old_listens);
    listen_set_close(fleet->listens);
    snapshot_unref(fleet->snapshot);
    free(fleet->services);
    free(fleet);
}

struct snapshot *
fleet_snapshot(const struct fleet *fleet)
{
    return fleet->snapshot;
}

const struct listen_set *
fleet_listens(const struct fleet *fleet)
{
    return fleet->listens;
}

const struct listen_set *
fleet_old_listens(const struct fleet *fleet)
{
    return fleet->old_listens;
}

unsigned
fleet_size(const struct fleet *fleet)
{
    return fleet->n;
}

struct service *
fleet_service(const struct fleet *fleet, unsigned index)
{
    return fleet->crews[index].service;
}
