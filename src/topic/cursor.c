/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/cursor.h"

#include <string.h>

int
cursor_read(const char *text, const char *epoch, uint64_t *number)
{
    size_t epoch_len = strlen(epoch), digits;

    if (strncmp(text, epoch, epoch_len) != 0 || text[epoch_len] != '-')
        return -1;
    text += epoch_len + 1;
    digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return -1;
    *number = 0;
    for (; *text != '\0'; text++)
        *number = *number * 10 + (uint64_t)(*text - '0');
    return 0;
}

const char *
cursor_write(char out[CURSOR_MAX + 1], const char *epoch, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    char *end = stpcpy(out, epoch);

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    *end++ = '-';
    memcpy(end, digits + at, sizeof digits - at);
    end[sizeof digits - at] = '\0';
    return out;
}
