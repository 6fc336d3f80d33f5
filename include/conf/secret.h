/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_secret -- a password that stands in a file of its own, so that the configuration can be shown.
 *
 * Thread:    that of the loader.
 * Ownership: lives in the snapshot's pool.
 * Errors:    NULL, reported.
 */
#ifndef CULVERT_CONF_SECRET_H
#define CULVERT_CONF_SECRET_H

#include "conf/context.h"

#define CONF_SECRET_MAX 4096

/* The text of the file without the line feed at its end, at most CONF_SECRET_MAX bytes, no NUL. */
char *conf_secret_read(struct conf_context *context, const struct conf_place *place,
                       const char *path) __attribute__((warn_unused_result));

#endif
