/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/http1.h"

/* The elements, joined by '|'. */
static void
elements(struct guard *guard, const char *list, char *out)
{
    struct span rest = {guard_end(guard, list, strlen(list)), strlen(list)}, element;

    out[0] = '\0';
    while (http1_list_next(&rest, &element))
        sprintf(out + strlen(out), "%.*s|", (int)element.len, element.at);
    assert_int_equal(rest.len, 0);
}

static void
test_elements(void **state)
{
    static const struct {
        const char *list, *elements;
    } cases[] = {
        {"", ""},
        {" \t", ""},
        {",", ""},
        {" , ,\t,", ""},
        {"a", "a|"},
        {" a ", "a|"},
        {"a,b", "a|b|"},
        {"a ,\tb\t, c", "a|b|c|"},
        {",,a,, ,b,", "a|b|"},
        {"a b, c d", "a b|c d|"},
        {"a;x=\"1,2\", b", "a;x=\"1,2\"|b|"},
        {"\"a\\\",b\",c", "\"a\\\",b\"|c|"},
        {"\"open, to the end", "\"open, to the end|"},
        {"\"open\\", "\"open\\|"},
        {"a\\,b", "a\\|b|"},
        {"\"\",\"\"", "\"\"|\"\"|"},
    };
    struct guard guard = guard_open(100);
    char out[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        elements(&guard, cases[i].list, out);
        assert_string_equal(out, cases[i].elements);
    }
    guard_close(&guard);
}

static struct http1_request
request_with(const char *first, const char *second)
{
    struct http1_request request = {.n_headers = 3};

    request.headers[0].name = (struct span){"CONNECTION", 10};
    request.headers[0].value = (struct span){first, strlen(first)};
    request.headers[1].name = (struct span){"Connections", 11};
    request.headers[1].value = (struct span){"other", 5};
    request.headers[2].name = (struct span){"connection", 10};
    request.headers[2].value = (struct span){second, strlen(second)};
    return request;
}

static void
test_tokens_over_several_lines(void **state)
{
    struct http1_request request = request_with("keep-alive, x", "a,UpGrade");

    (void)state;
    assert_true(http1_has_token(&request, "Connection", "upgrade"));
    assert_true(http1_has_token(&request, "Connection", "keep-alive"));
    assert_false(http1_has_token(&request, "Connection", "keep"));
    assert_false(http1_has_token(&request, "Connection", "alive"));
    assert_false(http1_has_token(&request, "Connection", "other"));
    assert_false(http1_has_token(&request, "Missing", "a"));
    request = request_with("\"upgrade\"", "upgrade;x");
    assert_false(http1_has_token(&request, "Connection", "upgrade"));
}

/*
 * A megabyte of what a quadratic reader would chew on for minutes. Each byte is passed once: the
 * elements follow one another without going back.
 */
static void
test_long_lists_take_linear_time(void **state)
{
    static const char *const patterns[] = {",", "a,", "\"", "\"\\", "\\", " ", "\",", "a;b=\",\","};
    enum { MEGABYTE = 1 << 20 };
    char *list = malloc(MEGABYTE);
    clock_t begin = clock();

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct span rest = {list, MEGABYTE}, element;
        const char *seen = list;
        size_t steps = 0;

        for (size_t k = 0; k < MEGABYTE; k++)
            list[k] = patterns[i][k % strlen(patterns[i])];
        while (http1_list_next(&rest, &element)) {
            assert_true(element.at >= seen && element.len > 0);
            assert_true(rest.at >= element.at + element.len &&
                        rest.at + rest.len == list + MEGABYTE);
            seen = rest.at;
            steps++;
        }
        assert_true(steps <= MEGABYTE / 2);
    }
    /* About 50 ms under the sanitizers. */
    assert_true((clock() - begin) / CLOCKS_PER_SEC < 4);
    free(list);
}

static void
test_reasons(void **state)
{
    static const int used[] = {101, 200, 201, 204, 400, 401, 403, 404, 405, 406, 408, 409, 410,
                               413, 414, 415, 417, 426, 429, 431, 500, 501, 502, 503, 504, 505};

    (void)state;
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
        assert_string_not_equal(http1_reason(used[i]), "Unknown");
    assert_string_equal(http1_reason(404), "Not Found");
    assert_string_equal(http1_reason(426), "Upgrade Required");
    assert_string_equal(http1_reason(299), "Unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_tokens_over_several_lines),
        cmocka_unit_test(test_long_lists_take_linear_time),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
