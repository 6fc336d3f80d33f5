/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gather -- bytes that came in parts, collected into one piece with room before them.
 *
 *      | len, size | GATHER_HEADROOM | the bytes so far |····· room to grow |
 *      ^ block                         ^ gather_data()    ^ + len
 *
 * An empty one owns nothing. How much may be collected is the caller's care.
 */
#ifndef CULVERT_BASE_GATHER_H
#define CULVERT_BASE_GATHER_H

#include <stddef.h>
#include <stdint.h>

enum {
    GATHER_HEADROOM = 16, /* writable bytes before the data, for a header */
};

struct gather_block {
    size_t len;
    size_t size; /* bytes behind the headroom that are allocated */
    uint8_t headroom[GATHER_HEADROOM];
    uint8_t data[];
};

/* All zero is an empty one. */
struct gather {
    struct gather_block *block; /* NULL: nothing is owned */
};

static inline size_t
gather_len(const struct gather *gather)
{
    return gather->block != NULL ? gather->block->len : 0;
}

/* The bytes so far; only if there are any. */
static inline uint8_t *
gather_data(const struct gather *gather)
{
    return gather->block->data;
}

/* Returns 0, or -1 without memory, with nothing taken. */
int gather_add(struct gather *gather, const void *bytes, size_t len)
    __attribute__((warn_unused_result));

/* Empties it and gives the memory back. */
void gather_clear(struct gather *gather);

#endif
