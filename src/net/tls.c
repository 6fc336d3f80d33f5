/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/tls.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/tls_client.h"
#include "net/tls_context.h"
#include "net/tls_server.h"

struct tls {
    atomic_uint references;
    struct tls_server *server; /* NULL: no [tls] section */
    struct tls_clients *clients;
    /* Kept here, as OpenSSL does not give them back, for the next configuration. */
    uint8_t ticket_keys[TLS_TICKET_KEYS];
};

static void
set_tickets(struct tls *tls)
{
    if (tls->server != NULL)
        tls_server_set_tickets(tls->server, tls->ticket_keys);
}

struct tls *
tls_new(const struct conf *conf, struct conf_report *report)
{
    struct tls *tls = calloc(1, sizeof *tls);

    if (tls == NULL || RAND_priv_bytes(tls->ticket_keys, sizeof tls->ticket_keys) != 1) {
        conf_report_add(report, 0, "out of memory or random bytes");
        free(tls);
        return NULL;
    }
    atomic_init(&tls->references, 1);
    /* Both, so that all mistakes are reported at once. */
    if (conf->n_tls > 0)
        tls->server = tls_server_new(conf, report);
    tls->clients = tls_clients_new(conf, report);
    if ((conf->n_tls > 0 && tls->server == NULL) || tls->clients == NULL) {
        tls_unref(tls);
        return NULL;
    }
    set_tickets(tls);
    return tls;
}

struct tls *
tls_ref(struct tls *tls)
{
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void
tls_unref(struct tls *tls)
{
    if (tls == NULL)
        return;
    if (atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
        return;
    tls_server_free(tls->server);
    tls_clients_free(tls->clients);
    OPENSSL_cleanse(tls->ticket_keys, sizeof tls->ticket_keys);
    free(tls);
}

void
tls_keep_tickets(struct tls *tls, const struct tls *previous)
{
    memcpy(tls->ticket_keys, previous->ticket_keys, sizeof tls->ticket_keys);
    set_tickets(tls);
}

SSL *
tls_accept(struct tls *tls)
{
    SSL *ssl = tls->server != NULL ? tls_server_accept(tls->server) : NULL;

    /* Until its end: a handshake may be under way when the configuration is replaced. */
    if (ssl != NULL)
        SSL_set_app_data(ssl, tls_ref(tls));
    return ssl;
}

SSL *
tls_connect(struct tls *tls, size_t route_index)
{
    return tls_clients_connect(tls->clients, route_index);
}

SSL *
tls_connect_to(struct tls *tls, size_t route_index, const char *host)
{
    return tls_clients_connect_to(tls->clients, route_index, host);
}

void
tls_why(SSL *ssl, char *out, size_t size)
{
    int error = errno;
    unsigned long first = ERR_peek_error();
    char reason[TLS_REASON];
    long verified;

    if (first == 0) {
        snprintf(out, size, "%s", error != 0 ? strerror(error) : "connection closed");
        if (size > 0)
            out[0] = (char)tolower((unsigned char)out[0]);
        return;
    }
    tls_context_reason(reason, sizeof reason);
    verified = SSL_get_verify_result(ssl);
    if (ERR_GET_LIB(first) == ERR_LIB_SSL &&
        ERR_GET_REASON(first) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        snprintf(out, size, "%s: %s", reason, X509_verify_cert_error_string(verified));
    else
        snprintf(out, size, "%s", reason);
}

const char *
tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

void
tls_free(SSL *ssl)
{
    struct tls *tls = ssl != NULL ? SSL_get_app_data(ssl) : NULL;

    SSL_free(ssl);
    tls_unref(tls);
}
