/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/base64.h"

enum { ROOM = 4096 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Bit by bit, as RFC 4648 section 4 describes it. */
static size_t
reference(const uint8_t *data, size_t len, char *out)
{
    size_t n = 0;

    for (size_t bit = 0; bit < 8 * len; bit += 6) {
        unsigned digit = 0;

        for (size_t i = bit; i < bit + 6; i++)
            digit = digit << 1 | (i < 8 * len ? data[i / 8] >> (7 - i % 8) & 1u : 0);
        out[n++] = alphabet[digit];
    }
    while (n % 4 != 0)
        out[n++] = '=';
    return n;
}

/* The decoded text, in an area of exactly its size; NULL if it is malformed. */
static const uint8_t *
decode(struct guard *to, struct guard *from, const char *text, size_t len, size_t *decoded)
{
    size_t max = base64_decoded_max(len);
    uint8_t zeros[ROOM] = {0};
    uint8_t *dst = guard_end(to, zeros, max);
    const char *src = guard_end(from, text, len);
    bool good = base64_decode(dst, src, len, decoded);
    char *both = guard_end(from, text, len);
    size_t again;

    /* In place: the same. */
    assert_int_equal(base64_decode((uint8_t *)both, both, len, &again), good);
    if (!good)
        return NULL;
    assert_true(*decoded <= max);
    assert_int_equal(again, *decoded);
    assert_memory_equal(both, dst, *decoded);
    return dst;
}

static bool
is_good(const char *text)
{
    struct guard to = guard_open(ROOM), from = guard_open(ROOM);
    size_t decoded;
    bool good = decode(&to, &from, text, strlen(text), &decoded) != NULL;

    guard_close(&to);
    guard_close(&from);
    return good;
}

/* RFC 4648 section 10. */
static void
test_vectors_of_the_standard(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    struct guard to = guard_open(ROOM), from = guard_open(ROOM);

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        size_t len = strlen(vectors[i][0]), encoded = strlen(vectors[i][1]), decoded;
        char out[16];
        const uint8_t *data;

        assert_int_equal(base64_encoded_len(len), encoded);
        base64_encode(out, (const uint8_t *)vectors[i][0], len);
        assert_memory_equal(out, vectors[i][1], encoded);
        data = decode(&to, &from, vectors[i][1], encoded, &decoded);
        assert_non_null(data);
        assert_int_equal(decoded, len);
        assert_memory_equal(data, vectors[i][0], len);
    }
    guard_close(&to);
    guard_close(&from);
}

static void
test_every_length_there_and_back(void **state)
{
    struct guard text_area = guard_open(ROOM), data_area = guard_open(ROOM);
    uint8_t data[600];
    char expected[1000], stripped[1000];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + i / 256 * 13 + 5);
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t encoded = reference(data, len, expected), decoded;
        char zeros[1000] = "", *text;
        const uint8_t *back;

        assert_int_equal(base64_encoded_len(len), encoded);
        text = guard_end(&text_area, zeros, encoded);
        base64_encode(text, guard_end(&data_area, data, len), len);
        assert_memory_equal(text, expected, encoded);
        back = decode(&data_area, &text_area, expected, encoded, &decoded);
        assert_non_null(back);
        assert_int_equal(decoded, len);
        assert_memory_equal(back, data, len);
        memcpy(stripped, expected, encoded);
        while (encoded > 0 && expected[encoded - 1] == '=')
            encoded--;
        back = decode(&data_area, &text_area, stripped, encoded, &decoded);
        assert_non_null(back);
        assert_int_equal(decoded, len);
        /* Without padding, the room asked for is exact. */
        assert_int_equal(base64_decoded_max(encoded), len);
        assert_memory_equal(back, data, len);
    }
    guard_close(&text_area);
    guard_close(&data_area);
}

/* The data may lie at the end of the room for its text. */
static void
test_encode_overlapping(void **state)
{
    uint8_t data[200];
    char expected[400];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 59 + 1);
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t encoded = reference(data, len, expected);

        for (size_t above = 0; above < 3; above++) {
            char room[400];
            uint8_t *src = (uint8_t *)room + encoded - len + above;

            memcpy(src, data, len);
            base64_encode(room, src, len);
            assert_memory_equal(room, expected, encoded);
        }
    }
}

/* dst below src. */
static void
test_decode_overlapping(void **state)
{
    char room[64] = "....Zm9vYmFyZm9vYmFyZm9vYmE=";
    size_t decoded;

    (void)state;
    assert_true(base64_decode((uint8_t *)room + 1, room + 4, strlen(room + 4), &decoded));
    assert_int_equal(decoded, 17);
    assert_memory_equal(room + 1, "foobarfoobarfooba", 17);
}

/* Every byte at every place of a group, and of a tail. */
static void
test_every_character(void **state)
{
    static const char *const texts[] = {"AAAAAAAA", "AAAAAAA", "AAAAAA"};
    struct guard to = guard_open(ROOM), from = guard_open(ROOM);

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t at = 0; at < strlen(texts[i]); at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                size_t len = strlen(texts[i]), decoded;
                bool letter = byte != 0 && strchr(alphabet, (int)byte);
                bool last = len % 4 > 1 && at == len - 1;
                const uint8_t *data;
                char text[9];
                size_t digit;

                strcpy(text, texts[i]);
                text[at] = (char)byte;
                data = decode(&to, &from, text, len, &decoded);
                if (!letter) {
                    /* The one place where padding may be. */
                    assert_int_equal(data != NULL, byte == '=' && at == 7);
                    continue;
                }
                digit = (size_t)(strchr(alphabet, (int)byte) - alphabet);
                if (last && digit % (len % 4 == 2 ? 16 : 4) != 0) {
                    assert_null(data);
                    continue;
                }
                assert_non_null(data);
                for (size_t bit = 0; bit < 8 * decoded; bit++) {
                    bool is = data[bit / 8] >> (7 - bit % 8) & 1;

                    assert_int_equal(is, bit / 6 == at && digit >> (5 - bit % 6) & 1);
                }
            }
    guard_close(&to);
    guard_close(&from);
}

static void
test_malformed(void **state)
{
    static const char *const texts[] = {
        "A",       "AAAAA",    "=",        "==",         "===",     "====",  "A=",
        "A==",     "A===",     "Zg=",      "Zg===",      "Zm8==",   "Zm9v=", "Zm9v==",
        "Zm9v===", "Zm9v====", "Zg==Zg==", "Zg==Zm9v",   "Zm=v",    "Z=g=",  " Zm9v",
        "Zm9v ",   "Zm9v\n",   "Zm\n9v",   "Zm9-",       "Zm9_",    "Zh==",  "Zm9=",
        "Zh",      "Zm9",      "Zm9vZm9",  "Z\xc3\xbcg", "Zm9vZg=",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(is_good(texts[i]));
    assert_true(is_good("Zm8") && is_good("Zg") && is_good("Zm9vZg"));
}

static void
test_sizes_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(base64_encoded_len(SIZE_MAX), SIZE_MAX);
    assert_int_equal(base64_encoded_len(SIZE_MAX / 4 * 3), SIZE_MAX / 4 * 4);
    assert_int_equal(base64_encoded_len(SIZE_MAX / 4 * 3 + 1), SIZE_MAX);
    assert_int_equal(base64_decoded_max(SIZE_MAX), SIZE_MAX / 4 * 3 + 2);
    assert_int_equal(base64_decoded_max(0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_the_standard),
        cmocka_unit_test(test_every_length_there_and_back),
        cmocka_unit_test(test_encode_overlapping),
        cmocka_unit_test(test_decode_overlapping),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_sizes_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
