/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire -- a client's connection to the server under test: raw TCP or WebSocket, plain or TLS,
 * non-blocking.
 *
 * Thread:    one.
 * Lifetime:  wire_connect() to wire_close(), then it may connect again.
 * Ownership: borrows the options and their TLS context.
 * Errors:    values below; the caller decides what they mean.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_protocol {
    WIRE_RAW,     /* messages are just bytes */
    WIRE_UPGRADE, /* the handshake of a WebSocket, then just bytes: for proxies that pass them on */
    WIRE_WS,      /* frames (RFC 6455), masked */
};

enum wire_state {
    WIRE_CONNECTING,
    WIRE_SECURING,
    WIRE_UPGRADING,
    WIRE_OPEN,
};

enum {
    WIRE_AGAIN = -1, /* the socket has or takes nothing now */
    WIRE_ENDED = -2, /* FIN, a reset, an answer that is not 101, or bytes that are not expected */
    WIRE_OVERHEAD = 14,
};

struct wire_options {
    uint16_t port; /* of 127.0.0.1 */
    enum wire_protocol protocol;
    SSL_CTX *tls; /* NULL: plain */
    const char *path;
    const char *subprotocol; /* that is offered, or NULL */
    const uint8_t *expected; /* payload that has to come, round and round; NULL: whatever comes */
    size_t expected_len;
    int receive_buffer; /* 0: the system's */
};

struct wire {
    int fd;
    SSL *ssl;
    enum wire_state state;
    const struct wire_options *options;
    unsigned head_matched; /* bytes of the blank line that ends the 101 */
    bool head_begun;
    uint64_t left; /* of the current frame's payload */
    uint8_t opcode;
    uint8_t header[10];
    unsigned header_len;
    size_t expected_at;
    unsigned n_pings; /* that came and were not answered: they are empty */
};

/* source picks one of the addresses 127.0.0.2 and up, so that ports last. 0, or -1 with errno. */
int wire_connect(struct wire *wire, const struct wire_options *options, unsigned source);
void wire_close(struct wire *wire);

/* After an event, until the state is WIRE_OPEN. 0, or WIRE_ENDED. */
int wire_advance(struct wire *wire);

/* Bytes taken, WIRE_AGAIN or WIRE_ENDED. */
ssize_t wire_send(struct wire *wire, const void *data, size_t len);

/* Reads once; data is scratch of len bytes. Payload bytes, perhaps 0, or WIRE_AGAIN or WIRE_ENDED. Where
 * there are no frames they are those at the beginning of data. */
ssize_t wire_receive(struct wire *wire, void *data, size_t len);

/* Whether there is more that no event will tell. */
bool wire_has_more(const struct wire *wire);

/* Writes a message, a Close with code 1000 or an empty PONG to out, which has len + WIRE_OVERHEAD bytes.
 * Returns its size on the wire. */
size_t wire_message(enum wire_protocol protocol, uint8_t *out, size_t len);
size_t wire_goodbye(uint8_t *out);
size_t wire_pong(uint8_t *out);

#endif
