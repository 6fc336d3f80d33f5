/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/publication.h"

#include "base/list.h"
#include "base/metrics.h"
#include "event/loop.h"
#include "topic/hub.h"
#include "topic/message.h"

static void
on_done(struct bus_publication *bus)
{
    struct publication *publication = container_of(bus, struct publication, bus);

    publication->done(publication);
}

int
publication_start(struct publication *publication, struct hub *hub, struct span topic,
                  const uint8_t *data, size_t len, bool retain,
                  void (*done)(struct publication *publication))
{
    struct bus *bus = hub_bus(hub);

    publication->done = done;
    publication->bus = (struct bus_publication){
        .loop = hub_loop(hub),
        .topic = topic_message_new(topic.at, topic.len, data, len, retain),
        .deadline = loop_clock() + hub_publish_timeout(hub),
        .done = on_done,
    };
    if (publication->bus.topic == NULL)
        return -1;
    bus->ops->publish(bus, &publication->bus);
    return 0;
}

const char *
publication_failure(const struct publication *publication)
{
    switch (publication->bus.result) {
    case BUS_TAKEN:
        return NULL;
    case BUS_REFUSED:
        return "the broker refused it";
    case BUS_FULL:
        return "too many publications wait for the broker";
    case BUS_UNKNOWN:
        break;
    }
    return "not known to be taken: the broker has not acknowledged it";
}

const char *
publication_id(const struct publication *publication, const struct bus *bus,
               char out[CURSOR_MAX + 1])
{
    if (publication->bus.number == 0)
        return NULL;
    return cursor_write(out, sequence_epoch(bus->sequence), publication->bus.number);
}

void
publication_count(const struct publication *publication, struct metrics_route *metrics)
{
    bool taken = publication->bus.result == BUS_TAKEN;

    metrics_add(taken ? &metrics->topics.published : &metrics->topics.failed, 1);
}
