/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_build -- from a document to the structs of a snapshot: which sections there are, defaults,
 * and what has to fit together.
 *
 * Thread:    that of the loader.
 * Ownership: everything lives in the context's pool.
 * Errors:    mistakes are reported and set the context's `failed`; the snapshot is then not to be
 *            used.
 */
#ifndef CULVERT_CONF_BUILD_H
#define CULVERT_CONF_BUILD_H

#include "conf/context.h"

struct conf;
struct conf_document;

#define CONF_ROUTES_MAX 1000
#define CONF_TLS_MAX    1000

void conf_build(struct conf_context *context, const struct conf_document *document,
                struct conf *conf);

#endif
