/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service_order -- what main tells a service to do, as messages.
 *
 * They are made before the first is sent, so that either all services get theirs or none.
 *
 * Thread:    main's; an order is carried out on the service's thread, in the order of sending.
 * Ownership: an order is the caller's until it is sent.
 * Errors:    NULL without memory.
 */
#ifndef CULVERT_BRIDGE_SERVICE_ORDER_H
#define CULVERT_BRIDGE_SERVICE_ORDER_H

#include <stdbool.h>

struct service;
struct service_config;
struct service_order;

/* service_configure(), with a copy of config. */
struct service_order *service_order_configure(const struct service_config *config);

/* service_drain() */
struct service_order *service_order_drain(double seconds);

/* service_stop() */
struct service_order *service_order_stop(bool at_once);

void service_order_send(struct service *service, struct service_order *order);

/* One that was not sent. NULL is fine. */
void service_order_free(struct service_order *order);

#endif
