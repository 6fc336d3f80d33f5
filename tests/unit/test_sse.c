/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/sse.h"

static void
assert_message(const char *data, size_t len, bool text, const char *expected)
{
    size_t size = sse_message_len(4, (const uint8_t *)data, len, text);
    char *out = malloc(size + 1);

    assert_non_null(out);
    assert_int_equal(sse_message(out, "ID.7", (const uint8_t *)data, len, text), size);
    out[size] = '\0';
    assert_string_equal(out, expected);
    free(out);
}

static void
messages(void **state)
{
    (void)state;
    assert_message("\0\xff\n", 3, false, "event: binary\nid: ID.7\ndata: AP8K\n\n");
    assert_message("", 0, false, "event: binary\nid: ID.7\ndata: \n\n");
    assert_message("a\r\nb\n", 5, true, "event: text\nid: ID.7\ndata: \"a\\r\\nb\\n\"\n\n");
    assert_message("\"\\\t\x1f\0\x7f\xc3\xa9", 8, true,
                   "event: text\nid: ID.7\ndata: \"\\\"\\\\\\t\\u001f\\u0000\x7f\xc3\xa9\"\n\n");
}

static void
events(void **state)
{
    char out[64];

    (void)state;
    assert_int_equal(sse_event(out, sizeof out, "ping", NULL, "{}"), 22);
    assert_memory_equal(out, "event: ping\ndata: {}\n\n", 22);
    assert_int_equal(sse_event(out, sizeof out, "open", "x.0", "{}"), 30);
    assert_memory_equal(out, "event: open\nid: x.0\ndata: {}\n\n", 30);
    assert_int_equal(sse_event(out, 22, "ping", NULL, "{}"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
