/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "conf/address.h"
#include "conf/map_file.h"
#include "conf_text.h"
#include "guard.h"

/* From a text against a guard page. */
static struct conf_map_file *
read_bytes(const char *text, size_t len, char **mistakes)
{
    struct guard guard = guard_open(len + 1);
    struct conf_report report;
    struct conf_map_file *file;

    conf_report_init(&report, "map");
    file = conf_map_file_parse(guard_end(&guard, text, len), len, &report);
    guard_close(&guard);
    *mistakes = report_text(&report);
    assert_int_equal(file == NULL, report.n_mistakes > 0);
    conf_report_deinit(&report);
    return file;
}

static struct conf_map_file *
read_text(const char *text)
{
    char *mistakes;
    struct conf_map_file *file = read_bytes(text, strlen(text), &mistakes);

    assert_string_equal(mistakes, "");
    free(mistakes);
    return file;
}

static void
refuse_bytes(const char *text, size_t len, const char *expected)
{
    char *mistakes;

    assert_null(read_bytes(text, len, &mistakes));
    assert_string_equal(mistakes, expected);
    free(mistakes);
}

static void
refuse(const char *text, const char *expected)
{
    refuse_bytes(text, strlen(text), expected);
}

static void
expect(const struct conf_map_file *file, const char *token, enum conf_target_kind kind,
       const char *where, unsigned port)
{
    struct conf_target *target;

    assert_int_equal(conf_map_file_find(file, token, &target), 1);
    assert_true(conf_map_file_has(file, token));
    assert_int_equal(target->kind, kind);
    if (kind == CONF_TARGET_UNIX)
        assert_string_equal(target->path, where);
    else if (kind != CONF_TARGET_ECHO)
        assert_string_equal(target->host, where);
    assert_int_equal(target->port, port);
    free(target);
}

static void
expect_none(const struct conf_map_file *file, const char *token)
{
    struct conf_target *target = NULL;

    assert_int_equal(conf_map_file_find(file, token, &target), 0);
    assert_false(conf_map_file_has(file, token));
    assert_null(target);
}

/* ---- what is taken ---- */

static void
forms(void **state)
{
    struct conf_map_file *file = read_text("a: b:1\n"
                                           "b: 127.0.0.1:5900\n"
                                           "c: [::1]:22\n"
                                           "d: tcp://host.example.org:65535\n"
                                           "e: tls://[2001:db8::1]:443\n"
                                           "f: unix:/run/with a blank: and a colon\n"
                                           "g: unix_socket:/run/x\n"
                                           "h: echo:\n"
                                           "i: localhost:5900");

    (void)state;
    assert_int_equal(conf_map_file_count(file), 9);
    expect(file, "a", CONF_TARGET_TCP, "b", 1);
    expect(file, "b", CONF_TARGET_TCP, "127.0.0.1", 5900);
    expect(file, "c", CONF_TARGET_TCP, "::1", 22);
    expect(file, "d", CONF_TARGET_TCP, "host.example.org", 65535);
    expect(file, "e", CONF_TARGET_TLS, "2001:db8::1", 443);
    expect(file, "f", CONF_TARGET_UNIX, "/run/with a blank: and a colon", 0);
    expect(file, "g", CONF_TARGET_UNIX, "/run/x", 0);
    expect(file, "h", CONF_TARGET_ECHO, NULL, 0);
    expect(file, "i", CONF_TARGET_TCP, "localhost", 5900);
    conf_map_file_free(file);
}

/* What the log shows is what the file says, and nothing else of the line. */
static void
the_text_of_a_target(void **state)
{
    struct conf_map_file *file = read_text("  secret :\ttls://b:1 \t\r\n");
    struct conf_target *target;

    (void)state;
    assert_int_equal(conf_map_file_find(file, "secret", &target), 1);
    conf_map_file_free(file);
    assert_string_equal(target->text, "tls://b:1"); /* a copy: the file has gone */
    assert_string_equal(target->host, "b");
    free(target);
}

