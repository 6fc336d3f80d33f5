/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/gather.h"

#include <stdlib.h>
#include <string.h>

enum {
    SIZE_MIN = 512,
};

static int
grow(struct gather *gather, size_t needed)
{
    struct gather_block *block = gather->block;
    size_t size = block != NULL && block->size * 2 > SIZE_MIN ? block->size * 2 : SIZE_MIN;

    if (size < needed)
        size = needed;
    block = realloc(block, sizeof *block + size);
    if (block == NULL)
        return -1;
    if (gather->block == NULL)
        block->len = 0;
    block->size = size;
    gather->block = block;
    return 0;
}

int
gather_add(struct gather *gather, const void *bytes, size_t len)
{
    size_t had = gather_len(gather);

    if (len == 0)
        return 0;
    if (len > SIZE_MAX / 4 - had)
        return -1;
    if ((gather->block == NULL || had + len > gather->block->size) && grow(gather, had + len) != 0)
        return -1;
    memcpy(gather->block->data + had, bytes, len);
    gather->block->len += len;
    return 0;
}

void
gather_clear(struct gather *gather)
{
    free(gather->block);
    gather->block = NULL;
}
