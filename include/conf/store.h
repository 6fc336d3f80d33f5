/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_store -- puts the text of a value into the field that the table of keys names, and writes a
 * field as text.
 *
 * Thread:    that of the loader; conf_store_print() any.
 * Errors:    a mistake is reported and the field left as it was.
 */
#ifndef CULVERT_CONF_STORE_H
#define CULVERT_CONF_STORE_H

#include <stdio.h>

#include "conf/context.h"

struct conf_key;

/* How many `listen` there may be; struct conf has room for so many while it is built. */
#define CONF_LISTENS_MAX 64

/* object is the struct of the key's section: struct conf, conf_tls, conf_route. */
void conf_store(struct conf_context *context, const struct conf_place *place,
                const struct conf_key *key, const char *value, void *object);

/* "key = value" lines; one for each `listen`. */
void conf_store_print(const struct conf_key *key, const void *object, FILE *out);

#endif
