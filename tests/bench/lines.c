/* SPDX-License-Identifier: BSD-2-Clause */
#include "lines.h"

#include <string.h>

enum {
    DIGITS = 20,
};

void
lines_make(char out[LINE_LEN], uint64_t number)
{
    uint64_t rest = number;

    for (int i = DIGITS - 1; i >= 0; i--, rest /= 10)
        out[i] = (char)('0' + rest % 10);
    for (unsigned i = DIGITS; i < LINE_LEN - 1; i++)
        out[i] = (char)('a' + (number + i) % 26);
    out[LINE_LEN - 1] = '\n';
}

bool
lines_is(const char *text, size_t len, uint64_t number)
{
    char line[LINE_LEN];

    lines_make(line, number);
    return len == LINE_LEN - 1 && memcmp(text, line, len) == 0;
}
