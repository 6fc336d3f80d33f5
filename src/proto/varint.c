/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/varint.h"

#include <assert.h>

size_t
varint_encode(uint8_t *out, uint64_t value)
{
    size_t len = varint_len(value);
    uint8_t mark = len == 1 ? 0 : len == 2 ? 0x40 : len == 4 ? 0x80 : 0xc0;

    assert(value < VARINT_VALUE_MAX);
    for (size_t i = len; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
    out[0] |= mark;
    return len;
}

size_t
varint_decode(const uint8_t *in, size_t len, uint64_t *value)
{
    size_t need = len > 0 ? varint_len_of(in[0]) : 1;

    if (len < need)
        return 0;
    *value = in[0] & 0x3f;
    for (size_t i = 1; i < need; i++)
        *value = *value << 8 | in[i];
    return need;
}
