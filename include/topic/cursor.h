/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cursor -- the place in a bus's order that a client names: EPOCH-NUMBER (PROTOCOL.md section 4). To
 * clients it is opaque.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_TOPIC_CURSOR_H
#define CULVERT_TOPIC_CURSOR_H

#include <stdint.h>

enum {
    CURSOR_MAX = 64, /* bytes of one that is taken */
};

/* Returns 0, or -1: it is of another start or another node. */
int cursor_read(const char *text, const char *epoch, uint64_t *number);

/* epoch has at most 40 bytes. Returns out, terminated. */
const char *cursor_write(char out[CURSOR_MAX + 1], const char *epoch, uint64_t number);

#endif
