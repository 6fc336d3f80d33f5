/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus -- what carries topics: this process alone (bus_memory), or a broker that other nodes share
 * (bus_mqtt). Publications go to it; what is published, by us too, comes from it by its sequence.
 *
 *      publisher ──publish──→ bus ──→ memory: the sequence     done at once
 *                                 └─→ broker ──→ the sequence  done when the broker has it
 *
 * Thread:    publish() on any worker's; all else on main.
 * Lifetime:  opened before the workers run, closed when they do not any more.
 */
#ifndef CULVERT_TOPIC_BUS_H
#define CULVERT_TOPIC_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "event/loop.h"

struct bus;
struct conf_bus;
struct log;
struct sequence;
struct topic_message;

enum bus_result {
    BUS_TAKEN,
    BUS_UNKNOWN, /* perhaps taken, perhaps not: the deadline is over, the broker away */
    BUS_REFUSED, /* by the broker */
    BUS_FULL,    /* too many wait for the broker already */
};

/* Embedded in who publishes. */
struct bus_publication {
    struct loop_message message; /* the bus's own: takes the outcome back to loop */
    struct loop *loop;           /* the publisher's */
    struct topic_message *topic; /* a reference of the publication's, until done() */
    double deadline;             /* loop_clock() */
    enum bus_result result;
    uint64_t number; /* its place on the bus; 0: not known here */
    /* Once, on loop, perhaps before publish() returns: it is the publisher's again. */
    void (*done)(struct bus_publication *publication);
};

struct bus_ops {
    /* Never waits. */
    void (*publish)(struct bus *bus, struct bus_publication *publication);
    /* What clients may subscribe to from now on: NULL-terminated, borrowed for the call. Nothing before the
     * first call. Returns -1 without memory. */
    int (*set_filters)(struct bus *bus, const char *const *filters);
    /* What is not done yet is done with BUS_UNKNOWN. */
    void (*close)(struct bus *bus);
};

/* Embedded first in every bus. */
struct bus {
    const struct bus_ops *ops;
    struct sequence *sequence; /* borrowed */
    bool numbers; /* a publication learns its place: false where a broker gives the order */
};

struct bus_options {
    const struct conf_bus *conf; /* borrowed until it returns */
    struct log *log;
    struct sequence *sequence;
};

/* These return NULL, logged. */
struct bus *bus_memory_open(const struct bus_options *options) __attribute__((warn_unused_result));
struct bus *bus_mqtt_open(const struct bus_options *options) __attribute__((warn_unused_result));

#endif
