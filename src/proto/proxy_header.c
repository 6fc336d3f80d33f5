/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser collects a header piece by piece, up to `want`, and each complete piece says what the
 * next one is:
 *
 *     first byte ─ 'P' ─→ LINE, until its \n
 *                └ '\r' → FIXED (16) ─→ ADDRESSES (12, 36, 216) ─→ FIELD (3) ⇄ VALUE (skipped)
 *                                    └→ BLOCK (skipped): LOCAL and what is not known
 */
#include "proto/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

enum state {
    FIRST,
    LINE,
    FIXED,
    ADDRESSES,
    FIELD, /* type and length */
    VALUE,
    BLOCK,
};

enum {
    FIXED_LEN = 16,
    FIELD_LEN = 3,
    PATH_LEN = 108,
    VERSION_LOCAL = 0x20,
    VERSION_PROXY = 0x21,
    FAMILY_NONE = 0x0,
    FAMILY_IP4 = 0x1,
    FAMILY_IP6 = 0x2,
    FAMILY_UNIX = 0x3,
    STREAM = 0x1,
    DATAGRAM = 0x2,
};

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                      '\n', 'Q',  'U',  'I',  'T',  '\n'};
static const char line_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == PATH_LEN, "a path as on the wire");

static enum proxy_header_result
fail(struct proxy_header_parser *parser, const char *why)
{
    parser->why = why;
    return PROXY_HEADER_ERROR;
}

static void
expect(struct proxy_header_parser *parser, enum state state, size_t want)
{
    parser->state = state;
    parser->want = (uint16_t)want;
    parser->len = 0;
}

/* ---- addresses ---- */

static socklen_t
set_ip4(struct sockaddr_storage *to, const uint8_t *ip, unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(to, &in, sizeof in);
    return sizeof in;
}

static socklen_t
set_ip6(struct sockaddr_storage *to, const uint8_t *ip, unsigned port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    memcpy(&in6.sin6_addr, ip, sizeof in6.sin6_addr);
    memcpy(to, &in6, sizeof in6);
    return sizeof in6;
}

/* A path ends at its NUL, if it has one. An abstract name, which begins with NUL, has lost its
 * length: it ends before the zeros that fill the field. */
