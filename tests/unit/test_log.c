/* SPDX-License-Identifier: BSD-2-Clause */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

enum {
    WRITERS = 4,
    LINES_EACH = 2000,
};

struct sink {
    int fds[2];
    struct log *log;
    char folder[32];
    char file[64], old[64];
    char text[1 << 20];
};

static struct log_options
to_pipe(const struct sink *sink)
{
    return (struct log_options){.fd = sink->fds[1], .level = LOG_LEVEL_INFO};
}

static struct log_options
to_file(const struct sink *sink)
{
    struct log_options options = to_pipe(sink);

    options.file = sink->file;
    return options;
}

static int
set_up(void **state)
{
    struct sink *sink = calloc(1, sizeof *sink);
    struct log_options options;

    if (sink == NULL || pipe(sink->fds) != 0)
        return -1;
    fcntl(sink->fds[0], F_SETFL, O_NONBLOCK);
    snprintf(sink->folder, sizeof sink->folder, "/tmp/culvert-log-XXXXXX");
    if (mkdtemp(sink->folder) == NULL)
        return -1;
    snprintf(sink->file, sizeof sink->file, "%s/log", sink->folder);
    snprintf(sink->old, sizeof sink->old, "%s/old", sink->folder);
    options = to_pipe(sink);
    sink->log = log_open(&options);
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
    unlink(sink->file);
    unlink(sink->old);
    rmdir(sink->folder);
    free(sink);
    return 0;
}

static void
restart(struct sink *sink, struct log_options options)
{
    log_close(sink->log);
    sink->log = log_open(&options);
    assert_non_null(sink->log);
}

/* What has been written, without the time of the first line. */
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

static bool
nothing_written(struct sink *sink)
{
    return read(sink->fds[0], sink->text, 1) < 0;
}

/* A JSON line without its time; the newline taken off. */
static const char *
written_json(struct sink *sink)
{
    static const char head[] = "{\"time\":\"";
    ssize_t n = read(sink->fds[0], sink->text, sizeof sink->text - 1);

    assert_true(n > 34);
    assert_int_equal(sink->text[n - 1], '\n');
    sink->text[n - 1] = '\0';
    assert_null(strchr(sink->text, '\n'));
    assert_memory_equal(sink->text, head, strlen(head));
    assert_memory_equal(sink->text + 32, "Z\",", 3);
    return sink->text + 35;
}

static const char *
contents(struct sink *sink, const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t n;

    assert_true(fd >= 0);
    n = read(fd, sink->text, sizeof sink->text - 1);
    assert_true(n >= 0);
    sink->text[n] = '\0';
    close(fd);
    return sink->text;
}

static unsigned
count(const char *text, const char *piece)
{
    unsigned n = 0;

    for (; (text = strstr(text, piece)) != NULL; text += strlen(piece))
        n++;
    return n;
}

/* ---- text ---- */

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
    char longer[8192];
    const char *text;

    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_info(sink->log, "x", "%s", longer);
    text = written(sink);
    assert_in_range(25 + strlen(text), 4000, 4096);
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

/* ---- JSON ---- */

static void
to_json(struct sink *sink)
{
    struct log_options options = to_pipe(sink);

    options.format = LOG_FORMAT_JSON;
    assert_int_equal(log_apply(sink->log, &options), 0);
}

static void
test_json_lines_are_objects(void **state)
{
    struct sink *sink = *state;
    const struct log_field fields[] = {
        {.name = "text", .type = LOG_TEXT, .text = "a b"},
        {.name = "absent", .type = LOG_TEXT},
        {.name = "n", .type = LOG_NUMBER, .number = UINT64_MAX},
        {.name = "s", .type = LOG_DURATION, .seconds = 1.5},
    };

    to_json(sink);
    log_warn(sink->log, "1-42", "%s: %d", "answer", 42);
    assert_string_equal(written_json(sink),
                        "\"level\":\"warn\",\"who\":\"1-42\",\"message\":\"answer: 42\"}");
    log_event(sink->log, "access", "1-1", "done", fields, 4);
    assert_string_equal(written_json(sink),
                        "\"level\":\"access\",\"who\":\"1-1\",\"event\":\"done\",\"text\":\"a b\","
                        "\"n\":18446744073709551615,\"s\":1.500}");
}

