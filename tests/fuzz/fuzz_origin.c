/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Origins: what is taken holds nothing that could be read in two ways, and comes back if written
 * again; the same host is one that gives the same origin behind the same scheme. Input: options,
 * the Origin's length, the Origin, the Host.
 */
#include "fuzz.h"
#include "guard/origin.h"

static struct origin
parse_again(const char *scheme, struct span host, enum origin_result *result)
{
    struct fuzz_log text = {0};
    struct origin origin;
    char *copy;

    fuzz_log(&text, scheme, strlen(scheme));
    fuzz_log(&text, "://", 3);
    fuzz_log(&text, host.at, host.len);
    copy = fuzz_copy(text.at, text.len);
    *result = origin_parse((struct span){copy, text.len}, &origin);
    free(copy);
    free(text.at);
    return origin;
}

static void
check_taken(struct span text, const struct origin *origin)
{
    enum origin_result result;
    struct origin again;
    char host[ORIGIN_MAX + 64];

    CHECK(text.len <= ORIGIN_MAX && strlen(origin->scheme) > 0 && strlen(origin->host) > 0);
    CHECK(!memchr(text.at, '@', text.len) && !memchr(text.at, ',', text.len));
    CHECK(!memchr(text.at, ' ', text.len) && !memchr(text.at, '\0', text.len));
    CHECK(text.at[text.len - 1] != '/' && text.at[text.len - 1] != '.');
    for (const char *c = origin->host; *c; c++)
        CHECK((*c < 'A' || *c > 'Z') && *c > ' ' && *c < 0x7f);
    snprintf(host, sizeof host, origin->port ? "%s:%u" : "%s", origin->host, origin->port);
    again = parse_again(origin->scheme, (struct span){host, strlen(host)}, &result);
    /* With its port it may have become too long. */
    if (result == ORIGIN_ALLOWED)
        CHECK(origin_equal(origin, &again));
    else
        CHECK(result == ORIGIN_LONG || strlen(host) > 250);
}

static bool
is_web(const char *scheme)
{
    return strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0 ||
           strcmp(scheme, "ws") == 0 || strcmp(scheme, "wss") == 0;
}

static void
check_policies(struct http1_request *request, const struct origin *origin,
               enum origin_result parsed, struct span host)
{
    struct origin_policy policy = {.mode = ORIGIN_MODE_ANY, .listed = origin, .n_listed = 1};
    enum origin_result result, again;
    struct origin other;

    CHECK(origin_check(&policy, request, host) == parsed);
    policy.mode = ORIGIN_MODE_LIST;
    CHECK(origin_check(&policy, request, host) == parsed);
    policy.n_listed = 0;
    result = origin_check(&policy, request, host);
    CHECK(result == (parsed == ORIGIN_ALLOWED ? ORIGIN_NOT_LISTED : parsed));
    policy.mode = ORIGIN_MODE_SAME;
    result = origin_check(&policy, request, host);
    if (parsed != ORIGIN_ALLOWED) {
        CHECK(result == parsed);
        return;
    }
    other = parse_again(origin->scheme, host, &again);
    if (again == ORIGIN_LONG)
        return;
    if (is_web(origin->scheme) && again == ORIGIN_ALLOWED && origin_equal(origin, &other))
        CHECK(result == ORIGIN_ALLOWED);
    else
        CHECK(result == ORIGIN_OTHER_HOST);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct http1_request *request = calloc(1, sizeof *request);
    struct fuzz in = {data, len};
    unsigned options = fuzz_byte(&in);
    size_t n = fuzz_u16(&in);
    struct origin origin;
    enum origin_result result;
    char *text, *host;

    CHECK(request != NULL);
    n = in.len ? n % (in.len + 1) : 0;
    text = fuzz_copy(in.at, n);
    host = fuzz_copy(in.at + n, in.len - n);
    result = origin_parse((struct span){text, n}, &origin);
    if (result == ORIGIN_ALLOWED)
        check_taken((struct span){text, n}, &origin);
    request->headers[0].name = (struct span){"Origin", 6};
    request->headers[0].value = (struct span){text, n};
    request->n_headers = 1;
    /* Half of the time the Origin's own host. */
    if (options % 2 && result == ORIGIN_ALLOWED) {
        struct span own = {origin.host, strlen(origin.host)};

        check_policies(request, &origin, result, own);
    } else {
        check_policies(request, &origin, result, (struct span){host, in.len - n});
    }
    free(text);
    free(host);
    free(request);
    return 0;
}
