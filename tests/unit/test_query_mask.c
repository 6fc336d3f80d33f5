/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/query_mask.h"

/* Masked from memory that ends at a guard page, into memory that does. */
static void
mask(const char *query, char *out, size_t size)
{
    struct guard in_guard = guard_open(strlen(query));
    struct guard out_guard = guard_open(size);
    struct span span = {guard_end(&in_guard, query, strlen(query)), strlen(query)};
    char *at = guard_end(&out_guard, out, size);

    query_mask(span, at, size);
    memcpy(out, at, size);
    guard_close(&in_guard);
    guard_close(&out_guard);
}

static void
check(const char *query, const char *masked)
{
    char out[256] = "";

    mask(query, out, sizeof out);
    assert_string_equal(out, masked);
}

static void
test_what_is_no_secret_is_shown(void **state)
{
    static const char *const shown[] = {
        "",        "a=1&b=2",    "room=7&lang=de", "x=%20%C3%A9+y",  "debug",      "a=&&b=",
        "token=",  "&",          "t=1/2",          "postcode=12345", "monkey=yes", "design=2",
        "v=a-b.c", "passage=1",  "author=me",      "k[]=1",          "a.b=c",      "keyboard=de",
        "a[b]=c",  "key_type=a", "turnkey=1",      "inside=1",       "keys2go=1",  "x2=3",
    };

    (void)state;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        check(shown[i], shown[i]);
}

static void
test_every_key_of_a_secret_is_masked(void **state)
{
    static const char *const keys[] = {
        "session",
        "token",
        "ticket",
        "access_token",
        "key",
        "apikey",
        "api_key",
        "auth",
        "password",
        "passwd",
        "pwd",
        "secret",
        "sig",
        "signature",
        "jwt",
        "code",
        "credential",
        "credentials",
        "apiKey",
        "accessToken",
        "api-key",
        "token[]",
        "user[password]",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "client_secret",
        "refresh_token",
        "id_token",
        "session_id",
        "sid",
        "PASSWORD",
        "_token",
        "to.ken",
        "PHPSESSID",
        "connect.sid",
        "session_key",
        "sessionKey",
        "stream-key",
        "stream_key_2",
        "stream_key_",
        "auth_code",
        "user_pass",
        "passcode",
        "bearer",
        "password2",
        "Key1",
        "token[0]",
        "token[a][b]",
        "user[password][old]",
    };
    char query[128], masked[128];

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(query, sizeof query, "a=1&%s=hunter2&b=2", keys[i]);
        snprintf(masked, sizeof masked, "a=1&%s=***&b=2", keys[i]);
        check(query, masked);
    }
}

static void
test_no_spelling_hides_a_key(void **state)
{
    (void)state;
    check("%74oken=x", "%74oken=***");
    check("%54%4F%4b%45%6E=x", "%54%4F%4b%45%6E=***");
    check("ToKeN=x", "ToKeN=***");
    check("%2574oken=x", "%2574oken=***");                   /* decoded twice by somebody */
    check("token%20=x&+token=x", "token%20=***&+token=***"); /* trimmed by somebody */
    check("token%00=x", "***");
    check("%EF%BD%94oken=x", "%EF%BD%94oken=***"); /* a full-width t */
    check("a=1;token=x", "a=***");
    check("a;token=x", "a;token=***");
    check("token=x;y", "token=***");
    check("token=x=y&b=1", "token=***&b=1");
    check("=x", "=***");
    check("a=token%3Dx", "a=***");
    check("to=%2Fp%3Ftoken%3Dx%26b", "to=***");
    check("to=%252Ftoken%253Dx", "to=***");
    check("q=%7B%22token%22:%22x%22%7D", "q=***"); /* JSON */
    check("token%3Dx", "***");
    check("token=a&token=b", "token=***&token=***");
}

static void
test_words_alone_are_shown_if_short(void **state)
{
    (void)state;
    check("debug&v2", "debug&v2");
    check("1234567890123456", "1234567890123456");
    check("12345678901234567&x", "***&x");
    check("eyJhbGciOiJIUzI1NiJ9.e30.abcdefghij", "***");
}

static void
test_malformed_ones_are_masked_whole(void **state)
{
    static const char *const malformed[] = {"a=1&b=%", "a=1&%4=2", "%zz",        "a=%ff",
                                            "a=%00",   "a=\xc3",   "token=%&b=1"};

    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        check(malformed[i], "***");
}

static void
test_a_long_key_is_compared_by_its_end(void **state)
{
    char query[1100], out[1200];

    (void)state;
    for (size_t len = 50; len < 1000; len += 1) {
        memset(query, 'a', len);
        strcpy(query + len, "token=hunter2");
        memset(out, 0, sizeof out);
        mask(query, out, sizeof out);
        assert_null(strstr(out, "hunter2"));
        assert_non_null(strstr(out, "token=***"));
    }
}

static void
test_what_does_not_fit_is_cut(void **state)
{
    static const char query[] = "abc=12&token=hunter2&d=5";
    static const char whole[] = "abc=12&token=***&d=5";
    char out[64];

    (void)state;
    for (size_t size = 4; size < sizeof out; size++) {
        memset(out, 'x', sizeof out);
        mask(query, out, size);
        assert_int_equal(strlen(out), size - 1 < strlen(whole) ? size - 1 : strlen(whole));
        assert_memory_equal(out, whole, strlen(out));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_secret_is_shown),
        cmocka_unit_test(test_every_key_of_a_secret_is_masked),
        cmocka_unit_test(test_no_spelling_hides_a_key),
        cmocka_unit_test(test_words_alone_are_shown_if_short),
        cmocka_unit_test(test_malformed_ones_are_masked_whole),
        cmocka_unit_test(test_a_long_key_is_compared_by_its_end),
        cmocka_unit_test(test_what_does_not_fit_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
