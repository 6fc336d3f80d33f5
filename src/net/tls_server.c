/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *      tls_server_accept() → SSL of the default context
 *                                │ ClientHello
 *                                ▼
 *                       choose(): server_name → exact → *.one-label → stay
 *                                │ SSL_set_SSL_CTX(): other certificate and key
 *                                ▼
 *                       the handshake goes on
 *
 * A connection that changes its context keeps the options and the verification that it began with,
 * but the trust anchors are looked up in the new one. So all contexts have the same of both, and
 * the same ticket keys and session id context.
 */
#include "net/tls_server.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "net/tls_context.h"

struct named {
    char *host; /* "example.org" or "*.example.org"; NULL for the default one */
    SSL_CTX *context;
};

/* What all contexts share. */
struct verification {
    int mode; /* SSL_VERIFY_… */
    X509_STORE *anchors;
    STACK_OF(X509_NAME) * names; /* told to the client, who chooses a certificate by them */
    unsigned char id[SSL_MAX_SID_CTX_LENGTH];
};

struct tls_server {
    SSL_CTX *standard; /* borrowed from the list */
    size_t n;
    struct named list[];
};

/* ---- mistakes ---- */

static void
mistake(struct conf_report *report, const struct conf_tls *section, unsigned line, const char *key,
        const char *what)
{
    conf_report_add(report, line, "[tls%s%s] %s: %s", section->host != NULL ? " " : "",
                    section->host != NULL ? section->host : "", key, what);
}

static void
unreadable(struct conf_report *report, const struct conf_tls *section, unsigned line,
           const char *key, const char *expected, const char *path)
{
    char reason[TLS_REASON];
    char what[512];

    tls_context_reason(reason, sizeof reason);
    snprintf(what, sizeof what, "expected %s, cannot read %s: %s", expected, path, reason);
    mistake(report, section, line, key, what);
}

/* ---- certificate and key ---- */

/* Notes that a passphrase is needed. Without this, OpenSSL would ask for it on the terminal. */
static int
no_passphrase(char *out, int size, int writing, void *needed)
{
    (void)out;
    (void)size;
    (void)writing;
    if (needed != NULL)
        *(bool *)needed = true;
    return -1;
}

static bool
is_mismatch(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return ERR_GET_LIB(error) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

static bool
use_key(SSL_CTX *context, const char *path, bool *passphrase)
{
    bool ok;

    SSL_CTX_set_default_passwd_cb_userdata(context, passphrase);
    ok = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1 &&
         SSL_CTX_check_private_key(context) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    return ok;
}

static void
load_key(SSL_CTX *context, const struct conf_tls *section, struct conf_report *report)
{
    bool passphrase = false;
    char what[512];

    if (use_key(context, section->private_key, &passphrase))
        return;
    if (passphrase)
        snprintf(what, sizeof what, "expected a key without a passphrase: %s",
                 section->private_key);
    else if (is_mismatch(ERR_peek_error()))
        snprintf(what, sizeof what, "%s does not belong to the certificate %s",
                 section->private_key, section->certificate);
    else {
        unreadable(report, section, section->private_key_line, "private_key", "a PEM private key",
                   section->private_key);
        return;
    }
    ERR_clear_error();
    mistake(report, section, section->private_key_line, "private_key", what);
}

static void
load_certificate(SSL_CTX *context, const struct conf_tls *section, struct conf_report *report)
{
    if (section->certificate == NULL)
        mistake(report, section, section->certificate_line, "certificate", "expected a file");
    if (section->private_key == NULL)
        mistake(report, section, section->private_key_line, "private_key", "expected a file");
    if (section->certificate == NULL || section->private_key == NULL)
        return;
    if (SSL_CTX_use_certificate_chain_file(context, section->certificate) != 1) {
        unreadable(report, section, section->certificate_line, "certificate",
                   "a file of PEM certificates", section->certificate);
        return;
    }
    load_key(context, section, report);
}

/* ---- verification of clients ---- */

static int
verify_mode(enum conf_client_verify verify)
{
    switch (verify) {
    case CONF_VERIFY_OPTIONAL:
        return SSL_VERIFY_PEER;
    case CONF_VERIFY_REQUIRED:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    default:
        return SSL_VERIFY_NONE;
    }
}

static bool
digest_anchors(EVP_MD_CTX *digest, X509_STORE *anchors)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(anchors);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size;

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (certificate == NULL)
            continue; /* a revocation list */
        if (X509_digest(certificate, EVP_sha256(), hash, &size) != 1 ||
            EVP_DigestUpdate(digest, hash, size) != 1)
            return false;
    }
    return true;
}

/*
 * The session id context says under which rules a session was made. It stands for the anchors and
 * the mode: ticket keys outlive a reload, and a client whose certificate was accepted under the old
 * rules must not come in under the new ones with a ticket.
 */
static bool
digest_rules(struct verification *verification)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool ok = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(digest, &verification->mode, sizeof verification->mode) == 1;

    _Static_assert(SSL_MAX_SID_CTX_LENGTH == 32, "a SHA-256 digest fits");
    if (ok && verification->anchors != NULL)
        ok = digest_anchors(digest, verification->anchors);
    ok = ok && EVP_DigestFinal_ex(digest, verification->id, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return ok;
}

static void
deinit_verification(struct verification *verification)
{
    X509_STORE_free(verification->anchors);
    sk_X509_NAME_pop_free(verification->names, X509_NAME_free);
}

