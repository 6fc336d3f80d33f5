/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of routes, and which one a request takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf_text.h"

/* A configuration of these routes, NULL-terminated. */
static struct conf *
with_routes(const char *const *names)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct conf *conf;

    fputs("[server]\nlisten = 1\n", out);
    for (; *names != NULL; names++)
        fprintf(out, "[route %s]\ntarget = echo:\n", *names);
    fclose(out);
    conf = parse(text);
    free(text);
    return conf;
}

static const char *
found(const struct conf *conf, const char *host, const char *path)
{
    const struct conf_route *route = conf_find_route(conf, host, path);
    return route == NULL ? "none" : route->name;
}

static void
names(void **state)
{
    const char *const given[] = {"/", "Chat.Example.org/a b/", "10.0.0.1/x", " /\xc3\xbc/%zz ",
                                 NULL};
    struct conf *conf = with_routes(given);
    const struct conf_route *r = conf->routes;

    (void)state;
    assert_string_equal(r[0].path, "/");
    assert_true(r[0].prefix && r[0].path_len == 1 && r[0].host == NULL);
    assert_string_equal(r[1].name, "Chat.Example.org/a b/");
    assert_string_equal(r[1].host, "chat.example.org");
    assert_string_equal(r[1].path, "/a b/");
    assert_true(r[1].prefix);
    assert_string_equal(r[2].host, "10.0.0.1");
    assert_false(r[2].prefix);
    assert_string_equal(r[3].name, "/\xc3\xbc/%zz");
    assert_int_equal(r[3].path_len, 7);
    assert_int_equal(r[3].line, 9);
    conf_unref(conf);
}

static void
names_that_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"x", "expected [route /PATH] or [route HOST/PATH]"},
        {"//", "the path of a request never holds an empty segment (\"//\")"},
        {"/a//b", "the path of a request never holds an empty segment (\"//\")"},
        {"/a//", "the path of a request never holds an empty segment (\"//\")"},
        {"/.", "the path of a request never holds the segment \".\" or \"..\""},
        {"/a/../b", "the path of a request never holds the segment \".\" or \"..\""},
        {"h/a/./", "the path of a request never holds the segment \".\" or \"..\""},
        {"/a/..", "the path of a request never holds the segment \".\" or \"..\""},
        {"/a\\b", "the path of a request never holds a backslash"},
        {"/a?b=c", "the path of a request never holds a question mark: routes do not look at the "
                   "query"},
        {"/a%20b", "the path of a request never holds an escape (%XX): write the path decoded"},
        {"h:80/a", "\"h:80\" is no host: expected a name or an IPv4 address, without a port"},
        {"http://h/a", "the path of a request never holds an empty segment (\"//\")"},
        {"*.h/a", "\"*.h\" is no host: expected a name or an IPv4 address"},
        {".h/a", "\".h\" is no host: expected a name or an IPv4 address"},
        {"h./a", "\"h.\" is no host: expected a name or an IPv4 address"},
        {"a b/c", "\"a b\" is no host: expected a name or an IPv4 address"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text, *expected;
        assert_true(asprintf(&text, "[route %s]\ntarget = echo:\n", bad[i][0]) > 0);
        assert_true(asprintf(&expected, "5: [route %s]: %s\n", bad[i][0], bad[i][1]) > 0);
        assert_added_mistakes(text, expected);
        free(text);
        free(expected);
    }
    /* Dots that are part of a name are none of that. */
    const char *const good[] = {"/...", "/.a/b./..c", NULL};
    conf_unref(with_routes(good));
}

static void
the_same_twice(void **state)
{
    (void)state;
    assert_mistakes("[server]\nlisten = 1\n[route Ab.c/x]\ntarget = echo:\n[route /x]\ntarget = "
                    "echo:\n[route aB.C/x]\ntarget = echo:\n[route ab.c/x/]\ntarget = echo:\n"
                    "[route  /x]\ntarget = echo:\n",
                    "7: [route aB.C/x]: repeated; it already stands in line 3\n"
                    "11: [route  /x]: repeated; it already stands in line 5\n");
}

static void
the_longest_wins(void **state)
{
    const char *const given[] = {"/x/", "/", "/x/y", "/x/y/", "/x/y/z", NULL};
    struct conf *conf = with_routes(given);

    (void)state;
    assert_string_equal(found(conf, NULL, "/"), "/");
    assert_string_equal(found(conf, NULL, "/x"), "/");
    assert_string_equal(found(conf, NULL, "/x/"), "/x/");
    assert_string_equal(found(conf, NULL, "/x/a"), "/x/");
    assert_string_equal(found(conf, NULL, "/x/y"), "/x/y");
    assert_string_equal(found(conf, NULL, "/x/y/"), "/x/y/");
    assert_string_equal(found(conf, NULL, "/x/ya"), "/x/");
    assert_string_equal(found(conf, NULL, "/x/y/z"), "/x/y/z");
    assert_string_equal(found(conf, NULL, "/x/y/z/"), "/x/y/");
    assert_string_equal(found(conf, NULL, "/X/"), "/");
    conf_unref(conf);
}

static void
no_route(void **state)
{
    const char *const given[] = {"/x", "/y/", "h/", NULL};
    struct conf *conf = with_routes(given);

    (void)state;
    assert_null(conf_find_route(conf, NULL, "/"));
    assert_null(conf_find_route(conf, "g", "/x/"));
    assert_null(conf_find_route(conf, NULL, "/xy"));
    assert_null(conf_find_route(conf, NULL, "/y"));
    assert_null(conf_find_route(conf, NULL, ""));
    assert_non_null(conf_find_route(conf, NULL, "/x"));
    conf_unref(conf);
}

static void
hosts_come_first(void **state)
{
    const char *const given[] = {"/x/y", "a.example/", "b.example/x/", "/", NULL};
    struct conf *conf = with_routes(given);

    (void)state;
    assert_string_equal(found(conf, "a.example", "/x/y"), "a.example/");
    assert_string_equal(found(conf, "A.Example", "/x/y"), "a.example/");
    assert_string_equal(found(conf, "b.example", "/x/y"), "b.example/x/");
    assert_string_equal(found(conf, "b.example", "/x"), "/");
    assert_string_equal(found(conf, "c.example", "/x/y"), "/x/y");
    assert_string_equal(found(conf, NULL, "/x/y"), "/x/y");
    assert_string_equal(found(conf, "xa.example", "/z"), "/");
    conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),          cmocka_unit_test(names_that_are_refused),
        cmocka_unit_test(the_same_twice), cmocka_unit_test(the_longest_wins),
        cmocka_unit_test(no_route),       cmocka_unit_test(hosts_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
