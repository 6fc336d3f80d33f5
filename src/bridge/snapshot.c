/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/snapshot.h"

#include <stdlib.h>

#include "conf/conf.h"
#include "net/tls.h"

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
    snapshot->tls = tls_new(conf, report);
    if (snapshot->tls == NULL) {
        snapshot_unref(snapshot);
        return NULL;
    }
    return snapshot;
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
    conf_unref(snapshot->conf);
    free(snapshot);
}
