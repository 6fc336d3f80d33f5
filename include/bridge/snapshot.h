/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot -- a configuration with what was made from it, counted as one.
 *
 * Thread:    made on main; references are counted from any thread.
 * Counters:  a snapshot that is to be served gets snapshot_count() first, with the same registry as
 *            the one before it, whose counters its routes of the same names go on with.
 */
#ifndef CULVERT_BRIDGE_SNAPSHOT_H
#define CULVERT_BRIDGE_SNAPSHOT_H

struct conf;
struct conf_report;
struct conf_route;
struct loop;
struct map_table;
struct metrics_entry;
struct metrics_route;
struct metrics_routes;
struct networks;
struct origin_policy;
struct tls;

struct snapshot {
    struct conf *conf;
    struct tls *tls;
    struct origin_policy *origins;   /* of each route, in conf's order */
    struct networks *trusted;        /* proxies */
    struct map_table **maps;         /* of each route; NULL where the target is no map */
    struct metrics_entry **counters; /* of each route; NULL: not served yet */
    unsigned references;             /* atomic */
};

/* Takes conf in any case. Returns NULL with mistakes (of certificates, origins,
 * networks, maps) in report. */
struct snapshot *snapshot_new(struct conf *conf, struct conf_report *report)
    __attribute__((warn_unused_result));
/* On reload, before the new one is used: what clients hold of the old one stays good. */
void snapshot_inherit(struct snapshot *snapshot, const struct snapshot *old);

/* On main, before the first worker gets the snapshot. Returns 0, or -1 without memory. */
int snapshot_count(struct snapshot *snapshot, struct metrics_routes *routes)
    __attribute__((warn_unused_result));

/* What the loop's worker counts of a route of the snapshot; lives as long as the snapshot. */
struct metrics_route *snapshot_metrics(const struct snapshot *snapshot,
                                       const struct conf_route *route, const struct loop *loop);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

#endif
