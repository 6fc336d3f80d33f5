/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

struct sink {
    int fds[2];
    struct log *log;
    char text[8192];
};

static int
set_up(void **state)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (sink == NULL || pipe(sink->fds) != 0)
        return -1;
    sink->log = log_open(sink->fds[1], LOG_LEVEL_INFO);
    *state = sink;
    return sink->log != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct sink *sink = *state;

    log_close(sink->log);
    close(sink->fds[0]);
    close(sink->fds[1]);
    free(sink);
    return 0;
}

/* What has been written, without the time. */
static const char *
written(struct sink *sink)
{
    ssize_t n = read(sink->fds[0], sink->text, sizeof sink->text - 1);

    assert_true(n > 25);
    sink->text[n] = '\0';
    assert_int_equal(sink->text[10], 'T');
    assert_int_equal(sink->text[23], 'Z');
    return sink->text + 25;
}

static void
test_a_line_has_level_owner_and_text(void **state)
{
    struct sink *sink = *state;

    log_warn(sink->log, "1-42", "%s: %d", "answer", 42);
    assert_string_equal(written(sink), "warn   1-42 answer: 42\n");
}

static void
test_lines_below_the_level_are_not_written(void **state)
{
    struct sink *sink = *state;

    log_debug(sink->log, "x", "hidden");
    log_set_level(sink->log, LOG_LEVEL_DEBUG);
    log_debug(sink->log, "x", "shown");
    assert_string_equal(written(sink), "debug  x shown\n");
}

static void
test_control_characters_cannot_forge_lines(void **state)
{
    struct sink *sink = *state;

    log_info(sink->log, "x", "a\nb\x1b[31m\x7f");
    assert_string_equal(written(sink), "info   x a\\x0ab\\x1b[31m\\x7f\n");
}

static void
test_long_lines_are_cut_and_end(void **state)
{
    struct sink *sink = *state;
    char longer[4096];
    const char *text;

    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_info(sink->log, "x", "%s", longer);
    text = written(sink);
    assert_true(strlen(text) < 2048);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
test_fields_are_quoted_where_they_must_be(void **state)
{
    struct sink *sink = *state;
    const struct log_field fields[] = {
        {.name = "plain", .type = LOG_TEXT, .text = "/x"},
        {.name = "blank", .type = LOG_TEXT, .text = "a \"b\"\n"},
        {.name = "empty", .type = LOG_TEXT, .text = ""},
        {.name = "absent", .type = LOG_TEXT},
        {.name = "n", .type = LOG_NUMBER, .number = UINT64_MAX},
        {.name = "s", .type = LOG_DURATION, .seconds = 1.5},
    };

    log_event(sink->log, "access", "1-1", "done", fields, 6);
    assert_string_equal(written(sink),
                        "access 1-1 done plain=/x blank=\"a \\\"b\\\"\\x0a\" empty=\"\" "
                        "n=18446744073709551615 s=1.500\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_has_level_owner_and_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_below_the_level_are_not_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_control_characters_cannot_forge_lines, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_are_quoted_where_they_must_be, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
