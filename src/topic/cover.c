/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/cover.h"

#include <stdlib.h>
#include <string.h>

#include "base/topic_filter.h"

static bool
covers(const char *wide, const char *narrow)
{
    return topic_filter_covers(wide, strlen(wide), narrow, strlen(narrow));
}

static bool
overlap(const char *a, const char *b)
{
    return topic_filter_overlaps(a, strlen(a), b, strlen(b));
}

static bool
is_all(const char *level, size_t len)
{
    return len == 1 && level[0] == '#';
}

/*
 * The narrowest filter that covers two that overlap: levels that differ become `+`, and from where one
 * of them takes all, or ends, so does the result. Never longer than the two together.
 */
static char *
join_two(const char *a, const char *b)
{
    char *joined = malloc(strlen(a) + strlen(b) + 3);
    char *end = joined;

    if (joined == NULL)
        return NULL;
    for (;;) {
        size_t a_len = strcspn(a, "/"), b_len = strcspn(b, "/");

        if (is_all(a, a_len) || is_all(b, b_len)) {
            *end++ = '#';
            break;
        }
        if (a_len == b_len && memcmp(a, b, a_len) == 0) {
            memcpy(end, a, a_len);
            end += a_len;
        } else {
            *end++ = '+';
        }
        if (a[a_len] == '\0' && b[b_len] == '\0')
            break;
        *end++ = '/';
        if (a[a_len] == '\0' || b[b_len] == '\0') {
            *end++ = '#';
            break;
        }
        a += a_len + 1;
        b += b_len + 1;
    }
    *end = '\0';
    return joined;
}

/*
 * Adds a filter, which is taken, to the n of a list. Returns how many there are then, or -1 without
 * memory. What it swallows goes; it grows with each that it is joined with, and may overlap others then.
 */
static int
add(char **list, int n, char *filter, bool join)
{
    for (int i = 0; i < n; i++) {
        char *joined = NULL;

        if (covers(list[i], filter)) {
            free(filter);
            return n;
        }
        if (!covers(filter, list[i])) {
            if (!join || !overlap(filter, list[i]))
                continue;
            joined = join_two(filter, list[i]);
            if (joined == NULL) {
                free(filter);
                return -1;
            }
        }
        free(list[i]);
        n--;
        memmove(&list[i], &list[i + 1], (size_t)(n - i) * sizeof *list);
        list[n] = NULL;
        if (joined != NULL) {
            free(filter);
            filter = joined;
        }
        i = joined != NULL ? -1 : i - 1;
    }
    list[n] = filter;
    return n + 1;
}

char **
cover_reduce(const char *const *filters, bool join)
{
    size_t length = 0;
    char **list;
    int n = 0;

    while (filters[length] != NULL)
        length++;
    list = calloc(length + 1, sizeof *list);
    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < length && n >= 0; i++) {
        char *filter = strdup(filters[i]);

        n = filter != NULL ? add(list, n, filter, join) : -1;
    }
    if (n >= 0)
        return list;
    cover_free(list);
    return NULL;
}

bool
cover_overlaps(const char *const *filters)
{
    for (size_t i = 0; filters[i] != NULL; i++)
        for (size_t j = 0; j < i; j++)
            if (overlap(filters[i], filters[j]))
                return true;
    return false;
}

bool
cover_has(const char *const *filters, const char *filter)
{
    while (*filters != NULL && strcmp(*filters, filter) != 0)
        filters++;
    return *filters != NULL;
}

bool
cover_matches(const char *const *filters, const char *topic, size_t topic_len)
{
    while (*filters != NULL && !topic_filter_matches(*filters, strlen(*filters), topic, topic_len))
        filters++;
    return *filters != NULL;
}

void
cover_free(char **filters)
{
    for (size_t i = 0; filters != NULL && filters[i] != NULL; i++)
        free(filters[i]);
    free(filters);
}