static void
tokens(void **state)
{
    struct conf_map_file *file =
        read_text("\xef\xbb\xbf# a comment: x:1\n\n \t\n\t# another\r\n\r\n"
                  "52:54:00:12:34:56: a:1\r\n"
                  "  ../../etc/passwd:\ta:2\t \r\n"
                  "tcp://b:3: a:3\n"
                  "${HOME}&=%41+#;!~: a:4\n"
                  "Ab: a:5\nab: a:6\n"
                  "a:b:   a:7\n"
                  ":: a:8\n"
                  "blank \t : a:9\n");

    (void)state;
    assert_int_equal(conf_map_file_count(file), 9);
    expect(file, "52:54:00:12:34:56", CONF_TARGET_TCP, "a", 1);
    expect(file, "../../etc/passwd", CONF_TARGET_TCP, "a", 2);
    expect(file, "tcp://b:3", CONF_TARGET_TCP, "a", 3);
    expect(file, "${HOME}&=%41+#;!~", CONF_TARGET_TCP, "a", 4);
    expect(file, "Ab", CONF_TARGET_TCP, "a", 5);
    expect(file, "ab", CONF_TARGET_TCP, "a", 6);
    expect(file, "a:b", CONF_TARGET_TCP, "a", 7);
    expect(file, ":", CONF_TARGET_TCP, "a", 8);
    expect(file, "blank", CONF_TARGET_TCP, "a", 9);
    expect_none(file, "");
    expect_none(file, "AB");
    expect_none(file, "a");
    expect_none(file, "abc");
    expect_none(file, "# a comment");
    expect_none(file, "52");
    conf_map_file_free(file);
}

static void
nothing(void **state)
{
    struct conf_map_file *file = read_text("");

    (void)state;
    assert_int_equal(conf_map_file_count(file), 0);
    expect_none(file, "");
    conf_map_file_free(file);
    file = read_text("# nobody");
    assert_int_equal(conf_map_file_count(file), 0);
    conf_map_file_free(file);
    conf_map_file_free(NULL);
}

/* ---- what is refused ---- */

#define COLON "expected \"token: target\", with a blank behind the colon\n"
#define TOKEN "a token has letters, digits and punctuation of ASCII, and no blanks\n"
#define FORMS                                                                                      \
    "expected HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH or echo: behind the token\n"

static void
lines(void **state)
{
    (void)state;
    refuse("a\n", "1: " COLON);
    refuse("# x\n\na:b:1\n", "3: " COLON);
    refuse("a b:1\n", "1: " COLON);
    refuse("http://x/y z\n", "1: " COLON);
    refuse("a:\n", "1: expected a target behind the token\n");
    refuse("a: \t\n", "1: expected a target behind the token\n");
    refuse(": b:1\n", "1: expected a token before the colon\n");
    refuse("\t : b:1\n", "1: expected a token before the colon\n");
    refuse("a b: c:1\n", "1: " TOKEN);
    refuse("\xc3\xa4: c:1\n", "1: " TOKEN);
    refuse("a\x80: c:1\n", "1: " TOKEN);
    refuse("a\x01: c:1\n", "1: a control character\n");
    refuse("# a comment\x7f\n", "1: a control character\n");
    refuse("a: b:1\rc: d:1\n", "1: a control character\n");
    refuse("a: b:1\r\r\n", "1: a control character\n");
    refuse_bytes("a: b:1\nb: c\0d:1\n", 16, "2: a control character\n");
    refuse("a: b:1\n\nb: c:1\na: b:1\na: d:1\n",
           "4: the same token as in line 1\n5: the same token as in line 1\n");
    refuse("a: b:1\n a : b:2", "2: the same token as in line 1\n");
}

