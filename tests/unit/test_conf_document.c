/* SPDX-License-Identifier: BSD-2-Clause */
/* The INI syntax: what a line is, which line it was, and where inih alone would be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_text.h"
#include "guard.h"

static void
comments_and_blanks_do_not_count(void **state)
{
    struct conf *conf = parse("; one\n# two\n\n \t\n[server] ; three\nlisten=1\t; four\n"
                              "[ log ];five\n level  =  debug ;; six\n"
                              "[route /]\ntarget = unix:/a#b;c ; seven ; eight");
    (void)state;
    assert_int_equal(conf->log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(conf->routes[0].target.path, "/a#b;c");
    conf_unref(conf);
}

static void
semicolons(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 1 ;c\n[route /]\n"
                              "target = unix:/a;b\\;c \\;d\\\\;e\\f;\\ ;g\n");
    (void)state;
    assert_string_equal(conf->routes[0].target.path, "/a;b;c ;d\\;e\\f;\\");
    conf_unref(conf);
}

static void
a_value_may_be_a_comment_only(void **state)
{
    struct conf *conf = parse(LISTEN_AND_ROUTE "web = ; none\nsubprotocols =\n");
    (void)state;
    assert_null(conf->routes[0].web);
    conf_unref(conf);
}

static void
line_ends(void **state)
{
    struct conf *conf = parse("\xef\xbb\xbf[server]\r\nlisten = 1\r\n[route /]\r\ntarget = echo:");
    (void)state;
    assert_string_equal(conf->listens[0].text, "1");
    assert_int_equal(conf->listens[0].line, 2);
    assert_string_equal(conf->routes[0].target.text, "echo:");
    assert_int_equal(conf->routes[0].line, 3);
    conf_unref(conf);
}

static void
indented_lines_are_lines(void **state)
{
    struct conf *conf =
        parse("  [server]\n  listen = 1\n\tlisten = 2\n [route /]\n   target = echo:\n");
    (void)state;
    assert_int_equal(conf->n_listens, 2);
    conf_unref(conf);

    assert_added_mistakes("subprotocols = a,\n    b\nsubprotocols = c\n",
                          "5: [route /] subprotocols: expected names of letters, digits and "
                          "!#$%&'*+-.^_`|~, at most 63 bytes each, separated by commas, got \"\"\n"
                          "6: expected \"key = value\" or \"[section]\" (a value cannot continue "
                          "on another line)\n"
                          "7: [route /] subprotocols: repeated; it already stands in line 5\n");
}

static void
what_is_no_line(void **state)
{
    (void)state;
    assert_added_mistakes(
        "word\n= 1\nbuffer: 4k\nbuffer: a=4k\nbuffer ; = 4k\n5:\n7:11\nheartbeat = 1s\n",
        "5: expected \"key = value\" or \"[section]\" (a value cannot continue on another line)\n"
        "6: expected a key before \"=\"\n"
        "7: expected \"=\" behind the key, not \":\"\n"
        "8: expected \"=\" behind the key, not \":\"\n"
        "9: expected \"key = value\" or \"[section]\" (a value cannot continue on another line)\n"
        "10: expected \"=\" behind the key, not \":\"\n"
        "11: expected \"=\" behind the key, not \":\"\n");
    assert_mistakes("listen = 1\n" LISTEN_AND_ROUTE,
                    "1: expected a section, such as [server], before the first key\n");
    /* The last line, too, with and without an end. */
    assert_added_mistakes("word", "5: expected \"key = value\" or \"[section]\" (a value cannot "
                                  "continue on another line)\n");
}

static void
broken_sections(void **state)
{
    (void)state;
    /* Keys below a broken one are not taken for keys of the section before. */
    assert_added_mistakes("[log\nlevel = x\nlisten = 5\n[log ; ]\n[log] level = info\nlevel = y\n"
                          "[log]\nlevel = z\n[${X}]\n",
                          "5: expected \"]\" behind the name of the section\n"
                          "8: expected \"]\" behind the name of the section\n"
                          "9: unexpected text behind \"]\": a key stands on its own line\n"
                          "12: [log] level: expected error, warn, info or debug, got \"z\"\n"
                          "13: variables are not expanded in the name of a section\n");
    assert_added_mistakes("[]\n[ ]\n[lag]\n[Log]\n[nothing like it]\n",
                          "5: []: unknown section\n6: []: unknown section\n"
                          "7: [lag]: unknown section; did you mean [log]?\n"
                          "8: [Log]: unknown section; did you mean [log]?\n"
                          "9: [nothing like it]: unknown section\n");
}

