/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/section.h"

#include <string.h>

#include "conf/conf.h"
#include "conf/keys.h"
#include "conf/report.h"
#include "conf/store.h"

struct conf_place
conf_section_place(const struct conf_section *section)
{
    return (struct conf_place){.section = section->name, .line = section->line};
}

const struct conf_entry *
conf_section_entry(const struct conf_section *section, const char *key)
{
    const struct conf_entry *entry = section->first;

    while (entry != NULL && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry;
}

void
conf_section_defaults(struct conf_context *context, const char *kind, void *object)
{
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        struct conf_place place = {.section = kind, .key = key->name};
        if (strcmp(key->section, kind) == 0 && key->standard != NULL)
            conf_store(context, &place, key, key->standard, object);
    }
}

/* The section where a key of that name belongs; NULL: it is no key at all. */
static const char *
home_of(const char *name)
{
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        if (strcmp(key->name, name) == 0)
            return key->section;
    }
    return NULL;
}

static void
unknown_key(struct conf_context *context, const struct conf_place *place, const char *kind)
{
    const char *near = conf_key_near(kind, place->key);
    const char *home = home_of(place->key);

    if (home != NULL)
        conf_mistake(context, place, "not a key of this section, but of [%s]",
                     strcmp(home, "route") == 0 ? "route PATH" : home);
    else if (near != NULL)
        conf_mistake(context, place, "unknown key; did you mean %s?", near);
    else
        conf_mistake(context, place, "unknown key");
}

static void
apply_entry(struct conf_context *context, const struct conf_section *section,
            const struct conf_entry *entry, void *object)
{
    struct conf_place place = {.section = section->name, .key = entry->key, .line = entry->line};
    const struct conf_key *key = conf_key_find(section->kind, entry->key);
    const struct conf_entry *earlier;

    if (key == NULL || !conf_key_allowed(key, section)) {
        unknown_key(context, &place, section->kind);
        return;
    }
    earlier = key->type == CONF_LISTEN ? entry : conf_section_entry(section, entry->key);
    if (earlier != entry)
        conf_mistake(context, &place, "repeated; it already stands in line %u", earlier->line);
    if (entry->value != NULL)
        conf_store(context, &place, key, entry->value, object);
}

static void
check_required(struct conf_context *context, const struct conf_section *section)
{
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        struct conf_place place = {
            .section = section->name, .key = key->name, .line = section->line};
        if (conf_key_required(key, section) && conf_section_entry(section, key->name) == NULL)
            conf_mistake(context, &place, "missing; it has no default");
    }
}

void
conf_section_apply(struct conf_context *context, const struct conf_section *section, void *object)
{
    const struct conf_entry *entry = section->first;

    for (; entry != NULL && !conf_report_full(context->report); entry = entry->next)
        apply_entry(context, section, entry, object);
    check_required(context, section);
}
