/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_server -- one context for each [tls] section, and the choice among them by SNI. Only for
 * tls.c; the rules are in tls.h.
 */
#ifndef CULVERT_NET_TLS_SERVER_H
#define CULVERT_NET_TLS_SERVER_H

#include <openssl/ssl.h>
#include <stdint.h>
#include <time.h>

struct conf;
struct conf_report;
struct tls_server;

enum {
    TLS_TICKET_KEYS = 80, /* bytes, as SSL_CTX_set_tlsext_ticket_keys() takes them */
};

/* conf has at least one [tls] section, and outlives the server. NULL with mistakes reported. */
struct tls_server *tls_server_new(const struct conf *conf, struct conf_report *report);
void tls_server_free(struct tls_server *server);

void tls_server_set_tickets(struct tls_server *server, const uint8_t keys[TLS_TICKET_KEYS]);

/* Of the certificate of conf's tls[index]; 0: not known. */
time_t tls_server_expiry(const struct tls_server *server, size_t index);

/* In accept state. NULL without memory. */
SSL *tls_server_accept(struct tls_server *server);

#endif
