/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Masking: every implementation against the definition, in memory of its own and moving down by a
 * distance. Input: key, phase, distance, payload.
 */
#include "fuzz.h"
#include "proto/mask.h"

static void
check_variant(const struct mask_variant *v, struct fuzz in, const uint8_t key[4], unsigned phase,
              size_t distance)
{
    uint8_t *src = fuzz_copy(in.at, in.len), *dst = fuzz_copy(in.at, in.len);
    uint8_t *both = malloc(in.len + distance + 1);

    CHECK(both != NULL);
    if (in.len > 0)
        memcpy(both + distance, in.at, in.len);
    v->copy(dst, src, in.len, key, phase);
    v->copy(both, both + distance, in.len, key, phase);
    for (size_t i = 0; i < in.len; i++) {
        CHECK(dst[i] == (in.at[i] ^ key[(i + phase) % 4]));
        CHECK(both[i] == dst[i]);
    }
    free(src);
    free(dst);
    free(both);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    uint8_t key[4];
    unsigned phase, distance;
    const struct mask_variant chosen[] = {{"chosen", mask_copy}, {NULL, NULL}};

    for (int i = 0; i < 4; i++)
        key[i] = fuzz_byte(&in);
    phase = fuzz_byte(&in) & 3;
    distance = fuzz_byte(&in);
    for (const struct mask_variant *v = mask_variants(); v->name; v++)
        check_variant(v, in, key, phase, distance);
    check_variant(chosen, in, key, phase, distance);
    return 0;
}
