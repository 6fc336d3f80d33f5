/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/query_mask.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http1.h"

#define MASK "***"

enum {
    KEY_MAX = 64, /* letters and digits of a key that are compared, its last ones */
};

struct secret {
    const char *word;
    bool at_end; /* also at the end of a longer word: "code" would hide every postcode */
};

static const struct secret secrets[] = {
    {"session", true},     {"sessionid", true},  {"sid", false},       {"token", true},
    {"ticket", true},      {"key", false},       {"apikey", true},     {"accesskey", true},
    {"secretkey", true},   {"privatekey", true}, {"auth", false},      {"authorization", true},
    {"password", true},    {"passwd", true},     {"passphrase", true}, {"pass", false},
    {"pwd", true},         {"secret", true},     {"sig", false},       {"signature", true},
    {"jwt", true},         {"code", false},      {"authcode", true},   {"credential", true},
    {"credentials", true}, {"assertion", false}, {"otp", false},       {"pin", false},
    {"sessid", true},      {"passcode", true},   {"passkey", true},    {"bearer", false},
    {"authkey", true},     {"sessionkey", true}, {"hmac", false},
};

/* A key, or what stands before or between brackets in it. */
struct name {
    char text[2 * KEY_MAX]; /* its letters and digits so far, the last KEY_MAX at least */
    size_t len;
    size_t word; /* where its last word begins */
    bool lower;  /* the last character was a small letter */
    bool gap;    /* what joins words has come since the last word's letters */
};

/* Takes one byte off a span that http1_query_valid() has passed. */
static unsigned char
take(struct span *text)
{
    char pair[3] = {0};

    if (text->at[0] != '%' || text->len < 3) {
        text->len--;
        return (unsigned char)*text->at++;
    }
    pair[0] = text->at[1];
    pair[1] = text->at[2];
    text->at += 3;
    text->len -= 3;
    return (unsigned char)strtoul(pair, NULL, 16);
}

/* A number behind a word makes no other word of it: password2 repeats password. */
static bool
names_secret(const struct name *name)
{
    size_t len = name->len;

    while (len > 0 && isdigit((unsigned char)name->text[len - 1]))
        len--;
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        size_t word_len = strlen(secrets[i].word);

        if (word_len <= len &&
            (secrets[i].at_end || word_len == len || word_len + name->word == len) &&
            memcmp(name->text + len - word_len, secrets[i].word, word_len) == 0)
            return true;
    }
    return false;
}

/* A word begins with a letter behind - . _ or ~, and with a capital behind a small letter. */
static void
add_letter(struct name *name, unsigned char c)
{
    if (name->len == sizeof name->text) {
        memmove(name->text, name->text + KEY_MAX, name->len = KEY_MAX);
        name->word = name->word > KEY_MAX ? name->word - KEY_MAX : 0;
    }
    if (isalpha(c) && (name->gap || (name->lower && isupper(c)))) {
        name->word = name->len;
        name->gap = false;
    }
    name->lower = islower(c);
    name->text[name->len++] = (char)tolower(c);
}

static bool
is_secret_key(struct span raw)
{
    struct name name = {.len = 0};

    if (raw.len == 0)
        return true;
    while (raw.len > 0) {
        unsigned char c = take(&raw);

        if (c == '[' || c == ']') {
            if (names_secret(&name))
                return true;
            name.len = name.word = 0;
        } else if (c != '\0' && strchr("-._~", c) != NULL) {
            name.gap = true;
        } else if (c >= 0x80 || !isalnum(c)) {
            return true;
        } else {
            add_letter(&name, c);
        }
    }
    return names_secret(&name);
}

/* Or JSON. */
static bool
may_be_query(struct span raw)
{
    while (raw.len > 0) {
        unsigned char c = take(&raw);

        if (c == '=' || c == '%' || c == '"')
            return true;
    }
    return false;
}

/* Appends as much as fits. Returns false if that was not all. */
static bool
put(char **at, size_t *room, const char *text, size_t len)
{
    bool whole = len <= *room;

    if (!whole)
        len = *room;
    memcpy(*at, text, len);
    *at += len;
    *room -= len;
    return whole;
}

/* One piece between two '&'. */
static bool
put_pair(char **at, size_t *room, struct span pair)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    struct span key = pair, value;
    bool masked;

    if (equals == NULL) {
        masked = pair.len > QUERY_MASK_WORD_MAX || (pair.len > 0 && is_secret_key(pair));
        return put(at, room, masked ? MASK : pair.at, masked ? strlen(MASK) : pair.len);
    }
    key.len = (size_t)(equals - pair.at);
    value.at = equals + 1;
    value.len = pair.len - key.len - 1;
    masked = value.len > 0 && (is_secret_key(key) || may_be_query(value));
    return put(at, room, key.at, key.len + 1) &&
           put(at, room, masked ? MASK : value.at, masked ? strlen(MASK) : value.len);
}

void
query_mask(struct span query, char *out, size_t size)
{
    size_t room = size - 1;
    bool goes_on = true;

    if (!http1_query_valid(query)) {
        put(&out, &room, MASK, strlen(MASK));
        *out = '\0';
        return;
    }
    while (goes_on && query.len > 0) {
        const char *end = memchr(query.at, '&', query.len);
        struct span pair = {query.at, end != NULL ? (size_t)(end - query.at) : query.len};

        goes_on = put_pair(&out, &room, pair) && (end == NULL || put(&out, &room, "&", 1));
        query.at += pair.len + (end != NULL);
        query.len -= pair.len + (end != NULL);
    }
    *out = '\0';
}
