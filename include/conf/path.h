/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_path -- names of files in a configuration: made absolute, and checked that they are there.
 *
 * Thread:    that of the loader.
 * Ownership: paths live in the snapshot's pool.
 * Errors:    NULL, reported.
 */
#ifndef CULVERT_CONF_PATH_H
#define CULVERT_CONF_PATH_H

#include <stdbool.h>

#include "conf/context.h"

/* Relative names begin at the directory of the configuration; nothing is looked up. */
char *conf_path_absolute(struct conf_context *context, const struct conf_place *place,
                         const char *name) __attribute__((warn_unused_result));

/* A file that can be read, or a directory that can be entered. */
char *conf_path_existing(struct conf_context *context, const struct conf_place *place,
                         const char *name, bool directory) __attribute__((warn_unused_result));

/* A file that can be appended to, or made. */
char *conf_path_output(struct conf_context *context, const struct conf_place *place,
                       const char *name) __attribute__((warn_unused_result));

/* The path of a unix socket, which need not be there but must fit into an address. */
char *conf_path_socket(struct conf_context *context, const struct conf_place *place,
                       const char *name) __attribute__((warn_unused_result));

#endif
