/* SPDX-License-Identifier: BSD-2-Clause */
/* What a route says of messages, of subprotocols and of the pages that may connect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf_text.h"

static void
lists_that_are_refused(void **state)
{
#define NAMES                                                                                      \
    "5: [route /] subprotocols: expected names of letters, digits and !#$%&'*+-.^_`|~, at most "   \
    "63 bytes each, separated by commas, got "
    (void)state;
    assert_added_mistakes("subprotocols = a b\n", NAMES "\"a b\"\n");
    assert_added_mistakes("subprotocols = a,,b\n", NAMES "\"\"\n");
    assert_added_mistakes("subprotocols = a, \n", NAMES "\"\"\n");
    assert_added_mistakes("subprotocols = ,\n", NAMES "\"\"\n");
    assert_added_mistakes("subprotocols = a/b\n", NAMES "\"a/b\"\n");
    assert_added_mistakes("subprotocols = \xc3\xa9\n", NAMES "\"\xc3\xa9\"\n");
    assert_added_mistakes(
        "subprotocols = 1234567890123456789012345678901234567890123456789012345678901234\n",
        NAMES "\"1234567890123456789012345678901234567890123456789012345678901234\"\n");
    assert_added_mistakes("subprotocols = a,b,a\n",
                          "5: [route /] subprotocols: \"a\" is repeated\n");
}

static void
words_of_messages_and_framing(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 1\n[defaults]\nmessages = text\n"
                              "framing = line\n"
                              "[route /1]\ntarget = echo:\n"
                              "[route /2]\ntarget = tcp://a:1\nmessages = base64\n"
                              "framing = length16\nmessage_max = 1k\n"
                              "[route /3]\ntarget = tls://a:1\nmessages = binary\n"
                              "framing = length32\n"
                              "[route /4]\ntarget = unix:/x\nframing = none\n");
    const struct conf_route *routes = conf->routes;

    (void)state;
    assert_int_equal(routes[0].messages, CONF_MESSAGES_TEXT);
    assert_int_equal(routes[0].framing, CONF_FRAMING_LINE);
    assert_int_equal(routes[1].messages, CONF_MESSAGES_BASE64);
    assert_int_equal(routes[1].framing, CONF_FRAMING_LENGTH16);
    assert_int_equal(routes[1].message_max, 1024);
    assert_int_equal(routes[2].messages, CONF_MESSAGES_BINARY);
    assert_int_equal(routes[2].framing, CONF_FRAMING_LENGTH32);
    assert_int_equal(routes[3].messages, CONF_MESSAGES_TEXT);
    assert_int_equal(routes[3].framing, CONF_FRAMING_NONE);
    conf_unref(conf);
}

/* The line is that of the list which holds for the route. */
static void
origins_and_their_lines(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 1\n[route /1]\ntarget = echo:\n"
                              "[defaults]\norigins = any\norigin_required = yes\n"
                              "[route /2]\ntarget = echo:\norigins = same\n"
                              "origin_required = no\n"
                              "[route /3]\ntarget = files:/tmp\n");
    const struct conf_route *routes = conf->routes;

    (void)state;
    assert_string_equal(routes[0].origins[0], "any");
    assert_null(routes[0].origins[1]);
    assert_int_equal(routes[0].origins_line, 6);
    assert_true(routes[0].origin_required);
    assert_string_equal(routes[1].origins[0], "same");
    assert_null(routes[1].origins[1]);
    assert_int_equal(routes[1].origins_line, 10);
    assert_false(routes[1].origin_required);
    assert_string_equal(routes[2].origins[0], "same");
    assert_int_equal(routes[2].origins_line, 0);
    assert_false(routes[2].origin_required);
    conf_unref(conf);
}

/* "a://" and bytes up to the length that is asked for. */
static char *
origin_of(size_t len)
{
    char *line = NULL;

    assert_true(asprintf(&line, "origins = a://%0*d\n", (int)len - 4, 0) > 0);
    return line;
}

