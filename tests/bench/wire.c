/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xa,
    SOURCES = 16,
};

/* ---- connecting ---- */

int
wire_connect(struct wire *wire, const struct wire_options *options, unsigned source)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
    int one = 1;

    memset(wire, 0, sizeof *wire);
    wire->options = options;
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0)
        return -1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source % SOURCES);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(options->port);
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(wire->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (options->receive_buffer > 0)
        setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer, sizeof(int));
    if (bind(wire->fd, (struct sockaddr *)&from, sizeof from) < 0)
        return -1;
    if (connect(wire->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        return -1;
    return 0;
}

void
wire_close(struct wire *wire)
{
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    close(wire->fd);
    wire->fd = -1;
}

static int
secure(struct wire *wire)
{
    int result = SSL_connect(wire->ssl);
    int error = SSL_get_error(wire->ssl, result);

    if (result == 1)
        return 1;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : WIRE_ENDED;
}

static int
ask_for_upgrade(struct wire *wire)
{
    const char *subprotocol = wire->options->subprotocol;
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\n"
                       "Host: localhost\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "%s%s%s"
                       "\r\n",
                       wire->options->path, subprotocol != NULL ? "Sec-WebSocket-Protocol: " : "",
                       subprotocol != NULL ? subprotocol : "", subprotocol != NULL ? "\r\n" : "");

    return wire_send(wire, request, (size_t)len) == len ? 0 : WIRE_ENDED;
}

int
wire_advance(struct wire *wire)
{
    uint8_t answer[4096];
    ssize_t n;
    int result;

    if (wire->state == WIRE_CONNECTING) {
        wire->state = WIRE_SECURING;
        if (wire->options->tls != NULL) {
            wire->ssl = SSL_new(wire->options->tls);
            if (wire->ssl == NULL || SSL_set_fd(wire->ssl, wire->fd) != 1)
                return WIRE_ENDED;
        }
    }
    if (wire->state == WIRE_SECURING) {
        result = wire->ssl != NULL ? secure(wire) : 1;
        if (result != 1)
            return result;
        wire->state = wire->options->protocol == WIRE_RAW ? WIRE_OPEN : WIRE_UPGRADING;
        return wire->state == WIRE_OPEN ? 0 : ask_for_upgrade(wire);
    }
    do
        n = wire_receive(wire, answer, sizeof answer);
    while (n >= 0 && wire_has_more(wire));
    return n == WIRE_ENDED ? WIRE_ENDED : 0;
}

/* ---- bytes ---- */