static void
test_json_escapes_what_it_must(void **state)
{
    struct sink *sink = *state;

    to_json(sink);
    log_info(sink->log, "x", "a\"b\\c\n\x01\x7f\xc2\x9b é €\xf0\x9f\x98\x80");
    assert_string_equal(strstr(written_json(sink), "\"message\""),
                        "\"message\":\"a\\\"b\\\\c\\u000a\\u0001\\u007f\\u009b é "
                        "€\xf0\x9f\x98\x80\"}");
}

#define FFFD "\xef\xbf\xbd"

static void
test_json_replaces_what_is_no_utf8(void **state)
{
    static const char *const pairs[][2] = {
        {"a\xff", "a" FFFD},
        {"\x80x", FFFD "x"},
        {"\xc3", FFFD},
        {"\xc3(", FFFD "("},
        {"\xc0\xaf", FFFD FFFD},                             /* overlong */
        {"\xe0\x80\xaf", FFFD FFFD FFFD},                    /* overlong */
        {"\xed\xa0\x80", FFFD FFFD FFFD},                    /* a surrogate */
        {"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD},           /* above U+10FFFF */
        {"\xf8\x88\x80\x80\x80", FFFD FFFD FFFD FFFD FFFD},  /* five bytes */
        {"\xe2\x82", FFFD FFFD},                             /* broken off */
        {"\xf0\x9f\x98\xc3\xa9", FFFD FFFD FFFD "\xc3\xa9"}, /* and something whole behind it */
    };
    struct sink *sink = *state;
    char wanted[64];

    to_json(sink);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        log_info(sink->log, "x", "%s", pairs[i][0]);
        snprintf(wanted, sizeof wanted, "\"message\":\"%s\"}", pairs[i][1]);
        assert_string_equal(strstr(written_json(sink), "\"message\""), wanted);
    }
}

/* Texts of every length and kind of character: whole escapes, and the end of the object. */
static void
test_json_is_cut_where_it_stays_valid(void **state)
{
    static const char *const characters[] = {"y", "\"", "\n", "\xff", "\xf0\x9f\x98\x80"};
    static const char *const written_as[] = {"y", "\\\"", "\\u000a", FFFD, "\xf0\x9f\x98\x80"};
    struct sink *sink = *state;
    char longer[6000];

    to_json(sink);
    for (size_t kind = 0; kind < 5; kind++) {
        size_t step = strlen(characters[kind]), wide = strlen(written_as[kind]);

        for (size_t lead = 0; lead < 8; lead++) {
            const char *at;
            size_t n = lead;

            memset(longer, 'z', lead);
            for (; n + step < sizeof longer; n += step)
                memcpy(longer + n, characters[kind], step);
            longer[n] = '\0';
            log_info(sink->log, "x", "%s", longer);
            at = strstr(written_json(sink), "\"message\":\"") + 11 + lead;
            assert_in_range(strlen(sink->text) + 1, 4096 - 8, 4096);
            for (; *at != '\0' && strcmp(at, "\"}") != 0; at += wide)
                assert_memory_equal(at, written_as[kind], wide);
            assert_string_equal(at, "\"}");
        }
    }
}

