/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "guard/networks.h"
#include "guard/origin.h"
#include "net/tls.h"
#include "target/map_table.h"

/* ---- origins ---- */

static size_t
count(char **texts)
{
    size_t n = 0;

    while (texts[n] != NULL)
        n++;
    return n;
}

/* Returns -1 without memory. What is no origin goes to report. */
static int
read_listed(struct origin_policy *policy, const struct conf_route *route,
            struct conf_report *report)
{
    size_t n = count(route->origins);
    struct origin *listed = calloc(n, sizeof *listed);
    size_t i;

    if (listed == NULL)
        return -1;
    for (i = 0; i < n; i++) {
        struct span text = {route->origins[i], strlen(route->origins[i])};
        enum origin_result result = origin_parse(text, &listed[i]);

        if (!origin_passes(result))
            conf_report_add(report, route->origins_line,
                            "[route %s] origins: expected scheme://host[:port], got \"%s\": %s",
                            route->name, route->origins[i], origin_reason(result));
    }
    policy->mode = ORIGIN_MODE_LIST;
    policy->listed = listed;
    policy->n_listed = n;
    return 0;
}

static int
read_policy(struct origin_policy *policy, const struct conf_route *route,
            struct conf_report *report)
{
    policy->required = route->origin_required;
    if (strcmp(route->origins[0], "same") == 0)
        policy->mode = ORIGIN_MODE_SAME;
    else if (strcmp(route->origins[0], "any") == 0)
        policy->mode = ORIGIN_MODE_ANY;
    else
        return read_listed(policy, route, report);
    return 0;
}

/* Returns NULL if something is wrong, which report tells. */
static struct origin_policy *
read_origins(const struct conf *conf, struct conf_report *report)
{
    struct origin_policy *policies = calloc(conf->n_routes, sizeof *policies);
    size_t i;

    for (i = 0; policies != NULL && i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (route->target.kind != CONF_TARGET_FILES &&
            read_policy(&policies[i], route, report) != 0)
            break;
    }
    if (policies == NULL || i < conf->n_routes)
        conf_report_add(report, 0, "out of memory");
    return policies;
}

static void
free_origins(struct origin_policy *policies, size_t n)
{
    size_t i;

    for (i = 0; policies != NULL && i < n; i++)
        free((struct origin *)(uintptr_t)policies[i].listed);
    free(policies);
}

/* ---- trusted proxies ---- */

static struct networks *
read_trusted(const struct conf *conf, struct conf_report *report)
{
    struct networks_error error;
    struct networks *trusted = networks_parse(conf->trusted_proxies, &error);

    if (trusted == NULL)
        conf_report_add(report, conf->trusted_proxies_line,
                        "[server] trusted_proxies: expected networks such as 10.0.0.0/8, got "
                        "\"%.*s\": %s",
                        (int)(error.len < 80 ? error.len : 80), error.at, error.why);
    return trusted;
}

/* ---- maps ---- */

/* Each with the map's own name and line, behind the key that names the map. */
static void
retell(const struct conf_route *route, const struct conf_report *inner, struct conf_report *report)
{
    for (size_t i = 0; i < inner->n_mistakes; i++) {
        const struct conf_mistake *mistake = &inner->mistakes[i];

        if (mistake->line == 0)
            conf_report_add(report, route->target_line, "[route %s] target: %s: %s", route->name,
                            route->target.path, mistake->text);
        else
            conf_report_add(report, route->target_line, "[route %s] target: %s:%u: %s", route->name,
                            route->target.path, mistake->line, mistake->text);
    }
}

static struct map_table *
read_map(const struct conf_route *route, struct conf_report *report)
{
    struct conf_report inner;
    struct map_table *table;

    conf_report_init(&inner, route->target.path);
    table = map_table_new(route->name, route->target.path, &inner);
    retell(route, &inner, report);
    if (table == NULL && inner.n_mistakes == 0)
        conf_report_add(report, 0, "out of memory");
    conf_report_deinit(&inner);
    return table;
}

static struct map_table **
read_maps(const struct conf *conf, struct conf_report *report)
{
    struct map_table **maps = calloc(conf->n_routes, sizeof *maps);

    if (maps == NULL)
        conf_report_add(report, 0, "out of memory");
    for (size_t i = 0; maps != NULL && i < conf->n_routes; i++) {
        if (conf->routes[i].target.kind == CONF_TARGET_MAP)
            maps[i] = read_map(&conf->routes[i], report);
    }
    return maps;
}

static void
free_maps(struct map_table **maps, size_t n)
{
    for (size_t i = 0; maps != NULL && i < n; i++)
        map_table_unref(maps[i]);
    free(maps);
}

/* ---- snapshots ---- */

struct snapshot *
snapshot_new(struct conf *conf, struct conf_report *report)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (snapshot == NULL) {
        conf_report_add(report, 0, "out of memory");
        conf_unref(conf);
        return NULL;
    }
    snapshot->references = 1;
    snapshot->conf = conf;
    snapshot->origins = read_origins(conf, report);
    snapshot->trusted = read_trusted(conf, report);
    snapshot->maps = read_maps(conf, report);
    snapshot->tls = tls_new(conf, report);
    if (snapshot->tls == NULL || report->n_mistakes > 0) {
        snapshot_unref(snapshot);
        return NULL;
    }
    return snapshot;
}

void
snapshot_inherit(struct snapshot *snapshot, const struct snapshot *old)
{
    tls_keep_tickets(snapshot->tls, old->tls);
}

struct snapshot *
snapshot_ref(struct snapshot *snapshot)
{
    __atomic_add_fetch(&snapshot->references, 1, __ATOMIC_RELAXED);
    return snapshot;
}

void
snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL || __atomic_sub_fetch(&snapshot->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tls_unref(snapshot->tls);
    free_maps(snapshot->maps, snapshot->conf->n_routes);
    networks_free(snapshot->trusted);
    free_origins(snapshot->origins, snapshot->conf->n_routes);
    conf_unref(snapshot->conf);
    free(snapshot);
}
