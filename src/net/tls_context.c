/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/tls_context.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

SSL_CTX *
tls_context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (context == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* An openssl.cnf may say otherwise; a truncated stream must not look like one that ended. */
    SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* one read for a record, not one for its header first */
    /* The tickets carry the sessions; a cache would be memory per client. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

X509_STORE *
tls_context_anchors(const char *path)
{
    X509_STORE *store = X509_STORE_new();
    int loaded;

    if (store == NULL)
        return NULL;
    loaded = path != NULL ? X509_STORE_load_file(store, path) : X509_STORE_set_default_paths(store);
    if (loaded == 1)
        return store;
    X509_STORE_free(store);
    return NULL;
}

static const char *
text_of(unsigned long error)
{
    if (ERR_SYSTEM_ERROR(error))
        return strerror(
            ERR_GET_REASON(error)); /* safe with threads since glibc 2.32, and in musl */
    return ERR_reason_error_string(error);
}

void
tls_context_reason(char *out, size_t size)
{
    /* The last one is often no more than "PEM lib"; the first is the cause. */
    unsigned long error = ERR_get_error();
    int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
    const char *text = text_of(error);

    ERR_clear_error();
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && alert >= 0)
        snprintf(out, size, "alert from the peer: %s", SSL_alert_desc_string_long(alert));
    else if (text != NULL)
        snprintf(out, size, "%s", text);
    else
        snprintf(out, size, "OpenSSL error %lx", error);
    if (ERR_SYSTEM_ERROR(error) && size > 0)
        out[0] = (char)tolower((unsigned char)out[0]);
}
