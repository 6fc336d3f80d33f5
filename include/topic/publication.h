/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publication -- one message on its way to the bus, for who publishes it.
 *
 * Thread:    on the loop's thread of the hub.
 * Lifetime:  publication_start() to done(), which comes in any case.
 */
#ifndef CULVERT_TOPIC_PUBLICATION_H
#define CULVERT_TOPIC_PUBLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"
#include "topic/bus.h"
#include "topic/cursor.h"

struct hub;
struct metrics_route;
struct publication;

/* Embedded in who publishes. */
struct publication {
    struct bus_publication bus;
    void (*done)(struct publication *publication);
};

/* done() may come before it returns. Returns -1 without memory; then it does not come. */
int publication_start(struct publication *publication, struct hub *hub, struct span topic,
                      const uint8_t *data, size_t len, bool retain,
                      void (*done)(struct publication *publication))
    __attribute__((warn_unused_result));

/* Of one that is done: NULL, or why it is not known to be taken. */
const char *publication_failure(const struct publication *publication);

/* One that is done. */
void publication_count(const struct publication *publication, struct metrics_route *metrics);

/* Its cursor, or NULL where the bus gives none. Returns out. */
const char *publication_id(const struct publication *publication, const struct bus *bus,
                           char out[CURSOR_MAX + 1]);

#endif
