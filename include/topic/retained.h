/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retained -- the values that topics keep, as one worker refers to them: bounded in number and bytes.
 *
 * Thread:    one worker's.
 * Lifetime:  retained_init() to retained_deinit(); the tree, which holds them, outlives it.
 * Errors:    a value that cannot be kept is lost, logged; no older one stays in its place.
 */
#ifndef CULVERT_TOPIC_RETAINED_H
#define CULVERT_TOPIC_RETAINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;
struct topic_message;
struct topic_tree;

struct retained {
    struct topic_tree *tree;
    struct log *log;
    size_t max, bytes_max;
    size_t bytes;
    bool told_full;
};

void retained_init(struct retained *retained, struct topic_tree *tree, struct log *log, size_t max,
                   size_t bytes_max);
void retained_deinit(struct retained *retained);

/* The value of a message's topic; NULL: it has none. */
const struct topic_message *retained_of(const struct retained *retained,
                                        const struct topic_message *message);

/* Whether a value of that length can be kept. */
bool retained_fits(const struct retained *retained, const char *topic, size_t len,
                   size_t payload_len);

/* The message is its topic's value from now on; an empty one: it has none. */
void retained_keep(struct retained *retained, struct topic_message *message);

/* Values of numbers before that one are none any more. */
void retained_forget(struct retained *retained, uint64_t before);

#endif
