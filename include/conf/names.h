/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_names -- lists separated by commas, nothing in them empty or repeated.
 *
 * Thread:    that of the loader.
 * Ownership: the list and its names live in the snapshot's pool.
 * Errors:    NULL, reported.
 */
#ifndef CULVERT_CONF_NAMES_H
#define CULVERT_CONF_NAMES_H

#include "conf/context.h"

/*
 * Names such as subprotocols: tokens of RFC 9110 section 5.6.2, which RFC 6455 section 4.1 asks
 * for, each of at most 63 bytes. NULL-terminated; empty for an empty text.
 */
char **conf_names_read(struct conf_context *context, const struct conf_place *place,
                       const char *text) __attribute__((warn_unused_result));

/*
 * Origins, SCHEME://HOST[:PORT], each of at most 256 bytes; or one of the words same and any,
 * alone. NULL-terminated, never empty. Whoever compares origins parses them, and only that tells
 * whether one is well-formed: here it is only seen that no part is forgotten.
 */
char **conf_names_read_origins(struct conf_context *context, const struct conf_place *place,
                               const char *text) __attribute__((warn_unused_result));

/* Topic filters of MQTT, with places for who the client is (base/topic_template.h). NULL-terminated;
 * empty for an empty text. */
char **conf_names_read_filters(struct conf_context *context, const struct conf_place *place,
                               const char *text) __attribute__((warn_unused_result));

#endif
