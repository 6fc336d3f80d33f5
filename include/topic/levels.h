/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * levels -- a topic name or filter, cut at its slashes.
 *
 * Thread:    any; no state.
 * Ownership: levels point into the text.
 */
#ifndef CULVERT_TOPIC_LEVELS_H
#define CULVERT_TOPIC_LEVELS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TOPIC_LEVELS_CLIENT = 512, /* of all filters of one client together */
    TOPIC_LEVELS = 128, /* of a name or filter; bounds the nodes of one and the work of a match */
};

struct topic_level {
    const char *at;
    size_t len;
};

struct topic_levels {
    unsigned n;
    struct topic_level level[TOPIC_LEVELS];
};

/* Whether a name or filter has few enough. */
bool topic_levels_ok(const char *text, size_t len);

/* How many it has: a filter costs a tree so many nodes at most. */
unsigned topic_levels_count(const char *text, size_t len);

/* Of a text that has. */
void topic_levels_cut(struct topic_levels *levels, const char *text, size_t len);

static inline bool
topic_level_is(const struct topic_level *level, char wildcard)
{
    return level->len == 1 && level->at[0] == wildcard;
}

#endif
