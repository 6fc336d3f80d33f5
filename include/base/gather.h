/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gather -- bytes that came in parts, collected into one piece with room before them.
 *
 *      | GATHER_HEADROOM | the bytes so far |····· room to grow |
 *      ^ memory            ^ gather_data()    ^ + len
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

/* All zero is an empty one. */
struct gather {
    uint8_t *memory; /* NULL: nothing is owned */
    size_t len;
    size_t size; /* bytes behind the headroom that are allocated */
};

/* The bytes so far; of no use while there are none. */
static inline uint8_t *
gather_data(const struct gather *gather)
{
    return gather->memory + GATHER_HEADROOM;
}

/* Returns 0, or -1 without memory, with nothing taken. */
int gather_add(struct gather *gather, const void *bytes, size_t len)
    __attribute__((warn_unused_result));

/* Empties it and gives the memory back. */
void gather_clear(struct gather *gather);

#endif
