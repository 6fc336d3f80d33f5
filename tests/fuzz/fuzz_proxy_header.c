/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PROXY header: whole, cut in two and byte by byte; what is taken is built again, in both
 * versions, and read back. Input: options, where to cut, the header.
 */
#include <netinet/in.h>

#include "fuzz.h"
#include "proto/proxy_header.h"

struct parsed {
    struct proxy_header_parser parser;
    enum proxy_header_result result;
    size_t used;
};

static struct parsed
parse(struct fuzz in, size_t first, size_t step)
{
    struct parsed out = {.result = PROXY_HEADER_MORE};
    size_t len = first, used;

    proxy_header_init(&out.parser);
    while (out.used < in.len && out.result == PROXY_HEADER_MORE) {
        uint8_t *piece;

        len = len < in.len - out.used ? len : in.len - out.used;
        piece = fuzz_copy(in.at + out.used, len);
        out.result = proxy_header_parse(&out.parser, piece, len, &used);
        free(piece);
        CHECK(used <= len && (out.result != PROXY_HEADER_MORE || used == len));
        out.used += used;
        len = step;
    }
    CHECK(out.used <= PROXY_HEADER_READ_MAX);
    CHECK(out.result != PROXY_HEADER_ERROR || out.parser.why != NULL);
    return out;
}

static bool
same_header(const struct proxy_header *a, const struct proxy_header *b)
{
    return a->local == b->local && a->source_len == b->source_len &&
           a->destination_len == b->destination_len &&
           memcmp(&a->source, &b->source, sizeof a->source) == 0 &&
           memcmp(&a->destination, &b->destination, sizeof a->destination) == 0;
}

static void
check_same(const struct parsed *a, const struct parsed *b)
{
    CHECK(a->result == b->result);
    if (a->result == PROXY_HEADER_ERROR)
        CHECK(strcmp(a->parser.why, b->parser.why) == 0);
    if (a->result != PROXY_HEADER_DONE)
        return;
    CHECK(a->used == b->used);
    CHECK(same_header(&a->parser.header, &b->parser.header));
}

static bool
is_mapped(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 in6;

    memcpy(&in6, address, sizeof in6);
    return address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
}

static void
check_built(const struct proxy_header *header)
{
    char line[PROXY_HEADER_V1_MAX];
    uint8_t block[PROXY_HEADER_V2_MAX];
    size_t len = proxy_header_build_v1(header, line);
    struct parsed back;
    int family = header->source.ss_family;

    CHECK(family == header->destination.ss_family);
    CHECK(header->local == (family == AF_UNSPEC));
    CHECK(len <= sizeof line);
    back = parse((struct fuzz){(const uint8_t *)line, len}, len, 1);
    CHECK(back.result == PROXY_HEADER_DONE && back.used == len);
    CHECK(back.parser.header.local == (family == AF_UNSPEC || family == AF_UNIX));
    /* Mapped addresses come back as IPv4. */
    if (!back.parser.header.local &&
        !(is_mapped(&header->source) && is_mapped(&header->destination)))
        CHECK(same_header(&back.parser.header, header));
    len = proxy_header_build_v2(header, block);
    CHECK(len <= sizeof block);
    back = parse((struct fuzz){block, len}, len, 1);
    CHECK(back.result == PROXY_HEADER_DONE && back.used == len);
    if (!(is_mapped(&header->source) && is_mapped(&header->destination)))
        CHECK(same_header(&back.parser.header, header));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t starts[][16] = {"PROXY TCP4 ", "PROXY TCP6 ", "PROXY ",
                                         "\r\n\r\n\0\r\nQUIT\n"};
    static const size_t lens[] = {11, 11, 6, 12};
    struct fuzz in = {data, len};
    unsigned start = fuzz_byte(&in) % 5;
    size_t cut = fuzz_u16(&in);
    struct fuzz_log head = {0};
    struct parsed whole, parts;
    struct fuzz all;

    /* How they begin is not for luck to find. */
    if (start < 4)
        fuzz_log(&head, starts[start], lens[start]);
    fuzz_log(&head, in.at, in.len);
    all = (struct fuzz){head.at, head.len};
    whole = parse(all, all.len, 1);
    parts = parse(all, all.len ? cut % all.len : 0, all.len);
    check_same(&whole, &parts);
    parts = parse(all, 1, 1);
    check_same(&whole, &parts);
    if (whole.result == PROXY_HEADER_DONE)
        check_built(&whole.parser.header);
    free(head.at);
    return 0;
}