/* Fields that are long leave room for those behind them. */
static void
test_long_fields_do_not_push_others_out(void **state)
{
    struct sink *sink = *state;
    char longer[2048];
    const struct log_field fields[] = {
        {.name = "a", .type = LOG_TEXT, .text = longer},
        {.name = "b", .type = LOG_TEXT, .text = longer},
        {.name = "n", .type = LOG_NUMBER, .number = 7},
        {.name = "c", .type = LOG_TEXT, .text = longer},
        {.name = "d", .type = LOG_TEXT, .text = longer},
        {.name = "e", .type = LOG_TEXT, .text = longer},
        {.name = "left_out", .type = LOG_NUMBER, .number = UINT64_MAX},
    };
    const char *text;

    memset(longer, '\x02', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    to_json(sink);
    log_event(sink->log, "access", "1-1", "done", fields, 7);
    text = written_json(sink);
    assert_non_null(strstr(text, "\",\"n\":7,\"c\":\"\\u0002"));
    assert_null(strstr(text, "left_out"));
    assert_string_equal(text + strlen(text) - 8, "\\u0002\"}");
}

/* ---- files ---- */

static void
test_a_file_is_appended_to(void **state)
{
    struct sink *sink = *state;
    struct stat status;

    umask(022);
    restart(sink, to_file(sink));
    log_info(sink->log, "x", "one");
    restart(sink, to_file(sink));
    log_info(sink->log, "x", "two");
    assert_int_equal(count(contents(sink, sink->file), "\n"), 2);
    assert_int_equal(stat(sink->file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_true(nothing_written(sink));
}

static void
test_a_file_that_cannot_be_opened_is_no_log(void **state)
{
    struct sink *sink = *state;
    struct log_options options = to_file(sink);

    options.file = sink->folder;
    assert_null(log_open(&options));
    options.file = "/nonexistent/log";
    assert_null(log_open(&options));
}

static void
test_reopening_follows_the_path(void **state)
{
    struct sink *sink = *state;

    restart(sink, to_file(sink));
    log_info(sink->log, "x", "one");
    assert_int_equal(rename(sink->file, sink->old), 0);
    log_info(sink->log, "x", "two"); /* still there */
    assert_int_equal(log_reopen(sink->log), 0);
    log_info(sink->log, "x", "three");
    assert_int_equal(count(contents(sink, sink->old), "\n"), 2);
    assert_int_equal(count(contents(sink, sink->file), "\n"), 1);
    assert_non_null(strstr(sink->text, "three"));
}

static void
test_reopening_that_fails_keeps_the_old_file(void **state)
{
    struct sink *sink = *state;

    restart(sink, to_file(sink));
    assert_int_equal(rename(sink->file, sink->old), 0);
    assert_int_equal(mkdir(sink->file, 0700), 0);
    assert_int_equal(log_reopen(sink->log), -1);
    log_info(sink->log, "x", "still here");
    assert_int_equal(rmdir(sink->file), 0);
    contents(sink, sink->old);
    assert_non_null(strstr(sink->text, " error  log cannot open "));
    assert_non_null(strstr(sink->text, "still here"));
}

static void
test_applying_changes_all_or_nothing(void **state)
{
    struct sink *sink = *state;
    struct log_options options = to_file(sink);

    options.file = "/nonexistent/log";
    options.format = LOG_FORMAT_JSON;
    options.level = LOG_LEVEL_DEBUG;
    assert_int_equal(log_apply(sink->log, &options), -1);
    log_debug(sink->log, "x", "hidden");
    log_info(sink->log, "x", "one");
    assert_int_equal(count(written(sink), "\n"), 2); /* the complaint, and that line */
    assert_null(strstr(sink->text, "hidden"));
    assert_null(strchr(sink->text, '{'));

    options.file = sink->file;
    assert_int_equal(log_apply(sink->log, &options), 0);
    log_debug(sink->log, "x", "shown");
    assert_non_null(strstr(contents(sink, sink->file), "\"message\":\"shown\"}\n"));
    assert_true(nothing_written(sink));

    options = to_pipe(sink);
    assert_int_equal(log_apply(sink->log, &options), 0);
    log_info(sink->log, "x", "back");
    assert_string_equal(written(sink), "info   x back\n");

    options = to_file(sink); /* and a second time */
    assert_int_equal(log_apply(sink->log, &options), 0);
    log_info(sink->log, "x", "again");
    assert_int_equal(count(contents(sink, sink->file), "\n"), 2);
}

static void
test_applying_the_same_file_does_not_open_it_again(void **state)
{
    struct sink *sink = *state;
    struct log_options options = to_file(sink);

    restart(sink, options);
    assert_int_equal(rename(sink->file, sink->old), 0);
    assert_int_equal(log_apply(sink->log, &options), 0);
    log_info(sink->log, "x", "one");
    assert_int_equal(count(contents(sink, sink->old), "\n"), 1);
}

static size_t
descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void
test_exchanges_leak_no_descriptor(void **state)
{
    struct sink *sink = *state;
    struct log_options file = to_file(sink), pipe = to_pipe(sink);
    size_t before = descriptors();

    for (int i = 0; i < 10; i++) {
        assert_int_equal(log_apply(sink->log, &file), 0);
        assert_int_equal(log_reopen(sink->log), 0);
        assert_int_equal(descriptors(), before + 1);
        assert_int_equal(log_apply(sink->log, &pipe), 0);
    }
    restart(sink, pipe);
    assert_int_equal(descriptors(), before);
}

struct writer {
    pthread_t thread;
    struct log *log;
    unsigned number;
    atomic_uint *running;
};

static void *
write_lines(void *argument)
{
    struct writer *writer = argument;
    const struct log_field fields[] = {
        {.name = "text", .type = LOG_TEXT, .text = "some words that make a line of it"},
    };
    char who[32];

    for (unsigned i = 0; i < LINES_EACH; i++) {
        snprintf(who, sizeof who, "%u-%u", writer->number, i);
        log_event(writer->log, "access", who, "done", fields, 1);
        log_warn(writer->log, who, "always the same");
    }
    atomic_fetch_sub(writer->running, 1);
    return NULL;
}

/* All lines of all writers are there once, whole, in one of the files; also under
 * ThreadSanitizer. */
static void
test_no_line_is_lost_while_files_are_exchanged(void **state)
{
    struct sink *sink = *state;
    struct log_options options = to_file(sink);
    struct writer writers[WRITERS];
    atomic_uint running = WRITERS;
    unsigned n = 0;
    int exchanges = 0;
    char path[80];

    restart(sink, options);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = sink->log, .number = i, .running = &running};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]), 0);
    }
    while (atomic_load(&running) > 0) {
        snprintf(path, sizeof path, "%s/%d", sink->folder, exchanges++);
        assert_int_equal(rename(sink->file, path), 0);
        options.format = exchanges % 2 != 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
        assert_int_equal(log_reopen(sink->log), 0);
        assert_int_equal(log_apply(sink->log, &options), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    for (; exchanges >= 0; exchanges--) {
        n += count(contents(sink, sink->file), "some words that make a line of it\"\n");
        n += count(sink->text, "\"text\":\"some words that make a line of it\"}\n");
        snprintf(path, sizeof path, "%s/%d", sink->folder, exchanges - 1);
        if (exchanges > 0)
            assert_int_equal(rename(path, sink->file), 0);
    }
    assert_int_equal(n, WRITERS * LINES_EACH);
}

/* ---- lines that are not taken ---- */

static void
test_lines_that_a_pipe_does_not_take_are_told(void **state)
{
    struct sink *sink = *state;
    unsigned n = 0, lost = 0;
    const char *text;

    while (n < 5000) /* nobody reads; it must not block */
        log_info(sink->log, "x", "%060u", n++);
    text = written(sink);
    lost = n - count(text, "\n");
    assert_true(lost > 0 && lost < n);
    log_info(sink->log, "x", "last");
    snprintf(sink->text, sizeof sink->text, "%s", "");
    {
        char wanted[64];

        snprintf(wanted, sizeof wanted, "warn   log %u lines were lost\n", lost);
        text = written(sink);
        assert_memory_equal(text, wanted, strlen(wanted));
        assert_non_null(strstr(text, "info   x last\n"));
    }
}

/* The end of the file is reached in the middle of a line: it is not glued to the next. */
static void
test_half_a_line_is_ended(void **state)
{
    struct sink *sink = *state;
    struct rlimit limit, before;
    const char *text;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t size = 60; size < 200; size += 7) {
        unlink(sink->file);
        restart(sink, to_file(sink));
        limit = before;
        limit.rlim_cur = size;
        setrlimit(RLIMIT_FSIZE, &limit);
        for (unsigned i = 0; i < 10; i++)
            log_info(sink->log, "x", "abcdefghij %u", i);
        setrlimit(RLIMIT_FSIZE, &before);
        log_info(sink->log, "x", "recovered");
        log_info(sink->log, "x", "last");
        text = contents(sink, sink->file);
        assert_true(size <= strlen(text));
        assert_non_null(strstr(text, "Z warn   log "));
        assert_non_null(strstr(text, " lines were lost\n"));
        assert_non_null(strstr(text, "Z info   x recovered\n"));
        assert_int_equal(count(text, "lines were lost"), 1);
        assert_null(strstr(text, "\n\n"));
        for (; *text != '\0'; text = strchr(text, '\n') + 1)
            if (strcspn(text, "\n") > 24) /* all but the torn one are whole from their beginning */
                assert_memory_equal(text + 23, "Z ", 2);
    }
}

