/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_tls -- the reading and writing of a stream through OpenSSL. Only stream.c and stream_read.c use it.
 *
 * Results are counts, or one of STREAM_*; what OpenSSL needs the socket for before it can go on is
 * told in *want, so that the stream can watch for it.
 */
#ifndef CULVERT_NET_STREAM_TLS_H
#define CULVERT_NET_STREAM_TLS_H

#include <openssl/types.h>
#include <stddef.h>
#include <sys/types.h>

enum stream_want {
    STREAM_WANT_NOTHING,
    STREAM_WANT_READ,
    STREAM_WANT_WRITE,
};

ssize_t stream_tls_read(SSL *ssl, void *data, size_t len, enum stream_want *want);

/*
 * Writes at most BUF_BLOCK bytes. After STREAM_AGAIN the same bytes must be offered again first;
 * what is queued is in blocks of that size, so that the first block always holds at least the
 * record that OpenSSL has begun.
 */
ssize_t stream_tls_write(SSL *ssl, const void *data, size_t len, enum stream_want *want);

/* Returns 1 done, STREAM_AGAIN, STREAM_BROKEN. */
int stream_tls_handshake(SSL *ssl, enum stream_want *want);

/* Sends close_notify. Returns 1 sent, STREAM_AGAIN, STREAM_BROKEN. */
int stream_tls_shutdown(SSL *ssl, enum stream_want *want);

#endif
