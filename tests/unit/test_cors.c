/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/cors.h"
#include "proto/http1.h"

#define EXPOSE "Access-Control-Expose-Headers: Retry-After\r\n"

static struct http1_request
asked_by(const char *origin, size_t len, enum http1_method method)
{
    struct http1_request request = {.method = method, .n_headers = 1};

    request.headers[0].name = (struct span){"origin", 6};
    request.headers[0].value = (struct span){origin, len};
    return request;
}

static void
test_an_origin_is_told_back_as_it_came(void **state)
{
    struct http1_request request = asked_by("https://A.example:81, and more", 20, HTTP1_GET);
    struct origin_policy policy = {.mode = ORIGIN_MODE_SAME};
    char lines[CORS_LINES_MAX];

    (void)state;
    cors_lines(&policy, &request, lines);
    assert_string_equal(lines, "Access-Control-Allow-Origin: https://A.example:81\r\n"
                               "Vary: Origin\r\n"
                               "Access-Control-Allow-Credentials: true\r\n" EXPOSE);
}

static void
test_any_origin_gets_no_credentials(void **state)
{
    struct http1_request request = asked_by("https://a.example", 17, HTTP1_GET);
    struct origin_policy policy = {.mode = ORIGIN_MODE_ANY};
    char lines[CORS_LINES_MAX];

    (void)state;
    cors_lines(&policy, &request, lines);
    assert_string_equal(lines, "Access-Control-Allow-Origin: *\r\n" EXPOSE);
}

static void
test_the_longest_origin_has_room_in_a_preflight(void **state)
{
    char origin[ORIGIN_MAX];
    char lines[CORS_LINES_MAX];
    struct origin_policy policy = {.mode = ORIGIN_MODE_LIST};
    struct http1_request request = asked_by(origin, sizeof origin, HTTP1_OPTIONS);
    size_t len;

    (void)state;
    memset(origin, 'o', sizeof origin);
    cors_lines(&policy, &request, lines);
    len = strlen(lines);
    assert_true(len > ORIGIN_MAX && strcmp(lines + len - 2, "\r\n") == 0);
    assert_non_null(strstr(lines, "\r\nAccess-Control-Allow-Methods: GET, POST, DELETE\r\n"));
    assert_non_null(strstr(lines, "\r\nAccess-Control-Max-Age: 600\r\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_origin_is_told_back_as_it_came),
        cmocka_unit_test(test_any_origin_gets_no_credentials),
        cmocka_unit_test(test_the_longest_origin_has_room_in_a_preflight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