static void
test_lines_lost_are_told_at_the_end(void **state)
{
    struct sink *sink = *state;
    struct log_options options = to_file(sink);
    int full = open("/dev/full", O_WRONLY);

    assert_true(full >= 0);
    restart(sink, (struct log_options){.fd = full, .level = LOG_LEVEL_INFO});
    log_info(sink->log, "x", "lost");
    log_info(sink->log, "x", "lost too");
    assert_int_equal(log_apply(sink->log, &options), 0);
    restart(sink, to_pipe(sink));
    close(full);
    assert_non_null(strstr(contents(sink, sink->file), "warn   log 2 lines were lost\n"));
}

/* ---- repeats, as they reach the log; test_log_repeats.c has the rest ---- */

static void
test_warnings_that_repeat_are_summed_up(void **state)
{
    struct sink *sink = *state;
    char who[16];
    const char *text;

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(who, sizeof who, "1-%u", i);
        log_warn(sink->log, who, "target %s: %s", "a", "refused");
    }
    log_error(sink->log, "x", "something else");
    restart(sink, to_pipe(sink)); /* the end of all windows */
    text = written(sink);
    assert_int_equal(count(text, "target a: refused\n"), 10);
    assert_int_equal(count(text, "something else\n"), 1);
    assert_int_equal(count(text, "warn   log target a: refused (repeated 990 times within 10 s)\n"),
                     1);
    assert_int_equal(count(text, "\n"), 12);
}