static void
bytes_that_are_no_text(void **state)
{
    static const char nul[] = LISTEN_AND_ROUTE "buffer = 4k\0\n; \0\nbuffer = 8k\n";
    char *mistakes;
    struct conf *conf = parse_bytes(nul, sizeof(nul) - 1, NULL, &mistakes);

    (void)state;
    assert_null(conf);
    assert_string_equal(mistakes, "5: a NUL byte: the file must be UTF-8 text\n"
                                  "6: a NUL byte: the file must be UTF-8 text\n");
    free(mistakes);
    assert_added_mistakes("web = /\rtmp\n# \x1b[31m\nweb = \x7f\n", "5: a control character\n"
                                                                    "6: a control character\n"
                                                                    "7: a control character\n");
}

/* inih alone cuts a line at 200 bytes and takes the rest, if it holds "=", for another key. */
static void
long_lines(void **state)
{
    char *text, *list = NULL;
    size_t len;
    FILE *out = open_memstream(&list, &len);
    struct conf *conf;

    (void)state;
    for (int i = 0; i < 1170; i++)
        fprintf(out, "%sp%05d", i == 0 ? "" : ",", i);
    fputs(",q", out);
    fclose(out);
    assert_int_equal(len, 8191);
    assert_true(asprintf(&text, "%ssubprotocols = %s  ; %s = %s\nbuffer = 5k\n", LISTEN_AND_ROUTE,
                         list, list, list) > 0);
    conf = parse(text);
    assert_string_equal(conf->routes[0].subprotocols[0], "p00000");
    assert_string_equal(conf->routes[0].subprotocols[1169], "p01169");
    assert_string_equal(conf->routes[0].subprotocols[1170], "q");
    assert_null(conf->routes[0].subprotocols[1171]);
    assert_int_equal(conf->routes[0].buffer, 5 * 1024);
    conf_unref(conf);
    free(text);
    free(list);
}

static void
a_value_has_8192_bytes_at_most(void **state)
{
    char text[9000];
    int at = snprintf(text, sizeof(text), "%ssubprotocols = ", LISTEN_AND_ROUTE);
    struct conf_report report;

    (void)state;
    memset(text + at, 'x', 8193);
    snprintf(text + at + 8193, 16, "\nbuffer = 1\n");
    assert_mistakes(text, "5: [route /] subprotocols: the value is 8193 bytes long, at most 8192 "
                          "are taken\n"
                          "6: [route /] buffer: expected a size from 4k to 1g (such as 64k), got "
                          "\"1\"\n");
    /* One byte less is a value, though not a good one; of that, a message shows the beginning. */
    memmove(text + at, text + at + 1, strlen(text + at));
    conf_report_init(&report, "test");
    assert_null(conf_parse(text, strlen(text), "test", NULL, &report));
    assert_non_null(strstr(report.mistakes[0].text, "got \"xxxx"));
    assert_non_null(strstr(report.mistakes[0].text, "xxx...\""));
    assert_true(strlen(report.mistakes[0].text) < 300);
    conf_report_deinit(&report);
}

static void
long_names(void **state)
{
    char path[1200], *text;
    struct conf *conf;

    (void)state;
    memset(path, 'p', sizeof(path));
    path[0] = '/';
    path[900] = '\0';
    assert_true(asprintf(&text,
                         "[server]\nlisten = 1\n[route example.org%s]\ntarget = echo:\n"
                         "[route example.org%s2]\ntarget = tcp://a:1",
                         path, path) > 0);
    conf = parse(text);
    assert_string_equal(conf->routes[0].path, path);
    assert_int_equal(conf->routes[1].path_len, 901);
    assert_int_equal(conf->routes[1].target.kind, CONF_TARGET_TCP);
    conf_unref(conf);
    free(text);

    path[900] = 'p';
    path[1199] = '\0';
    assert_true(asprintf(&text, "[%s]\n%s = 4k\n", path, path) > 0);
    assert_added_mistakes(text, "5: the name of the section is too long\n");
    free(text);
    assert_true(asprintf(&text, "%s = 4k\n", path) > 0);
    assert_added_mistakes(text, "5: [route /] "
                                "/ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp: "
                                "unknown key\n");
    free(text);
}

