/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blob -- bytes that several hold at once, counted; the last one who lets go frees them.
 *
 *      | references, len, tag | room for headers | data … |
 *
 * The bytes do not change while more than one holds them; the room before them is for who sends them at
 * the time.
 *
 * Thread:    references are counted from any thread; the room is one thread's at a time.
 */
#ifndef CULVERT_BASE_BLOB_H
#define CULVERT_BASE_BLOB_H

#include <stddef.h>
#include <stdint.h>

enum {
    BLOB_HEADROOM = 32, /* writable bytes before the data */
};

struct blob {
    unsigned references; /* atomic; private to blob.c */
    unsigned tag;        /* the owner's */
    size_t len;
    uint8_t headroom[BLOB_HEADROOM];
    uint8_t data[];
};

/* A copy of len bytes, with one reference. NULL without memory. */
struct blob *blob_new(const void *bytes, size_t len, unsigned tag)
    __attribute__((warn_unused_result));

/* The same with the bytes still to be written, before anybody else gets it. */
struct blob *blob_reserve(size_t len, unsigned tag) __attribute__((warn_unused_result));

struct blob *blob_ref(struct blob *blob);
/* NULL is fine. */
void blob_unref(struct blob *blob);

#endif