static void
test_other_lines_are_never_suppressed(void **state)
{
    struct sink *sink = *state;

    log_set_level(sink->log, LOG_LEVEL_DEBUG);
    for (unsigned i = 0; i < 100; i++) {
        log_info(sink->log, "x", "same");
        log_debug(sink->log, "x", "same");
        log_event(sink->log, "access", "x", "same", NULL, 0);
    }
    assert_int_equal(count(written(sink), "\n"), 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_line_has_level_owner_and_text),
        TEST(test_lines_below_the_level_are_not_written),
        TEST(test_control_characters_cannot_forge_lines),
        TEST(test_long_lines_are_cut_and_end),
        TEST(test_fields_are_quoted_where_they_must_be),
        TEST(test_json_lines_are_objects),
        TEST(test_json_escapes_what_it_must),
        TEST(test_json_replaces_what_is_no_utf8),
        TEST(test_json_is_cut_where_it_stays_valid),
        TEST(test_long_fields_do_not_push_others_out),
        TEST(test_a_file_is_appended_to),
        TEST(test_a_file_that_cannot_be_opened_is_no_log),
        TEST(test_reopening_follows_the_path),
        TEST(test_reopening_that_fails_keeps_the_old_file),
        TEST(test_applying_changes_all_or_nothing),
        TEST(test_applying_the_same_file_does_not_open_it_again),
        TEST(test_exchanges_leak_no_descriptor),
        TEST(test_no_line_is_lost_while_files_are_exchanged),
        TEST(test_lines_that_a_pipe_does_not_take_are_told),
        TEST(test_half_a_line_is_ended),
        TEST(test_lines_lost_are_told_at_the_end),
        TEST(test_warnings_that_repeat_are_summed_up),
        TEST(test_other_lines_are_never_suppressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
