/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_bus -- the sections [bus] and [bus NAME], and which of them a topic route is on.
 *
 * Thread:    that of the loader.
 * Ownership: texts live in the snapshot's pool.
 * Errors:    reported.
 */
#ifndef CULVERT_CONF_BUS_H
#define CULVERT_CONF_BUS_H

#include "conf/context.h"
#include "conf/document.h"

struct conf;

#define CONF_BUSES_MAX 64

/* All of them, once the routes are there; that of [bus] is there without a section, too. */
void conf_bus_build(struct conf_context *context, const struct conf_document *document,
                    struct conf *conf);

#endif
