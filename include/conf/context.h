/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_context -- what the parts of one load share, and how they say what is wrong.
 *
 * Thread:    that of the loader.
 * Lifetime:  one load.
 * Ownership: borrows everything.
 * Errors:    a mistake is reported where it is seen and remembered in `failed`; reading goes on, so
 *            that all mistakes are found.
 */
#ifndef CULVERT_CONF_CONTEXT_H
#define CULVERT_CONF_CONTEXT_H

#include <stdbool.h>

#include "conf/pool.h"

struct conf_report;

struct conf_context {
    struct conf_pool *pool;    /* the snapshot's */
    struct conf_pool *scratch; /* freed when the load has ended */
    struct conf_report *report;
    const char *directory; /* begins relative paths; NULL: the current one */
    bool failed;
};

/* What a mistake is about: "[section] key: " leads the message. */
struct conf_place {
    const char *section; /* as written between the brackets; NULL: no section */
    const char *key;     /* NULL: the section as a whole */
    unsigned line;       /* 0: the file as a whole */
};

void conf_mistake(struct conf_context *context, const struct conf_place *place, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* "[section] key: expected EXPECTED, got "VALUE"", the value cut if it is long. */
void conf_mistake_got(struct conf_context *context, const struct conf_place *place,
                      const char *expected, const char *value);

/* How many bytes of a text a message shows: whole characters only. */
int conf_shown(const char *text);

#endif
