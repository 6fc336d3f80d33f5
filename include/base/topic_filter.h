/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_filter -- MQTT's topic names and topic filters (MQTT 5.0 section 4.7), and how filters lie to
 * each other.
 *
 *      a/+/c    one level for each plus sign, perhaps an empty one
 *      a/#      a itself and all below it
 *      #, +/b   no topic that begins with a dollar sign
 *
 * Texts are bytes with a length; that they are UTF-8 is the caller's care. Work grows with their
 * lengths alone, and nothing is allocated.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_BASE_TOPIC_FILTER_H
#define CULVERT_BASE_TOPIC_FILTER_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TOPIC_MAX = 65535, /* bytes of a name or filter (section 1.5.4) */
};

/* Whether messages may be published to it: 1 to TOPIC_MAX bytes without NUL and wildcards. */
bool topic_name_is_valid(const char *name, size_t len);

/* Whether it may be subscribed to: wildcards stand for whole levels, and '#' for the last one. */
bool topic_filter_is_valid(const char *filter, size_t len);

/* All of these are for valid names and filters. */

/* Whether a message of that topic is for who subscribed to the filter. */
bool topic_filter_matches(const char *filter, size_t filter_len, const char *name, size_t name_len);

/* Whether wide matches all that narrow does: who may subscribe to wide, may to narrow. */
bool topic_filter_covers(const char *wide, size_t wide_len, const char *narrow, size_t narrow_len);

/* Whether there is a topic that both match: a broker may send its messages twice to who subscribed to
 * both. */
bool topic_filter_overlaps(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
