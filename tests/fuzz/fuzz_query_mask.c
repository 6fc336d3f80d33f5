/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A secret between two arbitrary pieces of a query: byte 0 its key, bytes 1 to 16 how the key is
 * spelled, byte 17 the room for the output, bytes 18 and 19 where the rest is cut in two. Whatever
 * stands around it, the secret never comes out; and where nothing secret is, all is shown.
 */
#include "fuzz.h"
#include "proto/http1.h"
#include "proto/query_mask.h"

#define SECRET "Zq7Xw9Vk"

static const char *const keys[] = {
    "session", "token",     "ticket",   "access_token", "key",        "apikey",
    "api_key", "auth",      "password", "passwd",       "pwd",        "secret",
    "sig",     "signature", "jwt",      "code",         "credential", "credentials",
};

/* A letter as itself, in upper case, or encoded in either case of its digits. */
static void
spell(struct fuzz_log *query, const char *key, const uint8_t how[16])
{
    for (size_t i = 0; key[i] != '\0'; i++) {
        unsigned char c = (unsigned char)key[i];
        char text[4] = {0};

        if ((how[i] & 1) != 0 && c >= 'a')
            c &= 0xdf;
        if ((how[i] & 2) != 0)
            snprintf(text, sizeof text, (how[i] & 4) != 0 ? "%%%02X" : "%%%02x", c);
        else
            text[0] = (char)c;
        fuzz_log(query, text, strlen(text));
    }
}

static bool
is_plain(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("&12345xyz", at[i]) == NULL || at[i] == '\0')
            return false;
    return true;
}

static void
check(const struct fuzz_log *query, size_t size, const char *hidden, const struct fuzz_log *shown)
{
    char *copy = fuzz_copy(query->at, query->len);
    char *out = malloc(size);

    CHECK(out != NULL);
    memset(out, 'Q', size);
    query_mask((struct span){copy, query->len}, out, size);
    CHECK(memchr(out, '\0', size) != NULL);
    if (hidden != NULL)
        CHECK(strstr(out, hidden) == NULL);
    if (shown != NULL && shown->len < size)
        CHECK(strlen(out) == shown->len && memcmp(out, shown->at, shown->len) == 0);
    if (!http1_query_valid((struct span){copy, query->len}))
        CHECK(strcmp(out, "***") == 0);
    free(out);
    free(copy);
}

static void
check_hidden(const struct fuzz *rest, size_t before, const char *key, const uint8_t how[16],
             size_t size)
{
    struct fuzz_log query = {0};

    fuzz_log(&query, rest->at, before);
    fuzz_log(&query, "&", 1);
    spell(&query, key, how);
    fuzz_log(&query, "=" SECRET "&", 2 + strlen(SECRET));
    fuzz_log(&query, rest->at + before, rest->len - before);
    check(&query, size, SECRET, NULL);
    free(query.at);
}

/* k=PIECE: whatever is of harmless characters comes out as it is. */
static void
check_shown(const struct fuzz *rest, size_t size)
{
    struct fuzz_log query = {0};

    if (rest->len > 14 || !is_plain(rest->at, rest->len))
        return;
    fuzz_log(&query, "k=", 2);
    fuzz_log(&query, rest->at, rest->len);
    check(&query, size, NULL, &query);
    free(query.at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    const char *key = keys[fuzz_byte(&in) % (sizeof keys / sizeof *keys)];
    uint8_t how[16];
    size_t size, before;
    struct fuzz_log whole = {0};

    for (size_t i = 0; i < sizeof how; i++)
        how[i] = fuzz_byte(&in);
    size = 4 + 4 * (size_t)fuzz_byte(&in);
    before = in.len > 2 ? fuzz_u16(&in) % (in.len + 1) : 0;
    if (before > in.len)
        before = in.len;
    if (memmem(in.at, in.len, SECRET, strlen(SECRET)) != NULL)
        return 0;
    check_hidden(&in, before, key, how, size);
    check_shown(&in, size);
    fuzz_log(&whole, in.at, in.len);
    check(&whole, size, NULL, NULL);
    free(whole.at);
    return 0;
}
