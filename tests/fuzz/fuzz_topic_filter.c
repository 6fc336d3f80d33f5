/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topic filters: a match is what the standard says level by level, and covering and overlapping agree
 * with the matches that are found. Input: three texts, NUL between them; filter, filter, name.
 */
#include "base/topic_filter.h"
#include "fuzz.h"

struct text {
    char *at;
    size_t len;
};

static struct text
take(struct fuzz *in)
{
    const uint8_t *nul = in->len > 0 ? memchr(in->at, '\0', in->len) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - in->at) : in->len;
    struct text text = {fuzz_copy(in->at, len), len};
    size_t used = nul != NULL ? len + 1 : len;

    in->at += used;
    in->len -= used;
    return text;
}

static size_t
level_len(struct text text)
{
    const char *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;

    return slash != NULL ? (size_t)(slash - text.at) : text.len;
}

static struct text
behind(struct text text, size_t len)
{
    return (struct text){text.at + len, text.len - len};
}

static bool
oracle(struct text filter, struct text name)
{
    if (name.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#'))
        return false;
    for (;;) {
        size_t f = level_len(filter), n = level_len(name);

        if (f == 1 && filter.at[0] == '#')
            return true;
        if (!(f == 1 && filter.at[0] == '+') && (f != n || memcmp(filter.at, name.at, f) != 0))
            return false;
        filter = behind(filter, f);
        name = behind(name, n);
        if (name.len == 0)
            return filter.len == 0 || (filter.len == 2 && memcmp(filter.at, "/#", 2) == 0);
        if (filter.len == 0)
            return false;
        filter = behind(filter, 1);
        name = behind(name, 1);
    }
}

static bool
covers(struct text a, struct text b)
{
    return topic_filter_covers(a.at, a.len, b.at, b.len);
}

static bool
overlaps(struct text a, struct text b)
{
    return topic_filter_overlaps(a.at, a.len, b.at, b.len);
}

static void
check_filters(struct text a, struct text b)
{
    CHECK(covers(a, a) && covers(b, b));
    CHECK(overlaps(a, b) == overlaps(b, a));
    CHECK(!covers(a, b) || overlaps(a, b));
}

static void
check_name(struct text a, struct text b, struct text name)
{
    bool of_a = topic_filter_matches(a.at, a.len, name.at, name.len);
    bool of_b = topic_filter_matches(b.at, b.len, name.at, name.len);

    CHECK(of_a == oracle(a, name) && of_b == oracle(b, name));
    CHECK(!(of_a && of_b) || overlaps(a, b));
    CHECK(!(of_b && covers(a, b)) || of_a);
    CHECK(!(of_a && covers(b, a)) || of_b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    struct text a = take(&in), b = take(&in), name = take(&in);

    if (topic_filter_is_valid(a.at, a.len) && topic_filter_is_valid(b.at, b.len)) {
        check_filters(a, b);
        if (topic_name_is_valid(name.at, name.len)) {
            CHECK(topic_filter_is_valid(name.at, name.len));
            check_name(a, b, name);
        }
    }
    free(a.at);
    free(b.at);
    free(name.at);
    return 0;
}
