/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/levels.h"

#include <assert.h>
#include <string.h>

unsigned
topic_levels_count(const char *text, size_t len)
{
    const char *end = text + len;
    unsigned n = 1;

    while ((text = memchr(text, '/', (size_t)(end - text))) != NULL) {
        text++;
        n++;
    }
    return n;
}

bool
topic_levels_ok(const char *text, size_t len)
{
    return topic_levels_count(text, len) <= TOPIC_LEVELS;
}

void
topic_levels_cut(struct topic_levels *levels, const char *text, size_t len)
{
    const char *end = text + len, *slash;

    levels->n = 0;
    do {
        struct topic_level *level = &levels->level[levels->n];

        assert(levels->n < TOPIC_LEVELS);
        slash = memchr(text, '/', (size_t)(end - text));
        level->at = text;
        level->len = (size_t)((slash != NULL ? slash : end) - text);
        levels->n++;
        text = slash != NULL ? slash + 1 : end;
    } while (slash != NULL);
}