static ssize_t
tls_result(const struct wire *wire, int result)
{
    int error;

    if (result > 0)
        return result;
    error = SSL_get_error(wire->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WIRE_AGAIN : WIRE_ENDED;
}

ssize_t
wire_send(struct wire *wire, const void *data, size_t len)
{
    ssize_t n;

    if (wire->ssl != NULL)
        return tls_result(wire, SSL_write(wire->ssl, data, (int)len));
    n = send(wire->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    return errno == EAGAIN ? WIRE_AGAIN : WIRE_ENDED;
}

bool
wire_has_more(const struct wire *wire)
{
    return wire->ssl != NULL && SSL_pending(wire->ssl) > 0;
}

/* Consumes the 101. Returns bytes used, or WIRE_ENDED if it is another answer. */
static ssize_t
take_head(struct wire *wire, const uint8_t *data, size_t len)
{
    static const char blank[] = "\r\n\r\n";
    static const char good[] = "HTTP/1.1 101";
    size_t used = 0;

    if (!wire->head_begun && (len < sizeof good || memcmp(data, good, sizeof good - 1) != 0))
        return WIRE_ENDED;
    wire->head_begun = true;
    while (used < len && blank[wire->head_matched] != '\0') {
        bool next = data[used] == (uint8_t)blank[wire->head_matched];

        wire->head_matched = next ? wire->head_matched + 1 : data[used] == '\r';
        used++;
    }
    if (blank[wire->head_matched] == '\0')
        wire->state = WIRE_OPEN;
    return (ssize_t)used;
}

/* Takes one byte of a frame's header; at its last one, left is the payload's length. */
static void
take_header_byte(struct wire *wire, uint8_t byte)
{
    unsigned length, size;
    uint16_t len16;
    uint64_t len64;

    wire->header[wire->header_len++] = byte;
    if (wire->header_len < 2)
        return;
    length = wire->header[1] & 0x7f;
    size = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (wire->header_len < size)
        return;
    memcpy(&len16, wire->header + 2, sizeof len16);
    memcpy(&len64, wire->header + 2, sizeof len64);
    wire->left = size == 2 ? length : size == 4 ? be16toh(len16) : be64toh(len64);
    wire->opcode = wire->header[0] & 0x0f;
    wire->header_len = 0;
    wire->n_pings += wire->opcode == OPCODE_PING;
}

static bool
is_expected(struct wire *wire, const uint8_t *data, size_t len)
{
    const struct wire_options *options = wire->options;

    while (options->expected != NULL && len > 0) {
        size_t n = options->expected_len - wire->expected_at;

        if (n > len)
            n = len;
        if (memcmp(data, options->expected + wire->expected_at, n) != 0)
            return false;
        wire->expected_at = (wire->expected_at + n) % options->expected_len;
        data += n;
        len -= n;
    }
    return true;
}

/* Bytes of payload, or WIRE_ENDED. */
static ssize_t
count_payload(struct wire *wire, const uint8_t *data, size_t len)
{
    ssize_t payload = 0;

    while (len > 0) {
        size_t n = len < wire->left ? len : (size_t)wire->left;

        if (wire->left == 0) {
            take_header_byte(wire, *data);
            data++;
            len--;
            continue;
        }
        if (wire->opcode <= OPCODE_BINARY) {
            payload += (ssize_t)n;
            if (!is_expected(wire, data, n))
                return WIRE_ENDED;
        }
        wire->left -= n;
        data += n;
        len -= n;
    }
    return payload;
}

ssize_t
wire_receive(struct wire *wire, void *data, size_t len)
{
    ssize_t n, head = 0;

    if (wire->ssl != NULL)
        n = tls_result(wire, SSL_read(wire->ssl, data, (int)len));
    else if ((n = recv(wire->fd, data, len, 0)) < 0)
        n = errno == EAGAIN ? WIRE_AGAIN : WIRE_ENDED;
    else if (n == 0)
        n = WIRE_ENDED;
    if (n < 0)
        return n;
    if (wire->state == WIRE_UPGRADING && (head = take_head(wire, data, (size_t)n)) < 0)
        return head;
    n -= head;
    if (wire->options->protocol == WIRE_WS)
        return count_payload(wire, (const uint8_t *)data + head, (size_t)n);
    if (head > 0)
        memmove(data, (const uint8_t *)data + head, (size_t)n);
    return is_expected(wire, data, (size_t)n) ? n : WIRE_ENDED;
}

/* ---- messages ---- */

size_t
wire_message(enum wire_protocol protocol, uint8_t *out, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint16_t len16 = htobe16((uint16_t)len);
    uint64_t len64 = htobe64(len);
    size_t at = 0, i;

    if (protocol == WIRE_WS) {
        out[at++] = 0x80 | OPCODE_BINARY;
        out[at++] = 0x80 | (uint8_t)(len < 126 ? len : len <= UINT16_MAX ? 126 : 127);
        if (len > UINT16_MAX) {
            memcpy(out + at, &len64, sizeof len64);
            at += sizeof len64;
        } else if (len >= 126) {
            memcpy(out + at, &len16, sizeof len16);
            at += sizeof len16;
        }
        memcpy(out + at, key, sizeof key);
        at += sizeof key;
    }
    for (i = 0; i < len; i++)
        out[at + i] = (uint8_t)(protocol == WIRE_WS ? i ^ key[i % sizeof key] : i);
    return at + len;
}

size_t
wire_goodbye(uint8_t *out)
{
    static const uint8_t frame[] = {0x80 | OPCODE_CLOSE, 0x82, 0, 0, 0, 0, 0x03, 0xe8};

    memcpy(out, frame, sizeof frame);
    return sizeof frame;
}

size_t
wire_pong(uint8_t *out)
{
    static const uint8_t frame[] = {0x80 | OPCODE_PONG, 0x80, 0, 0, 0, 0};

    memcpy(out, frame, sizeof frame);
    return sizeof frame;
}