static socklen_t
set_path(struct sockaddr_storage *to, const uint8_t *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = PATH_LEN;

    if (path[0] != '\0')
        len = strnlen((const char *)path, PATH_LEN);
    while (len > 0 && path[len - 1] == '\0')
        len--;
    memcpy(un.sun_path, path, len);
    memcpy(to, &un, sizeof un);
    if (len > 0 && path[0] != '\0' && len < PATH_LEN)
        len++;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static unsigned
read_16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* ---- version 1 ---- */

/* The next word of the line, without its space. */
static bool
take_word(const char **at, const char *end, char *word, size_t size)
{
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((space ? space : end) - *at);

    /* A NUL would end the word before its end. */
    if (len == 0 || len >= size || memchr(*at, '\0', len))
        return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    *at = space ? space + 1 : end;
    /* A space has a word behind it. */
    return !space || *at < end;
}

static bool
read_port(const char *word, unsigned *port)
{
    size_t len = strlen(word);

    *port = 0;
    if (len > 5 || (len > 1 && word[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9')
            return false;
        *port = *port * 10 + (unsigned)(word[i] - '0');
    }
    return *port <= 65535;
}

static bool
read_endpoints(struct proxy_header *header, int family, const char *at, const char *end)
{
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], word[8];
    uint8_t from[16], to[16];
    unsigned from_port, to_port;

    if (!take_word(&at, end, source, sizeof source) ||
        !take_word(&at, end, destination, sizeof destination) ||
        inet_pton(family, source, from) != 1 || inet_pton(family, destination, to) != 1)
        return false;
    if (!take_word(&at, end, word, sizeof word) || !read_port(word, &from_port) ||
        !take_word(&at, end, word, sizeof word) || !read_port(word, &to_port) || at != end)
        return false;
    if (family == AF_INET) {
        header->source_len = set_ip4(&header->source, from, from_port);
        header->destination_len = set_ip4(&header->destination, to, to_port);
    } else {
        header->source_len = set_ip6(&header->source, from, from_port);
        header->destination_len = set_ip6(&header->destination, to, to_port);
    }
    return true;
}

/* The line, which begins with "PROXY ", without its CRLF. */
static bool
read_line(struct proxy_header *header, const char *line, size_t len)
{
    const char *at = line + sizeof line_start, *end = line + len;
    char protocol[8];

    if (end - at >= 7 && memcmp(at, "UNKNOWN", 7) == 0) {
        header->local = true;
        return end - at == 7 || at[7] == ' ';
    }
    if (!take_word(&at, end, protocol, sizeof protocol))
        return false;
    if (strcmp(protocol, "TCP4") == 0)
        return read_endpoints(header, AF_INET, at, end);
    if (strcmp(protocol, "TCP6") == 0)
        return read_endpoints(header, AF_INET6, at, end);
    return false;
}

static enum proxy_header_result
parse_line(struct proxy_header_parser *parser, const uint8_t *data, size_t len, size_t *used)
{
    size_t at = 0;

    while (at < len) {
        uint8_t byte = data[at++];
        bool after_cr = parser->len > 0 && parser->piece[parser->len - 1] == '\r';

        *used = at;
        if (parser->len < sizeof line_start && byte != (uint8_t)line_start[parser->len])
            return fail(parser, "no PROXY header");
        if ((byte == '\n') != after_cr)
            return fail(parser, "PROXY line not ended by CRLF");
        parser->piece[parser->len++] = byte;
        if (byte == '\n')
            return read_line(&parser->header, (const char *)parser->piece, parser->len - 2u)
                       ? PROXY_HEADER_DONE
                       : fail(parser, "malformed PROXY line");
        if (parser->len == PROXY_HEADER_V1_MAX)
            return fail(parser, "PROXY line too long");
    }
    return PROXY_HEADER_MORE;
}

/* ---- version 2 ---- */

/* Takes n bytes off what the header still has, for the next piece. */
static bool
expect_of_rest(struct proxy_header_parser *parser, enum state state, size_t n)
{
    if (n > parser->left)
        return false;
    parser->left -= (uint16_t)n;
    expect(parser, state, n);
    return true;
}

static enum proxy_header_result
next_field(struct proxy_header_parser *parser)
{
    if (parser->left == 0)
        return PROXY_HEADER_DONE;
    if (!expect_of_rest(parser, FIELD, FIELD_LEN))
        return fail(parser, "PROXY header with a field cut short");
    return PROXY_HEADER_MORE;
}

static size_t
addresses_len(unsigned family)
{
    if (family == FAMILY_IP4)
        return 2 * 4 + 2 * 2;
    return family == FAMILY_IP6 ? 2 * 16 + 2 * 2 : 2 * PATH_LEN;
}

static enum proxy_header_result
read_fixed(struct proxy_header_parser *parser)
{
    unsigned command = parser->piece[12];
    unsigned family = parser->piece[13] >> 4, protocol = parser->piece[13] & 0xf;

    parser->left = (uint16_t)read_16(parser->piece + 14);
    if (command != VERSION_LOCAL && command != VERSION_PROXY)
        return fail(parser, "PROXY header of an unknown version or command");
    if (FIXED_LEN + parser->left > PROXY_HEADER_READ_MAX)
        return fail(parser, "PROXY header too long");
    /* The family of LOCAL is to be ignored, whatever it is. */
    if (command == VERSION_PROXY && (family > FAMILY_UNIX || protocol > DATAGRAM))
        return fail(parser, "PROXY header of an unknown family or protocol");
    if (command == VERSION_LOCAL || family == FAMILY_NONE || protocol != STREAM) {
        parser->header.local = true;
        return expect_of_rest(parser, BLOCK, parser->left) ? PROXY_HEADER_MORE : PROXY_HEADER_ERROR;
    }
    if (!expect_of_rest(parser, ADDRESSES, addresses_len(family)))
        return fail(parser, "PROXY header too short for its addresses");
    return PROXY_HEADER_MORE;
}

/* Their family follows from their length. */
static enum proxy_header_result
read_addresses(struct proxy_header_parser *parser)
{
    struct proxy_header *header = &parser->header;
    const uint8_t *at = parser->piece;

    if (parser->want == addresses_len(FAMILY_IP4)) {
        header->source_len = set_ip4(&header->source, at, read_16(at + 8));
        header->destination_len = set_ip4(&header->destination, at + 4, read_16(at + 10));
    } else if (parser->want == addresses_len(FAMILY_IP6)) {
        header->source_len = set_ip6(&header->source, at, read_16(at + 32));
        header->destination_len = set_ip6(&header->destination, at + 16, read_16(at + 34));
    } else {
        header->source_len = set_path(&header->source, at);
        header->destination_len = set_path(&header->destination, at + PATH_LEN);
    }
    return next_field(parser);
}

/* The current piece is complete. */
static enum proxy_header_result
advance(struct proxy_header_parser *parser)
{
    switch ((enum state)parser->state) {
    case FIXED:
        return read_fixed(parser);
    case ADDRESSES:
        return read_addresses(parser);
    case FIELD:
        if (!expect_of_rest(parser, VALUE, read_16(parser->piece + 1)))
            return fail(parser, "PROXY header with a field cut short");
        return PROXY_HEADER_MORE;
    case VALUE:
        return next_field(parser);
    case BLOCK:
        return PROXY_HEADER_DONE;
    case FIRST:
    case LINE:
        break;
    }
    return fail(parser, "no PROXY header");
}

static bool
is_skipped(const struct proxy_header_parser *parser)
{
    return parser->state == VALUE || parser->state == BLOCK;
}

static enum proxy_header_result
parse_binary(struct proxy_header_parser *parser, const uint8_t *data, size_t len, size_t *used)
{
    enum proxy_header_result result = PROXY_HEADER_MORE;
    size_t at = 0;

    while (result == PROXY_HEADER_MORE) {
        size_t n = parser->want - parser->len, known;

        if (n > len - at)
            n = len - at;
        if (!is_skipped(parser) && n > 0)
            memcpy(parser->piece + parser->len, data + at, n);
        parser->len += (uint16_t)n;
        at += n;
        *used = at;
        known = parser->len < sizeof signature ? parser->len : sizeof signature;
        if (parser->state == FIXED && memcmp(parser->piece, signature, known) != 0)
            return fail(parser, "no PROXY header");
        if (parser->len < parser->want)
            return PROXY_HEADER_MORE;
        result = advance(parser);
    }
    return result;
}

void
proxy_header_init(struct proxy_header_parser *parser)
{
    memset(parser, 0, sizeof *parser);
}

enum proxy_header_result
proxy_header_parse(struct proxy_header_parser *parser, const void *data, size_t len, size_t *used)
{
    const uint8_t *bytes = data;

    *used = 0;
    if (len == 0)
        return PROXY_HEADER_MORE;
    if (parser->state == FIRST && bytes[0] == signature[0])
        expect(parser, FIXED, FIXED_LEN);
    else if (parser->state == FIRST)
        expect(parser, LINE, 0);
    return parser->state == LINE ? parse_line(parser, bytes, len, used)
                                 : parse_binary(parser, bytes, len, used);
}
