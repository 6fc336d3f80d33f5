/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/tls_client.h"

#include <assert.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/tls_context.h"

enum {
    NAME_MAX_BYTES = 253, /* of a host, RFC 1035 section 3.1 */
};

struct client {
    SSL_CTX *context;  /* NULL: the target is neither TLS nor a map */
    char *server_name; /* for SNI; NULL: a numeric address, or a map */
    bool any;          /* a map: whom to expect is said with each connection */
};

struct tls_clients {
    size_t n;
    struct client clients[]; /* as conf's routes */
};

/* As it stands in certificates and in SNI: an address without its scope, a name without the root's
 * dot (RFC 6066 section 3). */
static char *
bare_host(const char *host)
{
    size_t len = strcspn(host, "%");

    if (len > 0 && host[len - 1] == '.')
        len--;
    return strndup(host, len);
}

static bool
is_numeric(const char *host)
{
    struct addr addr;

    return addr_from_ip(&addr, host, 0) == 0;
}

/* OpenSSL takes an empty name as none, which matches every certificate, and none over 255 bytes. */
static bool
is_name(const char *host)
{
    size_t len = strlen(host);

    return len > 0 && len <= NAME_MAX_BYTES;
}

static bool
expect_host(X509_VERIFY_PARAM *param, const char *host, bool numeric)
{
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The system's certificates are many: routes with the same tls_ca share them. */
static bool
share_anchors(const struct conf *conf, struct tls_clients *clients, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (clients->clients[i].context == NULL || !route->tls_verify ||
            !same_text(route->tls_ca, conf->routes[index].tls_ca))
            continue;
        SSL_CTX_set1_cert_store(clients->clients[index].context,
                                SSL_CTX_get_cert_store(clients->clients[i].context));
        return true;
    }
    return false;
}

static void
set_anchors(const struct conf *conf, struct tls_clients *clients, size_t index,
            struct conf_report *report)
{
    const struct conf_route *route = &conf->routes[index];
    SSL_CTX *context = clients->clients[index].context;
    char reason[TLS_REASON];
    X509_STORE *store;

    if (route->tls_ca != NULL) /* what is named there is trusted, whoever has signed it */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    if (share_anchors(conf, clients, index))
        return;
    store = tls_context_anchors(route->tls_ca);
    if (store != NULL) {
        SSL_CTX_set_cert_store(context, store);
        return;
    }
    tls_context_reason(reason, sizeof reason);
    conf_report_add(report, route->tls_ca_line,
                    "[route %s] tls_ca: expected a file of PEM certificates, cannot read %s: %s",
                    route->name, route->tls_ca != NULL ? route->tls_ca : "the system's", reason);
}

/* Returns -1 without memory, reported. */
static int
init_context(const struct conf *conf, struct tls_clients *clients, size_t index,
             struct conf_report *report)
{
    const struct conf_route *route = &conf->routes[index];
    struct client *client = &clients->clients[index];

    client->any = route->target.kind == CONF_TARGET_MAP;
    client->context = tls_context_new(TLS_client_method());
    if (client->context == NULL) {
        conf_report_add(report, route->line, "[route %s]: out of memory", route->name);
        return -1;
    }
    if (!route->tls_verify)
        return 0;
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    set_anchors(conf, clients, index, report);
    return 0;
}

static void
init_host(const struct conf_route *route, struct client *client, struct conf_report *report)
{
    bool numeric = is_numeric(route->target.host);
    char *host = bare_host(route->target.host);

    if (host == NULL) {
        conf_report_add(report, route->line, "[route %s]: out of memory", route->name);
        return;
    }
    if (!numeric && !is_name(host))
        conf_report_add(report, route->line, "[route %s] target: expected a host, got \"%s\"",
                        route->name, host);
    if (route->tls_verify && !expect_host(SSL_CTX_get0_param(client->context), host, numeric))
        conf_report_add(report, route->line, "[route %s]: out of memory", route->name);
    if (numeric)
        free(host);
    else
        client->server_name = host;
}

struct tls_clients *
tls_clients_new(const struct conf *conf, struct conf_report *report)
{
    size_t mistakes = report->n_mistakes;
    struct tls_clients *clients =
        calloc(1, sizeof *clients + conf->n_routes * sizeof clients->clients[0]);

    if (clients == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    clients->n = conf->n_routes;
    for (size_t i = 0; i < conf->n_routes; i++) {
        enum conf_target_kind kind = conf->routes[i].target.kind;

        if (kind != CONF_TARGET_TLS && kind != CONF_TARGET_MQTTS && kind != CONF_TARGET_MAP)
            continue;
        if (init_context(conf, clients, i, report) == 0 && kind != CONF_TARGET_MAP)
            init_host(&conf->routes[i], &clients->clients[i], report);
    }
    if (report->n_mistakes == mistakes)
        return clients;
    tls_clients_free(clients);
    return NULL;
}

void
tls_clients_free(struct tls_clients *clients)
{
    if (clients == NULL)
        return;
    for (size_t i = 0; i < clients->n; i++) {
        SSL_CTX_free(clients->clients[i].context);
        free(clients->clients[i].server_name);
    }
    free(clients);
}

SSL *
tls_clients_connect(struct tls_clients *clients, size_t route_index)
{
    const struct client *client = &clients->clients[route_index];
    SSL *ssl;

    assert(route_index < clients->n && client->context != NULL && !client->any);
    ssl = SSL_new(client->context);
    if (ssl == NULL)
        return NULL;
    SSL_set_connect_state(ssl);
    if (client->server_name == NULL || SSL_set_tlsext_host_name(ssl, client->server_name) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static bool
set_host(SSL *ssl, char *host)
{
    bool numeric = is_numeric(host);

    if (!numeric && !is_name(host))
        return false;
    if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE &&
        !expect_host(SSL_get0_param(ssl), host, numeric))
        return false;
    return numeric || SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *
tls_clients_connect_to(struct tls_clients *clients, size_t route_index, const char *host)
{
    const struct client *client = &clients->clients[route_index];
    char *bare = bare_host(host);
    SSL *ssl;

    assert(route_index < clients->n && client->context != NULL && client->any);
    ssl = bare != NULL ? SSL_new(client->context) : NULL;
    if (ssl != NULL)
        SSL_set_connect_state(ssl);
    if (ssl != NULL && !set_host(ssl, bare)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    free(bare);
    return ssl;
}
