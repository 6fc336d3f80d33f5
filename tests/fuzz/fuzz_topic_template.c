/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Templates of topic filters: whatever fills the places of a valid one, the outcome is a valid filter of
 * as many levels and with the same wildcards. Input: template, user and client id, NUL between them.
 */
#include "base/topic_filter.h"
#include "base/topic_template.h"
#include "fuzz.h"

enum {
    OUT = 512, /* bytes: some do not fit */
};

static char *
take(struct fuzz *in)
{
    const uint8_t *nul = in->len > 0 ? memchr(in->at, '\0', in->len) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - in->at) : in->len;
    size_t used = nul != NULL ? len + 1 : len;
    char *text = malloc(len + 1);

    CHECK(text != NULL);
    if (len > 0)
        memcpy(text, in->at, len);
    text[len] = '\0';
    in->at += used;
    in->len -= used;
    return text;
}

static size_t
count(const char *text, char c)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

static void
check_filled(const char *text, const char *filled, size_t len)
{
    CHECK(strlen(filled) == len && len < OUT);
    CHECK(topic_filter_is_valid(filled, len));
    CHECK(count(filled, '/') == count(text, '/'));
    CHECK(count(filled, '+') == count(text, '+') && count(filled, '#') == count(text, '#'));
    CHECK((filled[0] == '$') == (text[0] == '$' && text[1] != '{'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    char *text = take(&in), *user = take(&in), *client_id = take(&in);
    struct topic_client client = {user, client_id};
    char *out = malloc(OUT);
    int n;

    CHECK(out != NULL);
    n = topic_template_fill(text, &client, out, OUT);
    CHECK(n >= 0 || out[0] == '\0');
    if (n > 0 && topic_template_is_valid(text))
        check_filled(text, out, (size_t)n);
    free(text);
    free(user);
    free(client_id);
    free(out);
    return 0;
}
