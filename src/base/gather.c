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
    size_t size = gather->size * 2 > SIZE_MIN ? gather->size * 2 : SIZE_MIN;
    uint8_t *memory;

    if (size < needed)
        size = needed;
    memory = realloc(gather->memory, GATHER_HEADROOM + size);
    if (memory == NULL)
        return -1;
    gather->memory = memory;
    gather->size = size;
    return 0;
}

int
gather_add(struct gather *gather, const void *bytes, size_t len)
{
    if (len == 0)
        return 0;
    if (len > SIZE_MAX / 4 - gather->len)
        return -1;
    if (gather->len + len > gather->size && grow(gather, gather->len + len) != 0)
        return -1;
    memcpy(gather_data(gather) + gather->len, bytes, len);
    gather->len += len;
    return 0;
}

void
gather_clear(struct gather *gather)
{
    free(gather->memory);
    memset(gather, 0, sizeof *gather);
}
