/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cover -- the fewest topic filters that stand for a list of them.
 *
 * A broker may send a message once for each subscription that it matches. What is subscribed to leaves out
 * what another filter covers, and where copies cannot be told apart, filters that overlap are joined to one
 * that covers both:
 *
 *      a/#  a/b  a/+      a/#
 *      a/+  +/b           a/+  +/b, or joined  +/+
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_TOPIC_COVER_H
#define CULVERT_TOPIC_COVER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * filters: ended by NULL, valid. Returns such a list, in the order in which they are needed, or NULL
 * without memory. With join no two of them overlap.
 */
char **cover_reduce(const char *const *filters, bool join) __attribute__((warn_unused_result));

/* Whether two filters of the list overlap. */
bool cover_overlaps(const char *const *filters);

/* Whether a filter stands in the list, and whether one of them matches a topic. */
bool cover_has(const char *const *filters, const char *filter);
bool cover_matches(const char *const *filters, const char *topic, size_t topic_len);

/* A list ended by NULL and its texts; NULL is fine. */
void cover_free(char **filters);

#endif
