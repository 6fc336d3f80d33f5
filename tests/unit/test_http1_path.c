/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/http1.h"

enum { LONGEST = 9000 };

/* Decodes with the input and the output each ending at a guard page. */
static int
decode(struct span path, char *copy)
{
    struct guard in = guard_open(LONGEST), out = guard_open(LONGEST);
    char *room = guard_end(&out, memset(copy, 'x', path.len + 1), path.len + 1);
    int len;

    path.at = guard_end(&in, path.at, path.len);
    len = http1_path_decode(path, room);
    if (len >= 0)
        memcpy(copy, room, (size_t)len + 1);
    guard_close(&in);
    guard_close(&out);
    return len;
}

static void
test_paths(void **state)
{
    static const struct {
        const char *raw, *decoded; /* NULL: refused */
    } cases[] = {
        {"/", "/"},
        {"/a", "/a"},
        {"/a/", "/a/"},
        {"/a/b.c", "/a/b.c"},
        {"/a%20b", "/a b"},
        {"/%41%62c", "/Abc"},
        {"/%e2%82%AC", "/\xe2\x82\xac"},
        {"/a%25", "/a%"},
        {"/%2541", "/%41"},
        {"/...", "/..."},
        {"/.a", "/.a"},
        {"/a.", "/a."},
        {"/..a/b", "/..a/b"},
        {"/a+b", "/a+b"},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"%2fa", NULL},
        {"//", NULL},
        {"//a", NULL},
        {"/a//b", NULL},
        {"/a//", NULL},
        {"/.", NULL},
        {"/..", NULL},
        {"/./", NULL},
        {"/../", NULL},
        {"/a/./b", NULL},
        {"/a/../b", NULL},
        {"/a/..", NULL},
        {"/%2e", NULL},
        {"/%2e%2E/a", NULL},
        {"/.%2e", NULL},
        {"/a/%2e/b", NULL},
        {"/a%2fb", NULL},
        {"/a%2Fb", NULL},
        {"/a%00", NULL},
        {"/%00", NULL},
        {"/a\\b", NULL},
        {"/a%5cb", NULL},
        {"/a%5C", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/%g0", NULL},
        {"/%0g", NULL},
        {"/% 1", NULL},
        {"/%%41", NULL},
    };
    char out[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int len = decode((struct span){cases[i].raw, strlen(cases[i].raw)}, out);

        if (!cases[i].decoded) {
            assert_int_equal(len, -1);
            continue;
        }
        assert_int_equal(len, strlen(cases[i].decoded));
        assert_string_equal(out, cases[i].decoded);
    }
    assert_int_equal(decode((struct span){"/a\0b", 4}, out), -1);
}

/* Every single byte, raw and encoded. */
static void
test_every_byte(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char raw[] = {'/', 'a', (char)byte, 'b'}, encoded[10], out[10];
        bool good = byte != 0 && byte != '\\';

        assert_int_equal(decode((struct span){raw, 4}, out), good && byte != '%' ? 4 : -1);
        snprintf(encoded, sizeof encoded, "/a%%%02xb", (unsigned)byte);
        assert_int_equal(decode((struct span){encoded, 6}, out), good && byte != '/' ? 4 : -1);
        if (good && byte != '/')
            assert_memory_equal(out, raw, 4);
    }
}

static void
test_long_path(void **state)
{
    char raw[HTTP1_TARGET_MAX], out[HTTP1_TARGET_MAX + 1];

    (void)state;
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    assert_int_equal(decode((struct span){raw, sizeof raw}, out), HTTP1_TARGET_MAX);
}

/* ---- queries ---- */

static int
get(const char *query, const char *key, char *value, size_t size)
{
    struct guard in = guard_open(LONGEST), out = guard_open(LONGEST);
    char *room = guard_end(&out, memset(value, 'x', size), size);
    size_t len = strlen(query);
    int result = http1_query_get((struct span){guard_end(&in, query, len), len}, key, room, size);

    memcpy(value, room, size);
    guard_close(&in);
    guard_close(&out);
    return result;
}

static void
test_queries(void **state)
{
    static const struct {
        const char *query;
        int result;
        const char *value;
    } cases[] = {
        {"", 0, NULL},
        {"&", 0, NULL},
        {"key", 1, ""},
        {"key=", 1, ""},
        {"key=v", 1, "v"},
        {"key=a=b", 1, "a=b"},
        {"key=a+b", 1, "a+b"},
        {"key=a%2Bb%20c", 1, "a+b c"},
        {"key=%e2%82%ac", 1, "\xe2\x82\xac"},
        {"key=%2541", 1, "%41"},
        {"key=a;b=c", 1, "a;b=c"},
        {"a=1&key=v&b=2", 1, "v"},
        {"&&key=v&&", 1, "v"},
        {"ke%79=v", 1, "v"},
        {"%6b%65%79", 1, ""},
        {"Key=v", 0, NULL},
        {"keys=v", 0, NULL},
        {"ke=v", 0, NULL},
        {"=key", 0, NULL},
        {"a=key=v", 0, NULL},
        {"key%00=v", 0, NULL},
        {"key%=v", 0, NULL},
        {"other=%zz&key=v", 1, "v"},
        {"key=1&key=2", -1, NULL},
        {"key=1&key=1", -1, NULL},
        {"key&ke%79", -1, NULL},
        {"key=%", -1, NULL},
        {"key=%4", -1, NULL},
        {"key=%zz", -1, NULL},
        {"key=a%00b", -1, NULL},
        {"key=%ff", -1, NULL},
        {"key=%e2%82", -1, NULL},
        {"key=\xc3\xbc", 1, "\xc3\xbc"},
        {"key=\xc3", -1, NULL},
        {"key=123456789", 1, "123456789"},
        {"key=1234567890", -1, NULL},
        {"key=%31%32%33%34%35%36%37%38%39", 1, "123456789"},
    };
    char value[10];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(get(cases[i].query, "key", value, sizeof value), cases[i].result);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
    }
    assert_int_equal(get("key", "key", value, 1), 1);
    assert_int_equal(get("key=a", "key", value, 1), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_queries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
