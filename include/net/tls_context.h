/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_context -- what the server's and the client's OpenSSL contexts have in common. Only for the
 * files of tls.
 */
#ifndef CULVERT_NET_TLS_CONTEXT_H
#define CULVERT_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stddef.h>

enum {
    TLS_REASON = 160, /* bytes that hold any reason, NUL included */
};

/* With the options and modes of tls.h, TLS 1.2 at least. NULL without memory. */
SSL_CTX *tls_context_new(const SSL_METHOD *method);

/* The certificates of a PEM file (NULL: the system's) as trust anchors. NULL: see
 * tls_context_reason(). */
X509_STORE *tls_context_anchors(const char *path);

/* The first of OpenSSL's errors, in words. Clears the error queue. */
void tls_context_reason(char *out, size_t size);

#endif
