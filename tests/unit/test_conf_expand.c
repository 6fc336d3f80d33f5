/* SPDX-License-Identifier: BSD-2-Clause */
/* Variables and escapes in values. The values are seen as the path of a unix socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf_text.h"

static void
assert_value(const char *raw, const char *expected)
{
    char *text;
    struct conf *conf;

    assert_true(asprintf(&text, "[server]\nlisten = 1\n[route /]\ntarget = unix:/%s\n", raw) > 0);
    conf = parse(text);
    assert_string_equal(conf->routes[0].target.path + 1, expected);
    conf_unref(conf);
    free(text);
}

static void
assert_refused(const char *raw, const char *expected)
{
    char *text, *mistake;

    assert_true(asprintf(&text, "[server]\nlisten = 1\n[route /]\ntarget = unix:/%s\n", raw) > 0);
    assert_true(asprintf(&mistake, "4: [route /] target: %s\n", expected) > 0);
    assert_mistakes(text, mistake);
    free(text);
    free(mistake);
}

static void
variables(void **state)
{
    (void)state;
    setenv("CT_A", "value", 1);
    setenv("CT_EMPTY", "", 1);
    setenv("_ct9", "under", 1);
    unsetenv("CT_NONE");
    assert_value("${CT_A}", "value");
    assert_value("a${CT_A}b${_ct9}c", "avaluebunderc");
    assert_value("a${CT_EMPTY}b", "ab");
    assert_value("${CT_A:-x}", "value");
    assert_value("${CT_NONE:-x y}", "x y");
    assert_value("${CT_NONE:-}", "");
    /* As in a shell. */
    assert_value("${CT_EMPTY:-x}", "x");
    assert_value("${CT_NONE:-a:-b:c}", "a:-b:c");
}

/* What a variable holds was not written into the file, and is no syntax. */
static void
values_of_variables_are_left_alone(void **state)
{
    (void)state;
    setenv("CT_ODD", " ;x ; $y ${CT_A} $$ \\; \t", 1);
    assert_value("${CT_ODD}", " ;x ; $y ${CT_A} $$ \\; \t");
    assert_value("${CT_ODD}z ; comment", " ;x ; $y ${CT_A} $$ \\; \tz");
    assert_value("${CT_NONE:-$x $$ \\;}", "$x $$ \\;");
}

static void
escapes(void **state)
{
    (void)state;
    assert_value("$$", "$");
    assert_value("$${CT_A}", "${CT_A}");
    assert_value("$$$$a", "$$a");
    assert_value("a\\;b \\; c", "a;b ; c");
    assert_value("a\\b\\\\c\\", "a\\b\\\\c\\");
    assert_value("a}{b", "a}{b");
    assert_value("a${:- \t}", "a \t");
    assert_value("${:-  }a${:-}", "  a");
}

static void
mistakes(void **state)
{
    const char *form = "expected ${NAME} or ${NAME:-default}, the name of letters, digits and _";
    const char *dollar = "\"$\" stands for a variable, ${NAME}; a dollar is written $$";

    (void)state;
    assert_refused("${CT_NONE}", "the environment variable CT_NONE is not set "
                                 "(${CT_NONE:-default} gives a default)");
    assert_refused("${CT_A", "\"${\" without \"}\"");
    assert_refused("${CT_A ; }", "\"${\" without \"}\"");
    assert_refused("${}", form);
    assert_refused("${1A}", form);
    assert_refused("${A-b}", form);
    assert_refused("${A:b}", form);
    assert_refused("${A:}", form);
    assert_refused("${ A }", form);
    assert_refused("${A.B:-c}", form);
    assert_refused("a$", dollar);
    assert_refused("$CT_A", dollar);
    assert_refused("$(x)", dollar);
    setenv("CT_FEED", "x\n[log]\nlevel = debug", 1);
    assert_refused("${CT_FEED}", "the value of a variable holds a control character");
}

static void
every_mistake_of_a_line(void **state)
{
    (void)state;
    assert_added_mistakes("web = ${CT_NONE}$x${CT_NONE2}\nwen = ${}\nbuffer = ${CT_NONE}\n",
                          "5: [route /] web: the environment variable CT_NONE is not set "
                          "(${CT_NONE:-default} gives a default)\n"
                          "5: [route /] web: \"$\" stands for a variable, ${NAME}; a dollar is "
                          "written $$\n"
                          "5: [route /] web: the environment variable CT_NONE2 is not set "
                          "(${CT_NONE2:-default} gives a default)\n"
                          "6: [route /] wen: expected ${NAME} or ${NAME:-default}, the name of "
                          "letters, digits and _\n"
                          "6: [route /] wen: unknown key; did you mean web?\n"
                          "7: [route /] buffer: the environment variable CT_NONE is not set "
                          "(${CT_NONE:-default} gives a default)\n");
    /* A key with a mistake in its value is there: it is not reported as missing too. */
    assert_mistakes("[server]\nlisten = $1\n[route /]\ntarget = $2\n[tls]\ncertificate = $\n"
                    "private_key = /dev/null\nclient_ca = $\nclient_verify = required\n",
                    "2: [server] listen: \"$\" stands for a variable, ${NAME}; a dollar is "
                    "written $$\n"
                    "4: [route /] target: \"$\" stands for a variable, ${NAME}; a dollar is "
                    "written $$\n"
                    "6: [tls] certificate: \"$\" stands for a variable, ${NAME}; a dollar is "
                    "written $$\n"
                    "8: [tls] client_ca: \"$\" stands for a variable, ${NAME}; a dollar is "
                    "written $$\n");
}

static void
long_values_of_variables(void **state)
{
    char *value = malloc(8193), *mistakes;
    char text[] = LISTEN_AND_ROUTE "subprotocols = ${CT_LONG}\nsubprotocols_required = yes\n";
    struct conf *conf;

    (void)state;
    for (unsigned i = 0; i < 8192; i += 8)
        snprintf(value + i, 9, "%07u,", i % 10000000);
    value[8191] = 'z'; /* in the place of the last comma */
    setenv("CT_LONG", value, 1);
    conf = parse(text);
    assert_string_equal(conf->routes[0].subprotocols[1023], "0008184z");
    conf_unref(conf);

    value = realloc(value, 1 << 20);
    memset(value, 'x', (1 << 20) - 1);
    value[(1 << 20) - 1] = '\0';
    setenv("CT_LONG", value, 1);
    conf = parse_bytes(text, strlen(text), NULL, &mistakes);
    assert_null(conf);
    assert_string_equal(mistakes, "5: [route /] subprotocols: the value is 1048575 bytes long, at "
                                  "most 8192 are taken\n");
    free(mistakes);
    free(value);
    unsetenv("CT_LONG");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables),
        cmocka_unit_test(values_of_variables_are_left_alone),
        cmocka_unit_test(escapes),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(every_mistake_of_a_line),
        cmocka_unit_test(long_values_of_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
