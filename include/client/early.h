/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * early -- what a client sent behind its request, before it could know that it is a WebSocket's.
 *
 * Thread:    any; embedded in its owner.
 */
#ifndef CULVERT_CLIENT_EARLY_H
#define CULVERT_CLIENT_EARLY_H

#include <stddef.h>
#include <stdint.h>

/* All zero: nothing. */
struct early {
    char *bytes;  /* NULL: nothing is left */
    uint32_t len; /* HTTP_HELD_MAX at most */
    uint32_t at;  /* of what is left */
};

/* Takes bytes, which are freed with free() as soon as nothing is left. */
void early_init(struct early *early, char *bytes, size_t len);
void early_deinit(struct early *early);

/* Moves at most max bytes to out. Returns how many; 0 if nothing is left. */
size_t early_take(struct early *early, void *out, size_t max);

#endif
