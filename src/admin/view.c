/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/view.h"

#include <string.h>

#include "base/metrics.h"

const char *
view_unready(const struct view *view)
{
    size_t i;

    if (view->draining)
        return "draining";
    for (i = 0; i < view->n_workers; i++)
        if (metrics_read(&view->workers[i]->listening) > 0)
            return NULL;
    return "no worker accepts connections";
}

void
view_sum_workers(const struct view *view, struct metrics_worker *sum)
{
    size_t i;

    memset(sum, 0, sizeof *sum);
    for (i = 0; i < view->n_workers; i++)
        metrics_sum_worker(sum, view->workers[i]);
}

size_t
view_bridged(const struct metrics_route *route)
{
    size_t n = 0;
    unsigned i;

    for (i = 0; i < METRICS_TRANSPORTS; i++)
        n += metrics_left(route->flows[i].opened, route->flows[i].ended);
    return n;
}
