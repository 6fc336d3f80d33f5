/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwarded addresses: once the client is found, nothing further left makes a difference; a trusted
 * proxy more on the right makes none either. Input: options, where the value is cut into what the
 * client has sent and what proxies have added, the value.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fuzz.h"
#include "guard/networks.h"
#include "proto/forwarded.h"

struct found {
    enum forwarded_result result;
    struct sockaddr_storage client;
};

struct input {
    struct http1_request request;
    struct networks *trusted;
    struct sockaddr_storage peer;
};

static struct sockaddr_storage
ip4(const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_storage out;

    memset(&out, 0, sizeof out);
    CHECK(inet_pton(AF_INET, ip, &in.sin_addr) == 1);
    memcpy(&out, &in, sizeof in);
    return out;
}

/* The line's value is a copy of its own, to be freed by clear(). */
static void
add(struct input *input, const char *name, const struct fuzz_log *value)
{
    struct http1_header *header = &input->request.headers[input->request.n_headers++];

    header->name = (struct span){name, strlen(name)};
    header->value = (struct span){fuzz_copy(value->at, value->len), value->len};
}

static void
clear(struct input *input)
{
    for (unsigned i = 0; i < input->request.n_headers; i++) {
        const void *at = input->request.headers[i].value.at;
        void *copy;

        memcpy(&copy, &at, sizeof copy);
        free(copy);
    }
    input->request.n_headers = 0;
}

static struct found
ask(struct input *input)
{
    struct found out;

    out.result = forwarded_client(&input->request, &input->peer, input->trusted, networks_contain,
                                  &out.client);
    clear(input);
    if (out.result == FORWARDED_PEER)
        CHECK(memcmp(&out.client, &input->peer, sizeof out.client) == 0);
    else
        CHECK(out.client.ss_family == AF_INET || out.client.ss_family == AF_INET6);
    if (out.result == FORWARDED_STOPPED)
        CHECK(networks_contain(input->trusted, (const struct sockaddr *)&out.client));
    return out;
}

static struct fuzz_log
joined(const void *a, size_t a_len, const char *between, const void *b, size_t b_len)
{
    struct fuzz_log out = {0};

    fuzz_log(&out, a, a_len);
    fuzz_log(&out, between, strlen(between));
    fuzz_log(&out, b, b_len);
    return out;
}

static void
check_same(const struct found *a, const struct found *b)
{
    CHECK(a->result == b->result);
    CHECK(memcmp(&a->client, &b->client, sizeof a->client) == 0);
}

/* What was added alone, behind what the client has sent, and with one proxy more. */
static void
check_walk(struct input *input, const char *name, struct fuzz sent, struct fuzz added)
{
    bool plain = strcmp(name, "Forwarded") != 0;
    struct fuzz_log alone = joined(NULL, 0, "", added.at, added.len);
    struct fuzz_log both = joined(sent.at, sent.len, ",", added.at, added.len);
    const char *proxy = plain ? ", 10.9.9.9" : ", for=\"10.9.9.9\";host=\"a,\\\"b\"";
    struct fuzz_log more = joined(added.at, added.len, proxy, NULL, 0);
    struct fuzz_log before = joined(NULL, 0, "", sent.at, sent.len);
    struct found first, second;

    add(input, name, &alone);
    first = ask(input);
    if (first.result == FORWARDED_FOUND &&
        !networks_contain(input->trusted, (const struct sockaddr *)&first.client)) {
        add(input, name, &both);
        second = ask(input);
        check_same(&first, &second);
        add(input, name, &before);
        add(input, name, &alone);
        second = ask(input);
        check_same(&first, &second);
        add(input, name, &more);
        second = ask(input);
        check_same(&first, &second);
    }
    free(alone.at);
    free(both.at);
    free(more.at);
    free(before.at);
}

/* Either header alone has led at least as far as both together. */
static void
check_both(struct input *input, struct fuzz plain, struct fuzz standard)
{
    struct fuzz_log a = joined(NULL, 0, "", plain.at, plain.len);
    struct fuzz_log b = joined(NULL, 0, "", standard.at, standard.len);
    struct found first, both;

    add(input, "X-Forwarded-For", &a);
    first = ask(input);
    add(input, "X-Forwarded-For", &a);
    add(input, "Forwarded", &b);
    both = ask(input);
    if (both.result == FORWARDED_FOUND)
        CHECK(first.result != FORWARDED_PEER);
    if (both.result == FORWARDED_FOUND &&
        !networks_contain(input->trusted, (const struct sockaddr *)&both.client)) {
        CHECK(first.result == FORWARDED_FOUND);
        CHECK(both.client.ss_family == first.client.ss_family);
    }
    free(a.at);
    free(b.at);
}

static void
check_others(struct input *input, struct fuzz value)
{
    struct fuzz_log copy = joined(NULL, 0, "", value.at, value.len);
    struct span host;

    add(input, "X-Forwarded-Host", &copy);
    add(input, "X-Forwarded-Proto", &copy);
    if (forwarded_host(&input->request, &host) == 1)
        CHECK(http1_is_host(host));
    forwarded_proto(&input->request);
    clear(input);
    free(copy.at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct input input;
    struct fuzz in = {data, len}, sent, added;
    struct networks_error error;
    size_t cut;

    if (!input.trusted)
        input.trusted = networks_parse("10.0.0.0/8, fd00::/8", &error);
    CHECK(input.trusted != NULL);
    input.peer = ip4(fuzz_byte(&in) % 8 == 0 ? "192.0.2.99" : "10.0.0.1");
    cut = fuzz_u16(&in);
    cut = in.len ? cut % in.len : 0;
    sent = (struct fuzz){in.at, cut};
    added = (struct fuzz){in.at + cut, in.len - cut};
    check_walk(&input, "X-Forwarded-For", sent, added);
    check_walk(&input, "Forwarded", sent, added);
    check_both(&input, sent, added);
    check_others(&input, in);
    return 0;
}
