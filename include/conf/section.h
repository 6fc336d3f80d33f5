/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_section -- what the keys of one section put into one struct.
 *
 * Thread:    that of the loader.
 * Errors:    reported: unknown, repeated and missing keys, values.
 */
#ifndef CULVERT_CONF_SECTION_H
#define CULVERT_CONF_SECTION_H

#include "conf/context.h"
#include "conf/document.h"

/* The place of a section as a whole. */
struct conf_place conf_section_place(const struct conf_section *section);

/* Its entry of that name; NULL: none. */
const struct conf_entry *conf_section_entry(const struct conf_section *section, const char *key);

/* Puts the default of every key of a section of the table ("server", "log", "tls", "route") that
 * has one into object. */
void conf_section_defaults(struct conf_context *context, const char *kind, void *object);

/* Puts the entries into object, which is the struct of the section's kind. */
void conf_section_apply(struct conf_context *context, const struct conf_section *section,
                        void *object);

#endif