static void
init_verification(struct verification *verification, const struct conf_tls *section,
                  struct conf_report *report)
{
    memset(verification, 0, sizeof *verification);
    verification->mode = verify_mode(section->client_verify);
    if (verification->mode != SSL_VERIFY_NONE && section->client_ca == NULL) {
        mistake(report, section, section->client_ca_line, "client_ca",
                "expected a file, as client_verify asks for certificates");
        return;
    }
    if (section->client_ca != NULL) {
        verification->anchors = tls_context_anchors(section->client_ca);
        if (verification->anchors != NULL)
            verification->names = SSL_load_client_CA_file(section->client_ca);
        if (verification->names == NULL) {
            unreadable(report, section, section->client_ca_line, "client_ca",
                       "a file of PEM certificates", section->client_ca);
            return;
        }
    }
    if (!digest_rules(verification))
        mistake(report, section, section->client_ca_line, "client_ca", "out of memory");
}

static bool
set_verification(SSL_CTX *context, const struct verification *verification)
{
    STACK_OF(X509_NAME) * names;

    SSL_CTX_set_verify(context, verification->mode, NULL);
    if (SSL_CTX_set_session_id_context(context, verification->id, sizeof verification->id) != 1)
        return false;
    if (verification->anchors == NULL)
        return true;
    SSL_CTX_set1_cert_store(context, verification->anchors);
    names = SSL_dup_CA_list(verification->names);
    if (names == NULL)
        return false;
    SSL_CTX_set_client_CA_list(context, names);
    return true;
}

/* ---- choices in the handshake ---- */

static bool
matches(const char *pattern, const char *name)
{
    const char *dot;

    if (strncmp(pattern, "*.", 2) != 0)
        return strcasecmp(pattern, name) == 0;
    dot = strchr(name, '.');
    return dot != NULL && dot > name && strcasecmp(pattern + 1, dot) == 0;
}

static SSL_CTX *
find_context(const struct tls_server *server, const char *name)
{
    SSL_CTX *wildcard = NULL;

    for (size_t i = 0; i < server->n; i++) {
        const struct named *named = &server->list[i];

        if (named->host == NULL || !matches(named->host, name))
            continue;
        if (named->host[0] != '*')
            return named->context;
        wildcard = named->context;
    }
    return wildcard;
}

static int
choose_certificate(SSL *ssl, int *alert, void *cookie)
{
    const struct tls_server *server = cookie;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *context = name != NULL ? find_context(server, name) : NULL;

    if (context == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_SSL_CTX(ssl, context) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                const unsigned char *offered, unsigned offered_len, void *cookie)
{
    static const unsigned char http[] = "\x08http/1.1";
    unsigned at = 0;

    (void)ssl;
    (void)cookie;
    /* OpenSSL has checked that the lengths add up. */
    while (at < offered_len) {
        unsigned len = 1U + offered[at];

        if (len == sizeof http - 1 && memcmp(offered + at, http, len) == 0) {
            *out = offered + at + 1;
            *out_len = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
        at += len;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

/* ---- contexts ---- */

static bool
set_protocol(SSL_CTX *context, const struct conf_tls *rules)
{
    int version = rules->min_version == CONF_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return SSL_CTX_set_min_proto_version(context, version) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static SSL_CTX *
make_context(const struct conf_tls *section, const struct conf_tls *rules,
             const struct verification *verification, struct conf_report *report)
{
    SSL_CTX *context = tls_context_new(TLS_server_method());

    if (context == NULL || !set_protocol(context, rules) ||
        !set_verification(context, verification)) {
        mistake(report, section, section->certificate_line, "certificate", "out of memory");
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    load_certificate(context, section, report);
    return context;
}

static const struct conf_tls *
default_section(const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_tls; i++) {
        if (conf->tls[i].host == NULL)
            return &conf->tls[i];
    }
    return &conf->tls[0];
}

static void
add_contexts(struct tls_server *server, const struct conf *conf, struct conf_report *report)
{
    const struct conf_tls *rules = default_section(conf);
    struct verification verification;

    init_verification(&verification, rules, report);
    for (size_t i = 0; i < conf->n_tls; i++) {
        const struct conf_tls *section = &conf->tls[i];
        struct named *named = &server->list[server->n++];

        named->context = make_context(section, rules, &verification, report);
        if (section == rules)
            server->standard = named->context;
        if (section->host != NULL && (named->host = strdup(section->host)) == NULL)
            mistake(report, section, section->certificate_line, "certificate", "out of memory");
    }
    deinit_verification(&verification);
}

struct tls_server *
tls_server_new(const struct conf *conf, struct conf_report *report)
{
    size_t mistakes = report->n_mistakes;
    struct tls_server *server = calloc(1, sizeof *server + conf->n_tls * sizeof server->list[0]);

    if (server == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    add_contexts(server, conf, report);
    if (report->n_mistakes > mistakes || server->standard == NULL) {
        tls_server_free(server);
        return NULL;
    }
    SSL_CTX_set_tlsext_servername_callback(server->standard, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(server->standard, server);
    return server;
}

void
tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->n; i++) {
        SSL_CTX_free(server->list[i].context);
        free(server->list[i].host);
    }
    free(server);
}

void
tls_server_set_tickets(struct tls_server *server, const uint8_t keys[TLS_TICKET_KEYS])
{
    unsigned char copy[TLS_TICKET_KEYS]; /* OpenSSL's macro drops the const */

    memcpy(copy, keys, sizeof copy);
    for (size_t i = 0; i < server->n; i++)
        SSL_CTX_set_tlsext_ticket_keys(server->list[i].context, copy, sizeof copy);
    OPENSSL_cleanse(copy, sizeof copy);
}

time_t
tls_server_expiry(const struct tls_server *server, size_t index)
{
    X509 *certificate =
        index < server->n ? SSL_CTX_get0_certificate(server->list[index].context) : NULL;
    struct tm tm;

    if (certificate == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    return timegm(&tm);
}

SSL *
tls_server_accept(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->standard);

    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}
