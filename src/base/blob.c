/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

struct blob *
blob_reserve(size_t len, unsigned tag)
{
    struct blob *blob = len < SIZE_MAX - sizeof *blob ? malloc(sizeof *blob + len) : NULL;

    if (blob == NULL)
        return NULL;
    blob->references = 1;
    blob->tag = tag;
    blob->len = len;
    return blob;
}

struct blob *
blob_new(const void *bytes, size_t len, unsigned tag)
{
    struct blob *blob = blob_reserve(len, tag);

    if (blob != NULL && len > 0)
        memcpy(blob->data, bytes, len);
    return blob;
}

struct blob *
blob_ref(struct blob *blob)
{
    __atomic_add_fetch(&blob->references, 1, __ATOMIC_RELAXED);
    return blob;
}

void
blob_unref(struct blob *blob)
{
    if (blob != NULL && __atomic_sub_fetch(&blob->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(blob);
}