static void
lengths_of_origins(void **state)
{
    char *line = origin_of(256), *text, *mistakes;
    struct conf *conf;

    (void)state;
    assert_true(asprintf(&text, LISTEN_AND_ROUTE "%s", line) > 0);
    conf = parse(text);
    assert_int_equal(strlen(conf->routes[0].origins[0]), 256);
    conf_unref(conf);
    free(text);
    free(line);

    line = origin_of(257);
    assert_true(asprintf(&text, LISTEN_AND_ROUTE "%s", line) > 0);
    assert_null(parse_bytes(text, strlen(text), "/", &mistakes));
    assert_non_null(strstr(mistakes, "5: [route /] origins: expected same, any, or origins"));
    free(mistakes);
    free(text);
    free(line);
}

static void
origins_that_are_refused(void **state)
{
#define ORIGINS                                                                                    \
    "5: [route /] origins: expected same, any, or origins such as https://example.org, at most "   \
    "256 bytes each, separated by commas, got "
    static const char *const forms[] = {
        "none",    "*",    "null",        "Same", "example.org",         "https:/a",
        "https:a", "://a", "https://a b", "a://", "same https://a.test",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char *text, *expected;
        assert_true(asprintf(&text, "origins = %s\n", forms[i]) > 0);
        assert_true(asprintf(&expected, ORIGINS "\"%s\"\n", forms[i]) > 0);
        assert_added_mistakes(text, expected);
        free(text);
        free(expected);
    }
    assert_added_mistakes("origins = a://b\tc\n", ORIGINS "\"a://b\\x09c\"\n");
    assert_added_mistakes("origins =\n", ORIGINS "\"\"\n");
    assert_added_mistakes("origins = a://b,,c://d\n", ORIGINS "\"\"\n");
    assert_added_mistakes("origins = a://b,\n", ORIGINS "\"\"\n");
    assert_added_mistakes("origins = a://b, c://d, a://b\n",
                          "5: [route /] origins: \"a://b\" is repeated\n");
    assert_added_mistakes("origins = same, same\n", "5: [route /] origins: \"same\" is repeated\n");
    assert_added_mistakes("origins = same, a://b\n",
                          "5: [route /] origins: \"same\" stands alone, not in a list\n");
    assert_added_mistakes("origins = a://b, any\n",
                          "5: [route /] origins: \"any\" stands alone, not in a list\n");
}

static void
files_take_none_of_these(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 1\n[defaults]\nmessages = text\n"
                              "framing = line\norigins = any\norigin_required = yes\n"
                              "message_max = 2k\n[route /]\ntarget = files:/tmp\n");
    const struct conf_route *route = &conf->routes[0];

    (void)state;
    assert_int_equal(route->messages, CONF_MESSAGES_BINARY);
    assert_int_equal(route->framing, CONF_FRAMING_NONE);
    assert_int_equal(route->message_max, 1048576);
    assert_string_equal(route->origins[0], "same");
    assert_false(route->origin_required);
    conf_unref(conf);
    /* Also where it says what holds anyway. */
    assert_mistakes("[server]\nlisten = 1\n[route /]\nmessages = binary\nframing = none\n"
                    "origins = same\norigin_required = no\nmessage_max = 1m\n"
                    "target = files:/tmp\n",
                    "4: [route /] messages: not with a target files:\n"
                    "5: [route /] framing: not with a target files:\n"
                    "6: [route /] origins: not with a target files:\n"
                    "7: [route /] origin_required: not with a target files:\n"
                    "8: [route /] message_max: not with a target files:\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_that_are_refused),   cmocka_unit_test(words_of_messages_and_framing),
        cmocka_unit_test(origins_and_their_lines),  cmocka_unit_test(lengths_of_origins),
        cmocka_unit_test(origins_that_are_refused), cmocka_unit_test(files_take_none_of_these),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
