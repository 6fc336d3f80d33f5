/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/service_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "bridge/service.h"
#include "bridge/snapshot.h"
#include "event/loop.h"

enum order_kind {
    ORDER_CONFIGURE,
    ORDER_DRAIN,
    ORDER_STOP,
};

struct service_order {
    struct loop_message message;
    struct service *service;
    enum order_kind kind;
    struct service_config config; /* its ports are those below */
    double seconds;
    bool at_once;
    struct service_port ports[];
};

static void
deliver_order(struct loop_message *message)
{
    struct service_order *order = container_of(message, struct service_order, message);

    switch (order->kind) {
    case ORDER_CONFIGURE:
        service_configure(order->service, &order->config);
        break;
    case ORDER_DRAIN:
        service_drain(order->service, order->seconds);
        break;
    case ORDER_STOP:
        service_stop(order->service, order->at_once);
        break;
    }
    service_order_free(order);
}

static struct service_order *
make_order(enum order_kind kind, size_t n_ports)
{
    struct service_order *order = calloc(1, sizeof *order + n_ports * sizeof order->ports[0]);

    if (order == NULL)
        return NULL;
    order->message.deliver = deliver_order;
    order->kind = kind;
    return order;
}

struct service_order *
service_order_configure(const struct service_config *config)
{
    struct service_order *order = make_order(ORDER_CONFIGURE, config->n_ports);

    if (order == NULL)
        return NULL;
    order->config = *config;
    order->config.ports = order->ports;
    memcpy(order->ports, config->ports, config->n_ports * sizeof order->ports[0]);
    snapshot_ref(config->snapshot);
    return order;
}

struct service_order *
service_order_drain(double seconds)
{
    struct service_order *order = make_order(ORDER_DRAIN, 0);

    if (order != NULL)
        order->seconds = seconds;
    return order;
}

struct service_order *
service_order_stop(bool at_once)
{
    struct service_order *order = make_order(ORDER_STOP, 0);

    if (order != NULL)
        order->at_once = at_once;
    return order;
}

void
service_order_send(struct service *service, struct service_order *order)
{
    order->service = service;
    loop_post(service_loop(service), &order->message);
}

void
service_order_free(struct service_order *order)
{
    if (order == NULL)
        return;
    snapshot_unref(order->config.snapshot);
    free(order);
}
