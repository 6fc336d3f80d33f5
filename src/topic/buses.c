/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/buses.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "topic/bus.h"
#include "topic/hub.h"
#include "topic/sequence.h"

struct entry {
    struct list link;
    struct conf *conf; /* a reference: bus_conf is its */
    const struct conf_bus *bus_conf;
    struct sequence *sequence;
    struct bus *bus; /* NULL: closed */
};

struct buses {
    struct log *log;
    struct list members;
};

/* ---- filters ---- */

static bool
is_on(const struct conf_route *route, const char *name)
{
    return conf_route_use(route) == CONF_USE_TOPICS && strcmp(route->target.bus, name) == 0;
}

/* What routes on the bus let clients subscribe to, NULL-terminated, for the caller to free; the texts are
 * conf's. NULL without memory. */
static const char **
filters_of(const struct conf *conf, const char *name)
{
    size_t n = 0;
    const char **filters;

    for (size_t i = 0; i < conf->n_routes; i++)
        for (char **at = conf->routes[i].subscribe; is_on(&conf->routes[i], name) && *at; at++)
            n++;
    filters = calloc(n + 1, sizeof(const char *));
    if (filters == NULL)
        return NULL;
    n = 0;
    for (size_t i = 0; i < conf->n_routes; i++)
        for (char **at = conf->routes[i].subscribe; is_on(&conf->routes[i], name) && *at; at++)
            filters[n++] = *at;
    return filters;
}

/* ---- buses ---- */

struct buses *
buses_new(struct log *log)
{
    struct buses *buses = calloc(1, sizeof *buses);

    if (buses == NULL) {
        log_error(log, "topics", "out of memory");
        return NULL;
    }
    buses->log = log;
    list_init(&buses->members);
    return buses;
}

static struct entry *
find(struct buses *buses, const char *name)
{
    struct list *at;

    for (at = buses->members.next; at != &buses->members; at = at->next) {
        struct entry *entry = container_of(at, struct entry, link);

        if (strcmp(entry->bus_conf->name, name) == 0)
            return entry;
    }
    return NULL;
}

static void
free_entry(struct entry *entry)
{
    if (entry->bus != NULL)
        entry->bus->ops->close(entry->bus);
    sequence_free(entry->sequence);
    conf_unref(entry->conf);
    free(entry);
}

static struct bus *
open_bus(const struct bus_options *options)
{
    return options->conf->kind == CONF_BUS_MEMORY ? bus_memory_open(options)
                                                  : bus_mqtt_open(options);
}

/* Returns -1, logged. */
static int
add(struct buses *buses, struct conf *conf, const struct conf_bus *bus_conf)
{
    struct entry *entry = calloc(1, sizeof *entry);
    struct bus_options options = {.conf = bus_conf, .log = buses->log};

    if (entry == NULL) {
        log_error(buses->log, "topics", "out of memory");
        return -1;
    }
    entry->conf = conf_ref(conf);
    entry->bus_conf = bus_conf;
    entry->sequence = options.sequence = sequence_new();
    if (entry->sequence == NULL)
        log_error(buses->log, "topics", "out of memory or random bytes");
    else
        entry->bus = open_bus(&options);
    if (entry->bus == NULL) {
        free_entry(entry);
        return -1;
    }
    list_add(&buses->members, &entry->link);
    return 0;
}

static bool
is_used(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_routes; i++)
        if (is_on(&conf->routes[i], name))
            return true;
    return false;
}

int
buses_open(struct buses *buses, struct conf *conf)
{
    for (size_t i = 0; i < conf->n_buses; i++) {
        const struct conf_bus *bus_conf = &conf->buses[i];

        if (find(buses, bus_conf->name) == NULL && is_used(conf, bus_conf->name) &&
            add(buses, conf, bus_conf) != 0)
            return -1;
    }
    return 0;
}

void
buses_follow(struct buses *buses, const struct conf *conf)
{
    struct list *at;

    for (at = buses->members.next; at != &buses->members; at = at->next) {
        struct entry *entry = container_of(at, struct entry, link);
        const char **filters = filters_of(conf, entry->bus_conf->name);

        if (filters == NULL || entry->bus->ops->set_filters(entry->bus, filters) != 0)
            log_error(buses->log, "topics", "out of memory: bus [%s] stays subscribed as it was",
                      entry->bus_conf->name);
        free(filters);
    }
}

void
buses_close(struct buses *buses)
{
    struct list *at;

    if (buses == NULL)
        return;
    for (at = buses->members.next; at != &buses->members; at = at->next) {
        struct entry *entry = container_of(at, struct entry, link);

        if (entry->bus != NULL)
            entry->bus->ops->close(entry->bus);
        entry->bus = NULL;
    }
}

void
buses_free(struct buses *buses)
{
    if (buses == NULL)
        return;
    while (!list_empty(&buses->members)) {
        struct entry *entry = container_of(buses->members.next, struct entry, link);

        list_remove(&entry->link);
        free_entry(entry);
    }
    free(buses);
}

/* ---- hubs ---- */

struct hubs_member {
    struct list link;
    const char *name; /* the entry's */
    struct hub *hub;
};

void
hubs_init(struct hubs *hubs, struct loop *loop)
{
    hubs->loop = loop;
    list_init(&hubs->members);
}

struct hub *
hubs_find(struct hubs *hubs, const char *name)
{
    struct list *at;

    for (at = hubs->members.next; at != &hubs->members; at = at->next) {
        const struct hubs_member *member = container_of(at, struct hubs_member, link);

        if (strcmp(member->name, name) == 0)
            return member->hub;
    }
    return NULL;
}

/* Returns -1, logged. */
static int
join(struct hubs *hubs, const struct entry *entry)
{
    struct hub_options options = {.loop = hubs->loop, .bus = entry->bus, .conf = entry->bus_conf};
    struct hubs_member *member = calloc(1, sizeof *member);

    if (member == NULL) {
        log_error(loop_log(hubs->loop), "topics", "out of memory");
        return -1;
    }
    member->name = entry->bus_conf->name;
    member->hub = hub_new(&options);
    if (member->hub == NULL) {
        free(member);
        return -1;
    }
    list_add(&hubs->members, &member->link);
    return 0;
}

int
hubs_update(struct hubs *hubs, struct buses *buses)
{
    struct list *at;
    int result = 0;

    for (at = buses->members.next; at != &buses->members; at = at->next) {
        const struct entry *entry = container_of(at, struct entry, link);

        if (hubs_find(hubs, entry->bus_conf->name) == NULL && join(hubs, entry) != 0)
            result = -1;
    }
    return result;
}

void
hubs_deinit(struct hubs *hubs)
{
    while (!list_empty(&hubs->members)) {
        struct hubs_member *member = container_of(hubs->members.next, struct hubs_member, link);

        list_remove(&member->link);
        hub_free(member->hub);
        free(member);
    }
}
