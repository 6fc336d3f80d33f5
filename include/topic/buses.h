/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buses -- the buses of the process, by their names, each with its order; and a worker's hubs on them.
 *
 * A bus is opened when the first route is on it, and stays; what its section says takes effect then. What
 * clients may subscribe to follows the configuration.
 *
 *      main:     buses_new → [ buses_open → workers: hubs_update → buses_follow ] each configuration
 *                → workers have ended → buses_close → their loops are freed → buses_free
 *
 * Thread:    buses on main; hubs on their worker's, or on main while its loop does not run.
 */
#ifndef CULVERT_TOPIC_BUSES_H
#define CULVERT_TOPIC_BUSES_H

#include <stddef.h>

#include "base/list.h"

struct buses;
struct conf;
struct hub;
struct log;
struct loop;

/* Returns NULL without memory, logged. */
struct buses *buses_new(struct log *log) __attribute__((warn_unused_result));

/* Opens those that routes of conf are on and that are not there yet. They carry nothing in before
 * buses_follow(). Returns -1, logged. */
int buses_open(struct buses *buses, struct conf *conf) __attribute__((warn_unused_result));

/* What clients may subscribe to is what conf says, now that every worker has its hubs. */
void buses_follow(struct buses *buses, const struct conf *conf);

/* Ends their threads; loops must still be there. NULL is fine. */
void buses_close(struct buses *buses);
/* When no hub is left. NULL is fine. */
void buses_free(struct buses *buses);

/* ---- a worker's ---- */

struct hubs {
    struct loop *loop;
    struct list members;
};

void hubs_init(struct hubs *hubs, struct loop *loop);
/* Makes those that are missing. Returns -1, logged, if one could not be made. */
int hubs_update(struct hubs *hubs, struct buses *buses);
/* The hub on the bus of that name; NULL: there is none. */
struct hub *hubs_find(struct hubs *hubs, const char *name);
void hubs_deinit(struct hubs *hubs);

#endif