static void
all_mistakes_in_the_order_of_lines(void **state)
{
    (void)state;
    assert_mistakes("[route /a]\nbuffer = x\n[defaults]\nbuffer = y\n[log]\nlevel = z\n",
                    "0: [server] with listen is missing: there must be at least one address to "
                    "listen on\n"
                    "1: [route /a] target: missing; it has no default\n"
                    "2: [route /a] buffer: expected a size from 4k to 1g (such as 64k), got "
                    "\"x\"\n"
                    "4: [defaults] buffer: expected a size from 4k to 1g (such as 64k), got "
                    "\"y\"\n"
                    "6: [log] level: expected error, warn, info or debug, got \"z\"\n");
}

/* A file of another kind: bounded, and it says that it stopped. */
static void
a_flood_of_mistakes(void **state)
{
    size_t n = 100000;
    char *text = malloc(2 * n), *printed = NULL;
    struct conf_report report;
    FILE *out;

    (void)state;
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, "x\n", 2);
    conf_report_init(&report, "noise");
    assert_null(conf_parse(text, 2 * n, "noise", NULL, &report));
    assert_int_equal(report.n_mistakes, 1000);
    out = open_memstream(&printed, &n);
    conf_report_print(&report, out);
    fclose(out);
    assert_non_null(strstr(printed, "noise:1: expected \"key = value\""));
    assert_non_null(strstr(printed, "noise: there may be more"));
    conf_report_deinit(&report);
    free(printed);
    free(text);
}

/* Every beginning of a document, against a page that faults. */
static void
every_beginning(void **state)
{
    static const char text[] = "\xef\xbb\xbf[server] ;c\r\nlisten = 127.0.0.1:0 \\; ${A:-b} $$\n"
                               "[route h/x/]\n target = unix:${A:-/x} ;\nweb = ${}\nk: v\n[tls";
    struct guard guard = guard_open(sizeof(text));

    (void)state;
    for (size_t len = 0; len < sizeof(text); len++) {
        char *mistakes;
        const char *copy = (const char *)guard_end(&guard, (const uint8_t *)text, len);
        struct conf *conf = parse_bytes(copy, len, NULL, &mistakes);
        assert_null(conf);
        free(mistakes);
    }
    guard_close(&guard);
}

/* ---- files ---- */

static void
write_all(int fd, const char *text, size_t piece)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = write(fd, text, len < piece ? len : piece);
        assert_true(n > 0);
        text += n;
        len -= (size_t)n;
    }
}

/* However a pipe delivers it. */
static void
from_a_pipe(void **state)
{
    for (size_t piece = 1; piece < 40; piece += 7) {
        char path[32], *mistakes;
        struct conf_report report;
        struct conf *conf;
        int ends[2];

        (void)state;
        assert_int_equal(pipe(ends), 0);
        if (fork() == 0) {
            close(ends[0]);
            write_all(ends[1], LISTEN_AND_ROUTE "buffer = 123k\n", piece);
            _exit(0);
        }
        close(ends[1]);
        snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
        conf_report_init(&report, path);
        conf = conf_load(path, &report);
        mistakes = report_text(&report);
        assert_string_equal(mistakes, "");
        free(mistakes);
        conf_report_deinit(&report);
        assert_non_null(conf);
        assert_int_equal(conf->routes[0].buffer, 123 * 1024);
        assert_string_equal(conf->file, path);
        conf_unref(conf);
        close(ends[0]);
        wait(NULL);
    }
}

static void
assert_not_loaded(const char *path, const char *expected)
{
    struct conf_report report;
    char *mistakes;

    conf_report_init(&report, path);
    assert_null(conf_load(path, &report));
    mistakes = report_text(&report);
    assert_string_equal(mistakes, expected);
    free(mistakes);
    conf_report_deinit(&report);
}

static void
files_that_cannot_be_read(void **state)
{
    (void)state;
    assert_not_loaded("/nonexistent/culvert.ini",
                      "0: cannot be opened: No such file or directory\n");
    assert_not_loaded("/", "0: cannot be read: Is a directory\n");
    assert_not_loaded("/dev/zero", "0: larger than 8 MiB\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_blanks_do_not_count),
        cmocka_unit_test(semicolons),
        cmocka_unit_test(a_value_may_be_a_comment_only),
        cmocka_unit_test(line_ends),
        cmocka_unit_test(indented_lines_are_lines),
        cmocka_unit_test(what_is_no_line),
        cmocka_unit_test(broken_sections),
        cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(a_value_has_8192_bytes_at_most),
        cmocka_unit_test(long_names),
        cmocka_unit_test(all_mistakes_in_the_order_of_lines),
        cmocka_unit_test(a_flood_of_mistakes),
        cmocka_unit_test(every_beginning),
        cmocka_unit_test(from_a_pipe),
        cmocka_unit_test(files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
