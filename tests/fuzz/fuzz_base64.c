/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base64: any bytes encoded, decoded and compared; any text decoded and, if it is taken, encoded
 * again. Input: the bytes, or the text.
 */
#include "fuzz.h"
#include "proto/base64.h"

static void
check_data(struct fuzz in)
{
    size_t len = base64_encoded_len(in.len), decoded;
    char *text = malloc(len ? len : 1), *room;
    uint8_t *copy = fuzz_copy(in.at, in.len), *back = malloc(base64_decoded_max(len) + 1);

    CHECK(text && back);
    base64_encode(text, copy, in.len);
    CHECK(base64_decode(back, text, len, &decoded));
    CHECK(decoded == in.len && (decoded == 0 || memcmp(back, in.at, decoded) == 0));
    /* From the end of the room. */
    room = malloc(len ? len : 1);
    CHECK(room != NULL);
    if (in.len > 0)
        memcpy(room + len - in.len, in.at, in.len);
    base64_encode(room, (const uint8_t *)room + len - in.len, in.len);
    CHECK(memcmp(room, text, len) == 0);
    free(room);
    free(text);
    free(copy);
    free(back);
}

static void
check_text(struct fuzz in)
{
    char *text = fuzz_copy(in.at, in.len), *both = fuzz_copy(in.at, in.len), *again;
    size_t max = base64_decoded_max(in.len), decoded, len;
    uint8_t *out = malloc(max ? max : 1);
    bool good;

    CHECK(out != NULL);
    good = base64_decode(out, text, in.len, &decoded);
    CHECK(base64_decode((uint8_t *)both, both, in.len, &len) == good);
    if (good) {
        CHECK(decoded <= max && len == decoded && (len == 0 || memcmp(both, out, len) == 0));
        /* One encoding only: the text itself, padding aside. */
        len = base64_encoded_len(decoded);
        again = malloc(len ? len : 1);
        CHECK(again != NULL && len >= in.len && len - in.len < 3);
        base64_encode(again, out, decoded);
        CHECK(in.len == 0 || memcmp(again, in.at, in.len) == 0);
        for (size_t i = in.len; i < len; i++)
            CHECK(again[i] == '=');
        free(again);
    }
    free(text);
    free(both);
    free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};

    check_data(in);
    check_text(in);
    return 0;
}
