/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_route -- what stands in the brackets of [route HOST/PATH], and which route a request takes
 * (conf_find_route() of conf.h).
 *
 * Thread:    that of the loader.
 * Ownership: texts live in the snapshot's pool.
 * Errors:    false, reported.
 */
#ifndef CULVERT_CONF_ROUTE_H
#define CULVERT_CONF_ROUTE_H

#include <stdbool.h>

#include "conf/context.h"

struct conf_route;

/* Sets name, host, path, path_len, prefix. argument: "HOST/PATH", "/PATH". */
bool conf_route_name(struct conf_context *context, const struct conf_place *place,
                     const char *argument, struct conf_route *route)
    __attribute__((warn_unused_result));

/* A host in the name of a section, in lower case; NULL after a mistake. "*.HOST" only if wildcard.
 */
char *conf_route_host(struct conf_context *context, const struct conf_place *place,
                      const char *host, size_t len, bool wildcard)
    __attribute__((warn_unused_result));

/* Whether two routes would take the same requests. */
bool conf_route_same(const struct conf_route *a, const struct conf_route *b);

#endif
