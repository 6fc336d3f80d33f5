/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls -- OpenSSL contexts made from a configuration: one server side with certificates chosen by
 * SNI, and a client side per route.
 *
 * Thread:    made on the main thread; afterwards read by all workers.
 * Lifetime:  counted; whoever holds a reference may make connections of it. A client's connection
 *            holds one itself, as the certificate is chosen, by name, in mid-handshake.
 * Settings:  TLS 1.2 or 1.3 as configured, no renegotiation, no compression, ALPN http/1.1 (a
 *            client that offers ALPN without it is refused with no_application_protocol, RFC 7301
 *            section 3.2), session tickets with keys that all workers share (a ticket is worth
 *            nothing under another client_ca or client_verify; no other session cache, no early
 *            data), SSL_MODE_RELEASE_BUFFERS, ENABLE_PARTIAL_WRITE, ACCEPT_MOVING_WRITE_BUFFER.
 *            Clients that come with TLS 1.2 get ECDHE with AES-GCM or ChaCha20. A connection that
 *            ends without close_notify is a failure, not an ending.
 *
 * Certificates are chosen by SNI: the host itself, else *.host for exactly one label, else the
 * default one ([tls], or the first). client_ca, client_verify and min_version are the default one's
 * for all.
 */
#ifndef CULVERT_NET_TLS_H
#define CULVERT_NET_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct conf;
struct conf_report;
struct conf_route;
struct log;
struct tls;

enum {
    TLS_EXPIRY_SOON = 14, /* days */
};

/*
 * Reads and checks certificates, keys and CA files: a broken file, a key that does not belong to
 * its certificate or a certificate that has expired (a warning in the log is the caller's; here it
 * is accepted) … mistakes go to report with the key's line. Works for a configuration without any
 * TLS. Returns NULL with mistakes reported.
 */
struct tls *tls_new(const struct conf *conf, struct conf_report *report)
    __attribute__((warn_unused_result));
struct tls *tls_ref(struct tls *tls);
/* NULL is fine. */
void tls_unref(struct tls *tls);

/* On reload, before any connection is made of tls: the tickets that previous gave out stay good. */
void tls_keep_tickets(struct tls *tls, const struct tls *previous);

/* When the certificate of conf's tls[index] ends; 0: not known. */
time_t tls_expiry(const struct tls *tls, size_t index);

/* A warning for each certificate that has expired or will within TLS_EXPIRY_SOON days. conf is the
 * one that tls was made of. */
void tls_warn_expiry(const struct tls *tls, const struct conf *conf, struct log *log);

/* Of the library that is linked, e.g. "OpenSSL 3.0.15 3 Sep 2024". */
const char *tls_library_version(void);

/* A connection in accept state; NULL without memory or without a [tls] section. Not bound to a
 * descriptor yet. */
SSL *tls_accept(struct tls *tls);

/*
 * A connection in connect state for the target of routes[route_index] (CONF_TARGET_TLS, _MQTTS): SNI is
 * sent for names (not for numeric addresses), name or address and chain are verified unless
 * tls_verify = no. NULL without memory.
 */
SSL *tls_connect(struct tls *tls, size_t route_index);

/* The same for a target that a route with a map (CONF_TARGET_MAP) leads to: by its host, with the
 * route's tls_verify and tls_ca. */
SSL *tls_connect_to(struct tls *tls, size_t route_index, const char *host);

/* Ends a connection of either kind. NULL is fine. */
void tls_free(SSL *ssl);

/* Why the last operation on ssl failed, in a few words, e.g. "certificate verify failed:
 * self-signed certificate". To be called next after it, as errno is looked at if OpenSSL has
 * nothing to say. Clears the error queue. */
void tls_why(SSL *ssl, char *out, size_t size);

#endif
