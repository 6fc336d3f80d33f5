/* SPDX-License-Identifier: BSD-2-Clause */
/* text: what comes from a configuration does not leave its string, and sizes are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/text.h"

static void
assert_written(void (*write)(struct text *text, const char *value), const char *value,
               const char *wanted)
{
    struct text text;

    text_init(&text, 1000);
    write(&text, value);
    assert_false(text_failed(&text));
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.len);
    text_deinit(&text);
}

static void
test_labels(void **state)
{
    (void)state;
    assert_written(text_label, "/plain", "/plain");
    assert_written(text_label, "a\"b\\c\nd", "a\\\"b\\\\c\\nd");
    assert_written(text_label, "/m\xc3\xbc<\t", "/m\xc3\xbc<\t");
    assert_written(text_label, "/m\xfc\"", "/m?\\\"");
}

static void
test_json(void **state)
{
    (void)state;
    assert_written(text_json, "", "\"\"");
    assert_written(text_json, "a\"b\\c\nd", "\"a\\\"b\\\\c\\u000ad\"");
    assert_written(text_json, "</script>", "\"\\u003c/script>\"");
    assert_written(text_json, "/m\xc3\xbc\x01", "\"/m\xc3\xbc\\u0001\"");
    assert_written(text_json, "\xe2\x82", "\"??\"");
}

static void
test_limit(void **state)
{
    char large[6000];
    struct text text;

    (void)state;
    memset(large, 'x', sizeof large);
    text_init(&text, 6001);
    text_add(&text, large, 6000);
    assert_false(text_failed(&text));
    text_add(&text, large, 2);
    assert_true(text_failed(&text));
    assert_int_equal(text.len, 6000);
    text_put(&text, "y"); /* what failed stays so, or a gap would show */
    assert_int_equal(text.len, 6000);
    text_deinit(&text);
}

static void
test_format(void **state)
{
    char large[1000];
    struct text text;

    (void)state;
    text_init(&text, 10000);
    text_format(&text, "%s=%d", "a", 5);
    assert_memory_equal(text.data, "a=5", 3);
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    text_format(&text, "%s", large); /* never half of it */
    assert_true(text_failed(&text));
    text_deinit(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