static void
targets(void **state)
{
    static const char *const wrong[] = {
        "b",           "b:",        "b:0",       "b:65536",      "b:1x",         "b:1 # comment",
        "b:1 c:2",     "1.2.3.4",   "1.2.3:1",   "1.2.3.999:1",  ":1",           "[::1]",
        "[::g]:1",     "::1:1",     "b c:1",     "mqtt://b:1",   "ws://b:1",     "http://b:1",
        "tcp:b:1",     "TCP://b:1", "tcp://",    "tls://b",      "tls:b:1",      "tcp://b:1/x",
        "tcp://u@b:1", "echo:x",    "${HOST}:1", "../b:1",       "c: d:1",       "tls://tcp://b:1",
        "echo",        "b\tc:1",    "b..c:1",    "127.0.0.1:-1", "127.0.0.1:+1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[100];

        snprintf(text, sizeof text, "\na: %s\n", wrong[i]);
        refuse(text, "2: " FORMS);
    }
    refuse("a: files:/tmp\n", "1: files:, map: and topics: cannot be chosen by a token\n");
    refuse("a: map:/etc/other\n", "1: files:, map: and topics: cannot be chosen by a token\n");
    refuse("a: map:\n", "1: files:, map: and topics: cannot be chosen by a token\n");
    refuse("a: unix:\n", "1: expected an absolute path behind unix:\n");
    refuse("a: unix:run/x\n", "1: expected an absolute path behind unix:\n");
    refuse("a: unix_socket:x\n", "1: expected an absolute path behind unix:\n");
    refuse("a: unix:5900\n", "1: expected an absolute path behind unix:\n");
}

/* All of them are told, in order, and none of what is sound helps. */
static void
many_mistakes(void **state)
{
    (void)state;
    refuse("a: b:1\nb\nc: d:1\nd: e\na: b:1\n",
           "2: " COLON "4: " FORMS "5: the same token as in line 1\n");
}

/* ---- bounds ---- */

static void
long_tokens(void **state)
{
    char text[200];
    struct conf_map_file *file;
    char token[CONF_MAP_FILE_TOKEN_MAX + 2];

    (void)state;
    memset(token, 'x', sizeof token);
    token[CONF_MAP_FILE_TOKEN_MAX] = '\0';
    snprintf(text, sizeof text, "%s: b:1\n", token);
    file = read_text(text);
    expect(file, token, CONF_TARGET_TCP, "b", 1);
    conf_map_file_free(file);
    snprintf(text, sizeof text, "%sx: b:1\n", token);
    refuse(text, "1: the token is too long\n");
}

static void
long_targets(void **state)
{
    char text[400], path[108], name[300];
    struct conf_map_file *file;

    (void)state;
    memset(path, '/', sizeof path);
    path[107] = '\0';
    snprintf(text, sizeof text, "a: unix:%s\n", path);
    file = read_text(text);
    expect(file, "a", CONF_TARGET_UNIX, path, 0);
    conf_map_file_free(file);
    snprintf(text, sizeof text, "a: unix:%s/\n", path);
    refuse(text, "1: the path of the unix socket is too long\n");
    for (unsigned i = 0; i < 254; i++)
        name[i] = i % 64 == 63 ? '.' : 'n';
    name[253] = '\0';
    snprintf(text, sizeof text, "a: %s:1\n", name);
    file = read_text(text);
    expect(file, "a", CONF_TARGET_TCP, name, 1);
    conf_map_file_free(file);
    snprintf(text, sizeof text, "a: %sn:1\n", name);
    refuse(text, "1: " FORMS);
}

static void
long_lines(void **state)
{
    char *text = malloc(CONF_MAP_FILE_LINE_MAX + 20);

    (void)state;
    memset(text, ' ', CONF_MAP_FILE_LINE_MAX + 20);
    memcpy(text + CONF_MAP_FILE_LINE_MAX - 6, "a: b:1\r\nb: c:1", 15);
    conf_map_file_free(read_text(text));
    memset(text, '#', CONF_MAP_FILE_LINE_MAX + 1);
    memcpy(text + CONF_MAP_FILE_LINE_MAX + 1, "\nx\n", 4);
    refuse(text, "1: the line is too long\n2: " COLON);
    /* The longest is also sound behind the colon: no room is overrun. */
    memset(text, 'h', CONF_MAP_FILE_LINE_MAX);
    memcpy(text, "a: ", 3);
    text[CONF_MAP_FILE_LINE_MAX] = '\0';
    refuse(text, "1: " FORMS);
    free(text);
}

