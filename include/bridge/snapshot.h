/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot -- a configuration with what was made from it, counted as one.
 *
 * Thread:    made on main; references are counted from any thread.
 */
#ifndef CULVERT_BRIDGE_SNAPSHOT_H
#define CULVERT_BRIDGE_SNAPSHOT_H

struct conf;
struct conf_report;
struct map_table;
struct networks;
struct origin_policy;
struct tls;

struct snapshot {
    struct conf *conf;
    struct tls *tls;
    struct origin_policy *origins; /* of each route, in conf's order */
    struct networks *trusted;      /* proxies */
    struct map_table **maps;       /* of each route; NULL where the target is no map */
    unsigned references;           /* atomic */
};

/* Takes conf in any case. Returns NULL with mistakes (of certificates, origins,
 * networks, maps) in report. */
struct snapshot *snapshot_new(struct conf *conf, struct conf_report *report)
    __attribute__((warn_unused_result));
/* On reload, before the new one is used: what clients hold of the old one stays good. */
void snapshot_inherit(struct snapshot *snapshot, const struct snapshot *old);

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

#endif
