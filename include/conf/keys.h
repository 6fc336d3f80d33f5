/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_key -- looking things up in the table of keys that conf.h shows.
 *
 * Thread:    any; the table never changes.
 *
 * A kind is the first word of a section's name: server, log, tls, defaults, route. [defaults] takes
 * the keys of route but `target`; [tls HOST] takes those of tls that have no default.
 */
#ifndef CULVERT_CONF_KEYS_H
#define CULVERT_CONF_KEYS_H

#include <stdbool.h>

struct conf_key;
struct conf_section;

/* NULL if there is no such key in sections of that kind. */
const struct conf_key *conf_key_find(const char *kind, const char *name);

/* Whether the key may stand in that section, which is of its kind. */
bool conf_key_allowed(const struct conf_key *key, const struct conf_section *section);

/* Whether a section must have the key: it has no default, and is allowed there. */
bool conf_key_required(const struct conf_key *key, const struct conf_section *section);

/* The key that was probably meant; NULL: nothing looks like it. */
const char *conf_key_near(const char *kind, const char *name);

bool conf_kind_known(const char *kind);
const char *conf_kind_near(const char *kind);

#endif
