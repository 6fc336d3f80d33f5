/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/topic_filter.h"
#include "base/topic_template.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_valid(void **state)
{
    static const char *const good[] = {
        "users/${user}/#", "${user}",      "a/+/#",   "${client_id}/${user}",
        "d-${client_id}",  "$SYS/${user}", "a/$b/$c", "${user}${client_id}"};
    static const char *const bad[] = {"",         "${name}/#",  "a/${user",
                                      "${user}#", "a/${user}+", "${user}/#/a",
                                      "${}",      "${ user}",   "${USER}"};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!topic_template_is_valid(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (topic_template_is_valid(bad[i]))
            fail_msg("%s", bad[i]);
}

static const struct {
    const char *text, *user, *client_id, *filled; /* NULL: refused */
} fills[] = {
    {"users/${user}/#", "ann", NULL, "users/ann/#"},
    {"a/+/b", NULL, NULL, "a/+/b"},
    {"${client_id}/${user}/${client_id}", "ann", "d1", "d1/ann/d1"},
    {"d-${client_id}", NULL, "$1", "d-$1"},
    {"users/${user}", "$SYS", NULL, "users/$SYS"},
    {"users/${user}", "M\xc3\xbcller", NULL, "users/M\xc3\xbcller"},
    {"a/${user}", "${client_id}", "#", "a/${client_id}"}, /* what fills is not looked at again */
    {"users/${user}/#", NULL, "d1", NULL},
    {"users/${user}/#", "", NULL, NULL},
    {"users/${user}/#", "+", NULL, NULL},
    {"users/${user}/#", "#", NULL, NULL},
    {"users/${user}/#", "ann/x", NULL, NULL},
    {"users/${user}/#", "a+", NULL, NULL},
    {"${user}/#", "$SYS", NULL, NULL},
    {"${client_id}/#", "ann", "$share", NULL},
    {"a/${client_id}", "ann", "a/b", NULL},
};

static void
test_fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fills); i++) {
        struct topic_client client = {fills[i].user, fills[i].client_id};
        char out[64] = "?";
        int len = topic_template_fill(fills[i].text, &client, out, sizeof out);

        if (fills[i].filled == NULL) {
            assert_int_equal(len, -1);
            assert_string_equal(out, "");
        } else {
            assert_string_equal(out, fills[i].filled);
            assert_int_equal(len, strlen(fills[i].filled));
        }
    }
}

/* Into memory of just that size, and of one byte less. */
static void
test_size(void **state)
{
    struct topic_client client = {"0123456789", NULL};

    (void)state;
    for (size_t size = 1; size <= 20; size++) {
        char *out = malloc(size);
        int len;

        assert_non_null(out);
        len = topic_template_fill("a/${user}/b", &client, out, size);
        assert_int_equal(len, size >= sizeof "a/0123456789/b" ? 14 : -1);
        free(out);
    }
}

static void
test_longest(void **state)
{
    char *user = malloc(TOPIC_MAX + 2), *out = malloc(TOPIC_MAX + 10);
    struct topic_client client = {user, NULL};

    (void)state;
    assert_non_null(user);
    assert_non_null(out);
    memset(user, 'x', TOPIC_MAX + 1);
    user[TOPIC_MAX + 1] = '\0';
    assert_int_equal(topic_template_fill("${user}", &client, out, TOPIC_MAX + 10), -1);
    user[TOPIC_MAX] = '\0';
    assert_int_equal(topic_template_fill("${user}", &client, out, TOPIC_MAX + 10), TOPIC_MAX);
    free(user);
    free(out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
