/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus of one process: what is published is on it when it has its number. */
#include <stdlib.h>

#include "base/log.h"
#include "topic/bus.h"
#include "topic/message.h"
#include "topic/sequence.h"

static void
op_publish(struct bus *bus, struct bus_publication *publication)
{
    struct topic_message *topic = publication->topic;

    publication->topic = NULL;
    publication->number = sequence_put(bus->sequence, SEQUENCE_MESSAGE, topic, publication->loop);
    publication->result = BUS_TAKEN;
    topic_message_unref(topic);
    publication->done(publication);
}

/* Everybody gets everything. */
static int
op_set_filters(struct bus *bus, const char *const *filters)
{
    (void)bus;
    (void)filters;
    return 0;
}

static void
op_close(struct bus *bus)
{
    free(bus);
}

struct bus *
bus_memory_open(const struct bus_options *options)
{
    static const struct bus_ops ops = {op_publish, op_set_filters, op_close};
    struct bus *bus = calloc(1, sizeof *bus);

    if (bus == NULL) {
        log_error(options->log, "bus", "out of memory");
        return NULL;
    }
    bus->ops = &ops;
    bus->sequence = options->sequence;
    bus->numbers = true;
    return bus;
}
