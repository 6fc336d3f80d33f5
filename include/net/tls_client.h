/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_client -- one context for each route whose target is TLS, or a map that may lead there. Only for tls.c; the rules are in
 * tls.h.
 */
#ifndef CULVERT_NET_TLS_CLIENT_H
#define CULVERT_NET_TLS_CLIENT_H

#include <openssl/ssl.h>
#include <stddef.h>

struct conf;
struct conf_report;
struct tls_clients;

/* NULL with mistakes reported. */
struct tls_clients *tls_clients_new(const struct conf *conf, struct conf_report *report);
void tls_clients_free(struct tls_clients *clients);

/* In connect state, for a route with a TLS target. NULL without memory. */
SSL *tls_clients_connect(struct tls_clients *clients, size_t route_index);

/* The same for a route with a map. */
SSL *tls_clients_connect_to(struct tls_clients *clients, size_t route_index, const char *host);

#endif
