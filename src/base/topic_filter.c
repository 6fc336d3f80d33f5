/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/topic_filter.h"

#include <string.h>

/* A walk over the levels of a text. */
struct level {
    const char *at;
    size_t len;
    const char *rest; /* behind its '/'; NULL: it is the last one */
    const char *end;  /* of the text */
};

static void
cut(struct level *level, const char *from)
{
    const char *slash = memchr(from, '/', (size_t)(level->end - from));

    level->at = from;
    level->len = (size_t)((slash != NULL ? slash : level->end) - from);
    level->rest = slash != NULL ? slash + 1 : NULL;
}

static struct level
first(const char *text, size_t len)
{
    struct level level = {.end = text + len};

    cut(&level, text);
    return level;
}

static bool
next(struct level *level)
{
    if (level->rest == NULL)
        return false;
    cut(level, level->rest);
    return true;
}

static bool
is(const struct level *level, char wildcard)
{
    return level->len == 1 && level->at[0] == wildcard;
}

static bool
is_wildcard(const struct level *level)
{
    return is(level, '+') || is(level, '#');
}

static bool
is_hidden(const struct level *level)
{
    return level->len > 0 && level->at[0] == '$';
}

static bool
is_same(const struct level *a, const struct level *b)
{
    return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* Whether only `#` follows, which also stands for no level at all. */
static bool
ends_in_all(struct level level)
{
    return next(&level) && is(&level, '#');
}

/* Whether it is the first level, and empty: alone it makes no topic, as there is none without a byte. */
static bool
is_nothing(const struct level *level, const char *text)
{
    return level->at == text && level->len == 0;
}

static bool
has_good_length(const char *text, size_t len)
{
    return len > 0 && len <= TOPIC_MAX && memchr(text, '\0', len) == NULL;
}

bool
topic_name_is_valid(const char *name, size_t len)
{
    return has_good_length(name, len) && memchr(name, '+', len) == NULL &&
           memchr(name, '#', len) == NULL;
}

static bool
level_is_valid(const struct level *level)
{
    if (is(level, '#'))
        return level->rest == NULL;
    return is(level, '+') || (memchr(level->at, '+', level->len) == NULL &&
                              memchr(level->at, '#', level->len) == NULL);
}

bool
topic_filter_is_valid(const char *filter, size_t len)
{
    struct level level;

    if (!has_good_length(filter, len))
        return false;
    level = first(filter, len);
    do {
        if (!level_is_valid(&level))
            return false;
    } while (next(&level));
    return true;
}

bool
topic_filter_matches(const char *filter, size_t filter_len, const char *name, size_t name_len)
{
    /* A name is the filter for itself alone. */
    return topic_filter_covers(filter, filter_len, name, name_len);
}

bool
topic_filter_covers(const char *wide, size_t wide_len, const char *narrow, size_t narrow_len)
{
    struct level w = first(wide, wide_len), n = first(narrow, narrow_len);
    bool n_is_empty = true; /* so far: then its `#` asks for a level, as `+` does */
    bool w_goes_on, n_goes_on;

    if (is_wildcard(&w) && is_hidden(&n))
        return false;
    for (;;) {
        if (is(&w, '#'))
            return true;
        if (is(&n, '#'))
            return n_is_empty && is(&w, '+') && ends_in_all(w);
        if (!is(&w, '+') && !is_same(&w, &n))
            return false;
        n_is_empty = is_nothing(&n, narrow);
        if (n.rest == NULL && ends_in_all(w))
            return true;
        w_goes_on = next(&w);
        n_goes_on = next(&n);
        if (!w_goes_on || !n_goes_on)
            return w_goes_on == n_goes_on;
    }
}

bool
topic_filter_overlaps(const char *a_text, size_t a_len, const char *b_text, size_t b_len)
{
    struct level a = first(a_text, a_len), b = first(b_text, b_len);
    bool a_goes_on, b_goes_on;

    if ((is_wildcard(&a) && is_hidden(&b)) || (is_wildcard(&b) && is_hidden(&a)))
        return false;
    for (;;) {
        if (is(&a, '#') || is(&b, '#'))
            return true;
        if (!is(&a, '+') && !is(&b, '+') && !is_same(&a, &b))
            return false;
        if ((a.rest == NULL && ends_in_all(b)) || (b.rest == NULL && ends_in_all(a)))
            return !is_nothing(&a, a_text) && !is_nothing(&b, b_text);
        a_goes_on = next(&a);
        b_goes_on = next(&b);
        if (!a_goes_on || !b_goes_on)
            return a_goes_on == b_goes_on;
    }
}
