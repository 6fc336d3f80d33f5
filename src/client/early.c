/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/early.h"

#include <stdlib.h>
#include <string.h>

void
early_init(struct early *early, char *bytes, size_t len)
{
    *early = (struct early){bytes, (uint32_t)len, 0};
}

void
early_deinit(struct early *early)
{
    free(early->bytes);
    memset(early, 0, sizeof *early);
}

size_t
early_take(struct early *early, void *out, size_t max)
{
    size_t len = early->len - early->at;

    if (early->bytes == NULL)
        return 0;
    if (len > max)
        len = max;
    memcpy(out, early->bytes + early->at, len);
    early->at += (uint32_t)len;
    if (early->at == early->len)
        early_deinit(early);
    return len;
}
