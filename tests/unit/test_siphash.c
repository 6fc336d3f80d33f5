/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "guard.h"

/* What CPython 3.11 says, which hashes with this function, under PYTHONHASHSEED=0: zeros. */
static const struct {
    const char *text;
    uint64_t hash;
} known[] = {
    {"a", 0x407448d2b89b1813},
    {"abc", 0xc03bc3a0042630f2},
    {"12345678", 0x3489982430560a87},
    {"0123456789abcdef0", 0xf738bb4f30801228},
};

static void
test_known(void **state)
{
    static const uint64_t zeros[2], other[2] = {0, 1};
    struct guard guard = guard_open(64);

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i].text);
        const void *text = guard_end(&guard, known[i].text, len);

        assert_true(siphash(zeros, text, len) == known[i].hash);
        assert_true(siphash(other, text, len) != known[i].hash);
    }
    guard_close(&guard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