static char *
make_tokens(unsigned n, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    for (unsigned i = 0; i < n; i++)
        fprintf(out, "token-%06u: host-%u.example.org:%u\n", i, i, i % 65535 + 1);
    fclose(out);
    return text;
}

static void
many_tokens(void **state)
{
    char *text, *mistakes;
    size_t len;
    struct conf_map_file *file;

    (void)state;
    text = make_tokens(CONF_MAP_FILE_TOKENS_MAX, &len);
    file = read_bytes(text, len, &mistakes);
    assert_non_null(file);
    assert_int_equal(conf_map_file_count(file), CONF_MAP_FILE_TOKENS_MAX);
    expect(file, "token-000000", CONF_TARGET_TCP, "host-0.example.org", 1);
    expect(file, "token-099999", CONF_TARGET_TCP, "host-99999.example.org", 34465);
    expect_none(file, "token-100000");
    conf_map_file_free(file);
    free(text);
    free(mistakes);
    text = make_tokens(CONF_MAP_FILE_TOKENS_MAX + 5, &len);
    refuse_bytes(text, len, "100001: more than 100000 tokens\n");
    free(text);
}

static void
large_files(void **state)
{
    char *text = malloc(CONF_MAP_FILE_SIZE_MAX + 1), *mistakes;
    struct conf_map_file *file;

    (void)state;
    memset(text, '\n', CONF_MAP_FILE_SIZE_MAX + 1);
    memcpy(text + CONF_MAP_FILE_SIZE_MAX - 6, "a: b:1\n", 7);
    file = read_bytes(text, CONF_MAP_FILE_SIZE_MAX, &mistakes);
    assert_non_null(file);
    expect(file, "a", CONF_TARGET_TCP, "b", 1);
    conf_map_file_free(file);
    free(mistakes);
    refuse_bytes(text, CONF_MAP_FILE_SIZE_MAX + 1, "0: larger than 8 MiB\n");
    free(text);
}

/* Of a file of another kind there is no mistake for each of 8 million lines. */
static void
many_mistakes_are_bounded(void **state)
{
    size_t len = 2000 * 2;
    char *text = malloc(len + 1);
    struct conf_report report;

    (void)state;
    for (size_t i = 0; i < len; i++)
        text[i] = i % 2 == 0 ? 'x' : '\n';
    conf_report_init(&report, "map");
    assert_null(conf_map_file_parse(text, len, &report));
    assert_int_equal(report.n_mistakes, 1000);
    conf_report_deinit(&report);
    free(text);
}

/* ---- a file that is half written ---- */

static void
every_beginning(void **state)
{
    static const char text[] = "\xef\xbb\xbf# desks\r\n\r\nsecret-1: 10.0.0.7:5900\r\n"
                               "secret-2:\t[::1]:5900\nsecret:3: tls://vnc.example.org:5901\n"
                               "secret-4: unix:/run/x\nsecret-5: echo:\nsecret-1: again:1\n";

    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        char *mistakes;
        struct conf_map_file *file = read_bytes(text, len, &mistakes);

        assert_null(strstr(mistakes, "secret")); /* they end in logs */
        if (file != NULL)
            assert_true(conf_map_file_count(file) <= 5);
        conf_map_file_free(file);
        free(mistakes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(the_text_of_a_target),
        cmocka_unit_test(tokens),
        cmocka_unit_test(nothing),
        cmocka_unit_test(lines),
        cmocka_unit_test(targets),
        cmocka_unit_test(many_mistakes),
        cmocka_unit_test(long_tokens),
        cmocka_unit_test(long_targets),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(many_tokens),
        cmocka_unit_test(large_files),
        cmocka_unit_test(many_mistakes_are_bounded),
        cmocka_unit_test(every_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
