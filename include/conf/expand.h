/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_expand -- from what stands behind `key =` to the value that is meant, and back.
 *
 *     raw text ── comment cut ── blanks at the ends cut ── one pass over the rest ── value
 *                                                          \;  ${NAME}  ${NAME:-default}  $$
 *
 * What a variable puts in is not looked at again: it may hold ` ;`, `$` and blanks at its ends.
 * ${:-text} is text itself, since nothing has the empty name; so blanks at the ends can be written.
 *
 * Thread:    that of the loader (reads the environment).
 */
#ifndef CULVERT_CONF_EXPAND_H
#define CULVERT_CONF_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/context.h"

/* The longest value, after expansion. */
#define CONF_VALUE_MAX 8192

/* Narrows *text and returns its length without a comment and without blanks at the ends. */
size_t conf_expand_trim(const char **text, size_t len);

/* The value of a trimmed raw text, from the scratch pool; NULL after a mistake. places: ${user} and
 * ${client_id} are places of a template (base/topic_template.h) and stay. */
char *conf_expand(struct conf_context *context, const struct conf_place *place, const char *raw,
                  size_t len, bool places) __attribute__((warn_unused_result));

/* Writes a value so that reading it gives the same bytes. The value holds no line feed. */
void conf_expand_escape(const char *value, FILE *out);
void conf_expand_escape_filter(const char *value, FILE *out); /* its places stay */

#endif
