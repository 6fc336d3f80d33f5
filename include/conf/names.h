/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_names -- a list of names separated by commas, such as subprotocols: tokens of RFC 9110
 * section 5.6.2, which RFC 6455 section 4.1 asks for, each of at most 63 bytes, none twice.
 *
 * Thread:    that of the loader.
 * Ownership: the list and its names live in the snapshot's pool.
 * Errors:    NULL, reported.
 */
#ifndef CULVERT_CONF_NAMES_H
#define CULVERT_CONF_NAMES_H

#include "conf/context.h"

/* NULL-terminated; empty for an empty text. */
char **conf_names_read(struct conf_context *context, const struct conf_place *place,
                       const char *text) __attribute__((warn_unused_result));

#endif
