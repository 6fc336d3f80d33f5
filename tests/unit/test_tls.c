/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "conf/conf.h"
#include "net/tls.h"
#include "tls_certs.h"

/* The configuration's strings are not written to here. */
#define TEXT(text) ((char *)(uintptr_t)(text))

/* ---- certificates, made once ---- */

struct world {
    struct certs certs;
    struct cert ca, other_ca, middle;
    struct cert plain;    /* plain.example.org, 127.0.0.1, ::1 */
    struct cert exact;    /* a.example.org */
    struct cert wildcard; /* *.example.org */
    struct cert partial;  /* w*.example.org */
    struct cert expired, self_signed, nameless, chained, client, bad_client;
};

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct certs *certs = &world->certs;
    const struct cert *ca = &world->ca;

    certs_init(certs);
    world->ca = cert_make(certs, (struct cert_options){.name = "ca", .ca = true});
    world->other_ca = cert_make(certs, (struct cert_options){.name = "other-ca", .ca = true});
    world->middle =
        cert_make(certs, (struct cert_options){.name = "middle", .ca = true, .issuer = ca});
    world->plain = cert_make(
        certs,
        (struct cert_options){.name = "plain",
                              .issuer = ca,
                              .names = "DNS:plain.example.org,IP:127.0.0.1,IP:::1,IP:fe80::1"});
    world->exact = cert_make(
        certs, (struct cert_options){.name = "exact", .issuer = ca, .names = "DNS:a.example.org"});
    world->wildcard = cert_make(
        certs,
        (struct cert_options){.name = "wildcard", .issuer = ca, .names = "DNS:*.example.org"});
    world->partial = cert_make(
        certs,
        (struct cert_options){.name = "partial", .issuer = ca, .names = "DNS:w*.example.org"});
    world->expired = cert_make(certs, (struct cert_options){.name = "expired",
                                                            .issuer = ca,
                                                            .names = "DNS:plain.example.org",
                                                            .expired = true});
    world->self_signed = cert_make(
        certs, (struct cert_options){.name = "self-signed", .names = "DNS:plain.example.org"});
    world->nameless = cert_make(certs, (struct cert_options){.name = "nameless", .issuer = ca});
    world->chained = cert_make(certs, (struct cert_options){.name = "chained",
                                                            .issuer = &world->middle,
                                                            .names = "DNS:plain.example.org",
                                                            .chain = &world->middle});
    world->client = cert_make(certs, (struct cert_options){.name = "client", .issuer = ca});
    world->bad_client =
        cert_make(certs, (struct cert_options){.name = "bad-client", .issuer = &world->other_ca});
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    certs_deinit(&world->certs);
    for (struct cert *cert = &world->ca; cert <= &world->bad_client; cert++)
        cert_free(cert);
    free(world);
    return 0;
}

/* ---- a configuration ---- */

struct setting {
    struct conf conf;
    struct conf_tls tls[4];
    struct conf_route routes[4];
    struct conf_report report;
};

static void
add_tls(struct setting *setting, const char *host, const struct cert *cert)
{
    unsigned line = 10 * (unsigned)(setting->conf.n_tls + 1);

    setting->tls[setting->conf.n_tls++] = (struct conf_tls){.host = TEXT(host),
                                                            .certificate = TEXT(cert->cert_file),
                                                            .private_key = TEXT(cert->key_file),
                                                            .certificate_line = line + 1,
                                                            .private_key_line = line + 2,
                                                            .client_ca_line = line + 3};
    setting->conf.tls = setting->tls;
}

static struct conf_route *
add_route(struct setting *setting, const char *host, const char *ca)
{
    struct conf_route *route = &setting->routes[setting->conf.n_routes];
    unsigned line = 100 * (unsigned)(setting->conf.n_routes + 1);

    *route = (struct conf_route){
        .name = TEXT("/x"),
        .line = line,
        .target = {.kind = CONF_TARGET_TLS, .host = TEXT(host), .port = 443},
        .tls_verify = true,
        .tls_ca = TEXT(ca),
        .tls_ca_line = line + 1,
    };
    setting->conf.n_routes++;
    setting->conf.routes = setting->routes;
    return route;
}

/* Must succeed. */
static struct tls *
make(struct setting *setting)
{
    struct tls *tls;

    conf_report_init(&setting->report, "test.ini");
    tls = tls_new(&setting->conf, &setting->report);
    if (tls == NULL)
        fail_msg("%s", setting->report.mistakes[0].text);
    assert_int_equal(setting->report.n_mistakes, 0);
    conf_report_deinit(&setting->report);
    assert_int_equal(ERR_peek_error(), 0);
    return tls;
}

/* ---- a connection in memory ---- */

struct pair {
    SSL *client;
    SSL *server;
    bool ok; /* handshake and a byte in each direction */
    char client_why[200];
    char server_why[200];
};

/* One step of one side. Returns whether it is not over. */
static bool
step(SSL *ssl, char *why, bool *done)
{
    int result;
    int error;
    char byte;

    if (*done || *why != '\0')
        return false;
    ERR_clear_error();
    result = SSL_do_handshake(ssl);
    if (result == 1 && SSL_is_init_finished(ssl)) {
        /* The server's verdict on a certificate comes, with TLS 1.3, after the handshake. */
        result = SSL_peek(ssl, &byte, 1);
        if (result == 1) {
            *done = true;
            return false;
        }
    }
    error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        tls_why(ssl, why, 200);
        return false;
    }
    return true;
}

static void
talk(struct pair *pair)
{
    bool client_done = false, server_done = false;
    bool client_sent = false, server_sent = false;
    char byte;

    for (unsigned i = 0; i < 30; i++) {
        step(pair->client, pair->client_why, &client_done);
        step(pair->server, pair->server_why, &server_done);
        if (!client_sent && !*pair->client_why && SSL_is_init_finished(pair->client))
            client_sent = SSL_write(pair->client, "c", 1) == 1;
        if (!server_sent && !*pair->server_why && SSL_is_init_finished(pair->server))
            server_sent = SSL_write(pair->server, "s", 1) == 1;
    }
    pair->ok = client_done && server_done;
    ERR_clear_error();
    if (!pair->ok)
        return;
    assert_int_equal(SSL_read(pair->client, &byte, 1), 1);
    assert_int_equal(byte, 's');
    assert_int_equal(SSL_read(pair->server, &byte, 1), 1);
    assert_int_equal(byte, 'c');
}

/* Joins the two, takes them over, and talks. */
static struct pair
join(SSL *client, SSL *server)
{
    struct pair pair = {.client = client, .server = server};
    BIO *a, *b;

    assert_non_null(client);
    assert_non_null(server);
    assert_int_equal(BIO_new_bio_pair(&a, 65536, &b, 65536), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    talk(&pair);
    return pair;
}

static void
part(struct pair *pair)
{
    SSL_free(pair->client);
    tls_free(pair->server);
}

/* A client of the test's own, that verifies nothing. */
static SSL *
own_client(SSL_CTX *context, const char *name)
{
    SSL *ssl = SSL_new(context);

    SSL_set_connect_state(ssl);
    if (name != NULL)
        SSL_set_tlsext_host_name(ssl, TEXT(name));
    return ssl;
}

static void
expect_certificate(const struct pair *pair, const struct cert *cert)
{
    X509 *shown = SSL_get1_peer_certificate(pair->client);

    if (!pair->ok)
        fail_msg("client: %s; server: %s", pair->client_why, pair->server_why);
    assert_non_null(shown);
    assert_int_equal(X509_cmp(shown, cert->x509), 0);
    X509_free(shown);
}

/* ---- configurations ---- */

static void
test_no_tls(void **state)
{
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls = make(&setting);

    (void)state;
    assert_null(tls_accept(tls));
    assert_ptr_equal(tls_ref(tls), tls);
    tls_unref(tls);
    tls_unref(tls);
    tls_unref(NULL);
}

/* Checks that exactly these mistakes, of a line and with a text each, are reported. */
static void
expect_mistakes(struct setting *setting, unsigned n, const unsigned *lines,
                const char *const *texts)
{
    conf_report_init(&setting->report, "test.ini");
    assert_null(tls_new(&setting->conf, &setting->report));
    assert_int_equal(setting->report.n_mistakes, n);
    for (unsigned i = 0; i < n; i++) {
        const struct conf_mistake *mistake = &setting->report.mistakes[i];

        if (mistake->line != lines[i] || strstr(mistake->text, texts[i]) == NULL)
            fail_msg("line %u: %s", mistake->line, mistake->text);
    }
    conf_report_deinit(&setting->report);
    assert_int_equal(ERR_peek_error(), 0);
}

static void
expect_mistake(struct setting *setting, unsigned line, const char *text)
{
    expect_mistakes(setting, 1, &line, &text);
}

static void
test_certificate_mistakes(void **state)
{
    struct world *world = *state;
    const char *garbage = certs_write(&world->certs, "garbage", "-----BEGIN nothing\n");
    const char *empty = certs_write(&world->certs, "empty", "");
    struct setting setting = {.conf = {.n_tls = 0}};

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].certificate = TEXT("/nonexistent/x.crt");
    expect_mistake(&setting, 11,
                   "[tls] certificate: expected a file of PEM certificates, cannot "
                   "read /nonexistent/x.crt: no such file or directory");
    setting.tls[0].certificate = TEXT(garbage);
    expect_mistake(&setting, 11, "no start line");
    setting.tls[0].certificate = TEXT(empty);
    expect_mistake(&setting, 11, "no start line");
    setting.tls[0].certificate = NULL;
    expect_mistake(&setting, 11, "expected a file");
    setting.tls[0].certificate = TEXT(world->plain.cert_file);
    setting.tls[0].private_key = TEXT("/nonexistent/x.key");
    expect_mistake(&setting, 12,
                   "[tls] private_key: expected a PEM private key, cannot read /nonexistent/x.key: "
                   "no such file or directory");
    setting.tls[0].private_key = TEXT(garbage);
    expect_mistake(&setting, 12, "private_key: expected a PEM private key");
    setting.tls[0].private_key = TEXT(world->exact.key_file);
    expect_mistake(&setting, 12, "exact.key does not belong to the certificate /tmp/");
    setting.tls[0].private_key = NULL;
    expect_mistake(&setting, 12, "expected a file");
}

static void
test_encrypted_key(void **state)
{
    struct world *world = *state;
    const char *path = certs_path(&world->certs, "encrypted", ".key");
    FILE *file = fopen(path, "w");
    struct setting setting = {.conf = {.n_tls = 0}};

    assert_int_equal(PEM_write_PrivateKey(file, world->plain.key, EVP_aes_128_cbc(),
                                          (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    fclose(file);
    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].private_key = TEXT(path);
    expect_mistake(&setting, 12, "[tls] private_key: expected a key without a passphrase: /tmp/");
}

/* All of them, each at its line. */
static void
test_many_mistakes(void **state)
{
    static const unsigned lines[] = {11, 13, 22, 101, 300, 400};
    static const char *const texts[] = {"[tls] certificate",
                                        "[tls] client_ca: expected a file of PEM certificates",
                                        "[tls b.example.org] private_key",
                                        "[route /x] tls_ca: expected a file of PEM certificates",
                                        "[route /x] target: expected a host",
                                        "[route /x] target: expected a host"};
    struct world *world = *state;
    const char *empty = certs_write(&world->certs, "no-ca", "");
    struct setting setting = {.conf = {.n_tls = 0}};

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].client_ca = TEXT("/nonexistent/ca.crt");
    setting.tls[0].certificate = TEXT("/nonexistent/x.crt");
    add_tls(&setting, "b.example.org", &world->plain);
    setting.tls[1].private_key = TEXT(world->exact.key_file);
    add_route(&setting, "plain.example.org", empty);
    add_route(&setting, "plain.example.org", world->ca.cert_file);
    add_route(&setting, "", world->ca.cert_file);
    add_route(&setting, ".", world->ca.cert_file);
    expect_mistakes(&setting, 6, lines, texts);
}

static void
test_client_ca_missing(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].client_verify = CONF_VERIFY_OPTIONAL;
    expect_mistake(&setting, 13, "[tls] client_ca: expected a file, as client_verify");
}

/* ---- the server's certificate ---- */

static void
expect_choice(struct tls *tls, SSL_CTX *context, const char *name, const struct cert *cert)
{
    struct pair pair = join(own_client(context, name), tls_accept(tls));

    expect_certificate(&pair, cert);
    part(&pair);
}

static void
test_sni(void **state)
{
    struct world *world = *state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;

    add_tls(&setting, NULL, &world->plain);
    add_tls(&setting, "*.example.org", &world->wildcard);
    add_tls(&setting, "a.example.org", &world->exact);
    tls = make(&setting);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(context, version);
        expect_choice(tls, context, "a.example.org", &world->exact);
        expect_choice(tls, context, "A.Example.ORG", &world->exact);
        expect_choice(tls, context, "b.example.org", &world->wildcard);
        expect_choice(tls, context, "B.EXAMPLE.ORG", &world->wildcard);
        expect_choice(tls, context, "b.a.example.org", &world->plain);
        expect_choice(tls, context, "example.org", &world->plain);
        expect_choice(tls, context, ".example.org", &world->plain);
        expect_choice(tls, context, "example.com", &world->plain);
        expect_choice(tls, context, "xa.example.org.evil.com", &world->plain);
        expect_choice(tls, context, NULL, &world->plain);
    }
    tls_unref(tls);
    SSL_CTX_free(context);
}

/* Without [tls], the first [tls HOST] is for all. */
static void
test_only_named(void **state)
{
    struct world *world = *state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;

    add_tls(&setting, "a.example.org", &world->exact);
    add_tls(&setting, "b.example.org", &world->wildcard);
    tls = make(&setting);
    expect_choice(tls, context, "x.example.com", &world->exact);
    expect_choice(tls, context, "b.example.org", &world->wildcard);
    tls_unref(tls);
    SSL_CTX_free(context);
}

/* ---- protocol ---- */

static struct tls *
plain_server(struct world *world, struct setting *setting)
{
    *setting = (struct setting){.conf = {.n_tls = 0}};
    add_tls(setting, NULL, &world->plain);
    add_tls(setting, "a.example.org", &world->exact);
    return make(setting);
}

static void
test_alpn(void **state)
{
    static const struct {
        const char *offered;
        unsigned len;
        bool ok;
    } cases[] = {
        {"\x08http/1.1", 9, true},        {"\x02h2\x08http/1.1", 12, true},
        {"\x08http/1.1\x02h2", 12, true}, {"\x02h2", 3, false},
        {"\x08http/1.0", 9, false},       {"\x09http/1.1x", 10, false},
        {"\x07http/1.", 8, false},
    };
    static const char *const names[] = {NULL, "a.example.org"};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);

    for (unsigned i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        SSL *client = own_client(context, names[i % 2]);
        struct pair pair;
        const unsigned char *chosen;
        unsigned len;

        SSL_set_alpn_protos(client, (const unsigned char *)cases[i / 2].offered, cases[i / 2].len);
        pair = join(client, tls_accept(tls));
        assert_int_equal(pair.ok, cases[i / 2].ok);
        SSL_get0_alpn_selected(client, &chosen, &len);
        assert_int_equal(len, cases[i / 2].ok ? 8 : 0);
        if (!pair.ok)
            assert_string_equal(pair.client_why, "alert from the peer: no application protocol");
        part(&pair);
    }
    tls_unref(tls);
    SSL_CTX_free(context);
}

static void
test_versions(void **state)
{
    struct world *world = *state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(world, &setting);
    struct pair pair;

    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    pair = join(own_client(context, NULL), tls_accept(tls));
    assert_false(pair.ok);
    part(&pair);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    pair = join(own_client(context, NULL), tls_accept(tls));
    assert_true(pair.ok);
    part(&pair);
    tls_unref(tls);

    setting.tls[0].min_version = CONF_TLS_1_3;
    tls = make(&setting);
    for (unsigned i = 0; i < 2; i++) {
        pair = join(own_client(context, i == 0 ? NULL : "a.example.org"), tls_accept(tls));
        assert_false(pair.ok);
        assert_string_equal(pair.server_why, "unsupported protocol");
        part(&pair);
    }
    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
    pair = join(own_client(context, NULL), tls_accept(tls));
    assert_true(pair.ok);
    part(&pair);
    tls_unref(tls);
    SSL_CTX_free(context);
}

static void
test_ciphers(void **state)
{
    static const struct {
        const char *list;
        bool ok;
    } cases[] = {{"ECDHE-ECDSA-AES128-GCM-SHA256", true},
                 {"ECDHE-ECDSA-CHACHA20-POLY1305", true},
                 {"ECDHE-ECDSA-AES128-SHA256", false},
                 {"ECDHE-ECDSA-AES128-SHA", false},
                 {"ECDHE-ECDSA-AES128-CCM", false}};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);

    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SSL *client = own_client(context, NULL);
        struct pair pair;

        assert_int_equal(SSL_set_cipher_list(client, cases[i].list), 1);
        pair = join(client, tls_accept(tls));
        assert_int_equal(pair.ok, cases[i].ok);
        part(&pair);
    }
    tls_unref(tls);
    SSL_CTX_free(context);
}

static void
test_renegotiation(void **state)
{
    static const char *const names[] = {NULL, "a.example.org"};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);

    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    for (unsigned i = 0; i < 2; i++) {
        struct pair pair = join(own_client(context, names[i]), tls_accept(tls));

        assert_true(pair.ok);
        assert_int_equal(SSL_renegotiate(pair.client), 1);
        talk(&pair);
        assert_false(pair.ok);
        assert_string_equal(pair.client_why, "no renegotiation");
        part(&pair);
    }
    tls_unref(tls);
    SSL_CTX_free(context);
}

static void
expect_settings(SSL *ssl)
{
    long mode = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

    assert_int_equal(SSL_get_mode(ssl) & mode, mode);
    assert_int_equal(SSL_get_options(ssl) & SSL_OP_IGNORE_UNEXPECTED_EOF, 0);
    assert_int_not_equal(SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION, 0);
    assert_int_not_equal(SSL_get_options(ssl) & SSL_OP_NO_COMPRESSION, 0);
    assert_true(SSL_get_min_proto_version(ssl) >= TLS1_2_VERSION);
    tls_free(ssl);
}

static void
test_settings(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;

    add_tls(&setting, NULL, &world->plain);
    add_route(&setting, "plain.example.org", world->ca.cert_file);
    tls = make(&setting);
    expect_settings(tls_accept(tls));
    expect_settings(tls_connect(tls, 0));
    tls_unref(tls);
}

/* A connection that is cut is no orderly end. */
static void
test_truncation(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);
    struct pair pair = join(own_client(context, NULL), tls_accept(tls));
    char byte, why[100];
    int result;

    assert_true(pair.ok);
    assert_int_equal(BIO_shutdown_wr(SSL_get_wbio(pair.client)), 1);
    result = SSL_read(pair.server, &byte, 1);
    assert_int_equal(SSL_get_error(pair.server, result), SSL_ERROR_SSL);
    tls_why(pair.server, why, sizeof why);
    assert_string_equal(why, "unexpected eof while reading");
    part(&pair);
    tls_unref(tls);
    SSL_CTX_free(context);
}

/* ---- tickets ---- */

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);

    SSL_SESSION_free(*kept);
    *kept = session;
    return 1;
}

/* Connects with *session, if any, and keeps the new one there. Returns whether it was resumed. */
static bool
resume(SSL_CTX *context, struct tls *tls, const char *name, SSL_SESSION **session)
{
    SSL *client = own_client(context, name);
    struct pair pair;
    bool resumed;

    SSL_set_app_data(client, session);
    if (*session != NULL)
        assert_int_equal(SSL_set_session(client, *session), 1);
    pair = join(client, tls_accept(tls));
    if (!pair.ok)
        fail_msg("client: %s; server: %s", pair.client_why, pair.server_why);
    assert_non_null(*session);
    resumed = SSL_session_reused(pair.client);
    assert_int_equal(resumed, SSL_session_reused(pair.server));
    /* Freed without a shutdown, a session would be thought broken. */
    SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    part(&pair);
    return resumed;
}

static SSL_CTX *
ticket_client(int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

static void
test_resumption(void **state)
{
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = ticket_client(version);
        SSL_SESSION *session = NULL, *named = NULL;

        assert_false(resume(context, tls, NULL, &session));
        assert_true(resume(context, tls, NULL, &session));
        assert_true(resume(context, tls, NULL, &session));
        assert_false(resume(context, tls, "a.example.org", &named));
        assert_true(resume(context, tls, "a.example.org", &named));
        SSL_SESSION_free(session);
        SSL_SESSION_free(named);
        SSL_CTX_free(context);
    }
    tls_unref(tls);
}

/* Over a reload: only when the keys are kept, and only when the rules for clients are the same. */
static void
test_tickets_over_reload(void **state)
{
    struct world *world = *state;
    struct setting setting;
    struct tls *old = plain_server(world, &setting);
    struct tls *stranger = make(&setting);
    struct tls *kept = make(&setting);
    struct tls *stricter;

    setting.tls[0].client_ca = TEXT(world->ca.cert_file);
    setting.tls[0].client_verify = CONF_VERIFY_OPTIONAL;
    stricter = make(&setting);
    tls_keep_tickets(kept, old);
    tls_keep_tickets(stricter, old);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = ticket_client(version);
        SSL_SESSION *session = NULL;

        resume(context, old, NULL, &session);
        assert_false(resume(context, stranger, NULL, &session));
        resume(context, old, "a.example.org", &session);
        assert_true(resume(context, kept, "a.example.org", &session));
        assert_false(resume(context, stricter, "a.example.org", &session));
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    tls_unref(old);
    tls_unref(stranger);
    tls_unref(kept);
    tls_unref(stricter);
}

/* Another client_ca, and the same mode: a ticket given for a certificate of the old one is worth
 * nothing. */
static void
test_tickets_of_another_ca(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *old, *new, *same;

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].client_ca = TEXT(world->ca.cert_file);
    setting.tls[0].client_verify = CONF_VERIFY_REQUIRED;
    old = make(&setting);
    same = make(&setting);
    setting.tls[0].client_ca = TEXT(world->other_ca.cert_file);
    new = make(&setting);
    tls_keep_tickets(new, old);
    tls_keep_tickets(same, old);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = ticket_client(version);
        SSL_SESSION *session = NULL;
        SSL *client;
        struct pair pair;

        SSL_CTX_use_certificate(context, world->client.x509);
        SSL_CTX_use_PrivateKey(context, world->client.key);
        resume(context, old, NULL, &session);
        assert_true(resume(context, same, NULL, &session));
        client = own_client(context, NULL);
        SSL_set_app_data(client, &session);
        SSL_set_session(client, session);
        pair = join(client, tls_accept(new));
        assert_false(pair.ok);
        assert_non_null(strstr(pair.server_why, "certificate verify failed: "));
        part(&pair);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    tls_unref(old);
    tls_unref(same);
    tls_unref(new);
}

/* A client that was not asked for a certificate is asked when the rules say so, ticket or not. */
static void
test_tickets_of_another_mode(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *old, *new;

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].client_ca = TEXT(world->ca.cert_file);
    old = make(&setting);
    setting.tls[0].client_verify = CONF_VERIFY_REQUIRED;
    new = make(&setting);
    tls_keep_tickets(new, old);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *context = ticket_client(version);
        SSL_SESSION *session = NULL;
        SSL *client;
        struct pair pair;

        resume(context, old, NULL, &session);
        client = own_client(context, NULL);
        SSL_set_app_data(client, &session);
        SSL_set_session(client, session);
        pair = join(client, tls_accept(new));
        assert_false(pair.ok);
        assert_string_equal(pair.server_why, "peer did not return a certificate");
        part(&pair);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    tls_unref(old);
    tls_unref(new);
}

/* ---- clients with certificates ---- */

static void
expect_verdict(struct tls *tls, const struct cert *cert, const char *name, bool ok)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct pair pair;

    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX_set_max_proto_version(context, version);
        if (cert != NULL) {
            SSL_CTX_use_certificate(context, cert->x509);
            SSL_CTX_use_PrivateKey(context, cert->key);
        }
        pair = join(own_client(context, name), tls_accept(tls));
        if (pair.ok != ok)
            fail_msg("client: %s; server: %s", pair.client_why, pair.server_why);
        if (ok && cert != NULL && SSL_get_verify_mode(pair.server) != SSL_VERIFY_NONE) {
            X509 *shown = SSL_get1_peer_certificate(pair.server);

            assert_int_equal(X509_cmp(shown, cert->x509), 0);
            assert_int_equal(SSL_get_verify_result(pair.server), X509_V_OK);
            X509_free(shown);
        }
        part(&pair);
    }
    SSL_CTX_free(context);
}

static void
test_client_verify(void **state)
{
    static const char *const names[] = {NULL, "a.example.org"};
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *none, *optional, *required;

    add_tls(&setting, NULL, &world->plain);
    add_tls(&setting, "a.example.org", &world->exact);
    setting.tls[0].client_ca = TEXT(world->ca.cert_file);
    none = make(&setting);
    setting.tls[0].client_verify = CONF_VERIFY_OPTIONAL;
    optional = make(&setting);
    setting.tls[0].client_verify = CONF_VERIFY_REQUIRED;
    required = make(&setting);
    for (unsigned i = 0; i < 2; i++) {
        expect_verdict(none, NULL, names[i], true);
        expect_verdict(none, &world->bad_client, names[i], true);
        expect_verdict(optional, NULL, names[i], true);
        expect_verdict(optional, &world->client, names[i], true);
        expect_verdict(optional, &world->bad_client, names[i], false);
        expect_verdict(required, NULL, names[i], false);
        expect_verdict(required, &world->client, names[i], true);
        expect_verdict(required, &world->bad_client, names[i], false);
    }
    tls_unref(none);
    tls_unref(optional);
    tls_unref(required);
}

/* The client is told whose certificates are wanted. */
static void
test_client_ca_names(void **state)
{
    struct world *world = *state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;
    struct pair pair;
    const STACK_OF(X509_NAME) * names;

    add_tls(&setting, NULL, &world->plain);
    setting.tls[0].client_ca = TEXT(world->ca.cert_file);
    setting.tls[0].client_verify = CONF_VERIFY_OPTIONAL;
    tls = make(&setting);
    pair = join(own_client(context, NULL), tls_accept(tls));
    assert_true(pair.ok);
    names = SSL_get0_peer_CA_list(pair.client);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    assert_int_equal(
        X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(world->ca.x509)), 0);
    part(&pair);
    tls_unref(tls);
    SSL_CTX_free(context);
}

/* ---- targets ---- */

static void
expect_outcome(struct pair pair, const char *host, const char *why)
{
    if (why == NULL && !pair.ok)
        fail_msg("%s: client: %s; server: %s", host, pair.client_why, pair.server_why);
    if (why != NULL && (pair.ok || strstr(pair.client_why, why) == NULL))
        fail_msg("%s: client: %s", host, pair.client_why);
    part(&pair);
}

/* Connects to a server with cert as a route to host would, and as one whose map leads there; ca may
 * be NULL. why NULL: succeeds. */
static void
expect_target(const struct cert *cert, const char *host, const char *ca, const char *why)
{
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;

    add_tls(&setting, NULL, cert);
    add_route(&setting, host, ca);
    add_route(&setting, NULL, ca)->target.kind = CONF_TARGET_MAP;
    tls = make(&setting);
    expect_outcome(join(tls_connect(tls, 0), tls_accept(tls)), host, why);
    expect_outcome(join(tls_connect_to(tls, 1, host), tls_accept(tls)), host, why);
    setting.routes[0].tls_verify = setting.routes[1].tls_verify = false;
    tls_unref(tls);
    tls = make(&setting);
    expect_outcome(join(tls_connect(tls, 0), tls_accept(tls)), host, NULL);
    expect_outcome(join(tls_connect_to(tls, 1, host), tls_accept(tls)), host, NULL);
    tls_unref(tls);
}

static void
test_target_names(void **state)
{
    struct world *world = *state;
    const char *ca = world->ca.cert_file;
    const char *wrong_name = "certificate verify failed: hostname mismatch";
    const char *wrong_ip = "certificate verify failed: IP address mismatch";

    expect_target(&world->plain, "plain.example.org", ca, NULL);
    expect_target(&world->plain, "PLAIN.example.org", ca, NULL);
    expect_target(&world->plain, "plain.example.org.", ca, NULL);
    expect_target(&world->plain, "other.example.org", ca, wrong_name);
    expect_target(&world->plain, "x.plain.example.org", ca, wrong_name);
    expect_target(&world->plain, "plain.example.or", ca, wrong_name);
    expect_target(&world->wildcard, "b.example.org", ca, NULL);
    expect_target(&world->wildcard, "b.c.example.org", ca, wrong_name);
    expect_target(&world->wildcard, "example.org", ca, wrong_name);
    expect_target(&world->partial, "www.example.org", ca, wrong_name);
    expect_target(&world->plain, "127.0.0.1", ca, NULL);
    expect_target(&world->plain, "127.0.0.2", ca, wrong_ip);
    expect_target(&world->plain, "::1", ca, NULL);
    expect_target(&world->plain, "::2", ca, wrong_ip);
    expect_target(&world->plain, "fe80::1%lo", ca, NULL);
    expect_target(&world->exact, "127.0.0.1", ca, wrong_ip);
    expect_target(&world->nameless, "plain.example.org", ca, wrong_name);
}

static void
test_target_chains(void **state)
{
    struct world *world = *state;
    const char *host = "plain.example.org";
    const char *unknown = "certificate verify failed: unable to get local issuer certificate";

    expect_target(&world->plain, host, world->other_ca.cert_file, unknown);
    expect_target(&world->plain, host, NULL, unknown);
    expect_target(&world->expired, host, world->ca.cert_file,
                  "certificate verify failed: certificate has expired");
    expect_target(&world->self_signed, host, world->ca.cert_file,
                  "certificate verify failed: self-signed certificate");
    expect_target(&world->self_signed, host, NULL, "self-signed certificate");
    expect_target(&world->self_signed, host, world->self_signed.cert_file, NULL);
    expect_target(&world->chained, host, world->ca.cert_file, NULL);
    expect_target(&world->chained, host, world->middle.cert_file, NULL);
    expect_target(&world->chained, host, world->chained.cert_file, NULL);
    expect_target(&world->chained, host, world->other_ca.cert_file, unknown);
}

/* A client's certificate is none for a server. */
static void
test_target_usage(void **state)
{
    struct world *world = *state;
    struct cert cert =
        cert_make(&world->certs, (struct cert_options){.name = "client-only",
                                                       .issuer = &world->ca,
                                                       .names = "DNS:plain.example.org",
                                                       .usage = "clientAuth"});

    expect_target(&cert, "plain.example.org", world->ca.cert_file, "certificate verify failed: ");
    cert_free(&cert);
}

/* What the target's side says when it is refused. */
static void
test_target_alert(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;
    struct pair pair;

    add_tls(&setting, NULL, &world->expired);
    add_route(&setting, "plain.example.org", world->ca.cert_file);
    tls = make(&setting);
    pair = join(tls_connect(tls, 0), tls_accept(tls));
    assert_false(pair.ok);
    assert_string_equal(pair.server_why, "alert from the peer: certificate expired");
    part(&pair);
    tls_unref(tls);
}

static void
expect_sni(const char *host, const char *sni)
{
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;
    SSL *ssl;

    add_route(&setting, host, NULL);
    add_route(&setting, NULL, NULL)->target.kind = CONF_TARGET_MAP;
    tls = make(&setting);
    for (unsigned i = 0; i < 2; i++) {
        ssl = i == 0 ? tls_connect(tls, 0) : tls_connect_to(tls, 1, host);
        if (sni == NULL)
            assert_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        else
            assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), sni);
        tls_free(ssl);
    }
    tls_unref(tls);
}

static void
test_target_sni(void **state)
{
    (void)state;
    expect_sni("example.org", "example.org");
    expect_sni("example.org.", "example.org");
    expect_sni("192.0.2.1", NULL);
    expect_sni("2001:db8::1", NULL);
    expect_sni("fe80::1%lo", NULL);
}

/* One after the other from the same context: each expects its own host, and nothing that OpenSSL
 * would take for any. */
static void
test_hosts_of_a_map(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    char long_name[300];
    struct tls *tls;

    memset(long_name, 'a', sizeof long_name);
    long_name[254] = '\0';
    add_tls(&setting, NULL, &world->plain);
    add_route(&setting, NULL, world->ca.cert_file)->target.kind = CONF_TARGET_MAP;
    tls = make(&setting);
    for (unsigned i = 0; i < 3; i++) {
        expect_outcome(join(tls_connect_to(tls, 0, "plain.example.org"), tls_accept(tls)), "",
                       NULL);
        expect_outcome(join(tls_connect_to(tls, 0, "other.example.org"), tls_accept(tls)), "",
                       "hostname mismatch");
        expect_outcome(join(tls_connect_to(tls, 0, "127.0.0.1"), tls_accept(tls)), "", NULL);
        expect_outcome(join(tls_connect_to(tls, 0, "127.0.0.2"), tls_accept(tls)), "",
                       "IP address mismatch");
    }
    assert_null(tls_connect_to(tls, 0, ""));
    assert_null(tls_connect_to(tls, 0, "."));
    assert_null(tls_connect_to(tls, 0, long_name));
    tls_unref(tls);
}

/* Each route its own CA and name, in any mixture with others. */
static void
test_many_routes(void **state)
{
    struct world *world = *state;
    struct setting setting = {.conf = {.n_tls = 0}};
    struct tls *tls;
    static const bool ok[] = {true, false, true};
    static const unsigned index[] = {1, 2, 3};

    add_tls(&setting, NULL, &world->plain);
    add_route(&setting, "x", NULL)->target.kind = CONF_TARGET_TCP;
    add_route(&setting, "plain.example.org", world->ca.cert_file);
    add_route(&setting, "plain.example.org", world->other_ca.cert_file);
    add_route(&setting, "127.0.0.1", world->ca.cert_file);
    tls = make(&setting);
    for (unsigned i = 0; i < 3; i++) {
        struct pair pair = join(tls_connect(tls, index[i]), tls_accept(tls));

        assert_int_equal(pair.ok, ok[i]);
        part(&pair);
    }
    tls_unref(tls);
}

/* ---- tls_why ---- */

static void
test_why(void **state)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    struct setting setting;
    struct tls *tls = plain_server(*state, &setting);
    SSL *server = tls_accept(tls);
    BIO *http = BIO_new_mem_buf("GET / HTTP/1.1\r\n\r\n", -1);
    char why[100], little[8];

    SSL_set_bio(server, http, BIO_new(BIO_s_mem()));
    assert_int_equal(SSL_do_handshake(server), -1);
    tls_why(server, why, sizeof why);
    assert_string_equal(why, "http request");
    errno = ECONNRESET;
    tls_why(server, why, sizeof why);
    assert_string_equal(why, "connection reset by peer");
    tls_why(server, little, sizeof little);
    assert_string_equal(little, "connect");
    errno = 0;
    tls_why(server, why, sizeof why);
    assert_string_equal(why, "connection closed");
    tls_free(server);
    tls_unref(tls);
    SSL_CTX_free(context);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_certificate_mistakes),
        cmocka_unit_test(test_encrypted_key),
        cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_client_ca_missing),
        cmocka_unit_test(test_sni),
        cmocka_unit_test(test_only_named),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_ciphers),
        cmocka_unit_test(test_renegotiation),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_tickets_over_reload),
        cmocka_unit_test(test_tickets_of_another_ca),
        cmocka_unit_test(test_tickets_of_another_mode),
        cmocka_unit_test(test_client_verify),
        cmocka_unit_test(test_client_ca_names),
        cmocka_unit_test(test_target_names),
        cmocka_unit_test(test_target_chains),
        cmocka_unit_test(test_target_usage),
        cmocka_unit_test(test_target_alert),
        cmocka_unit_test(test_target_sni),
        cmocka_unit_test(test_hosts_of_a_map),
        cmocka_unit_test(test_many_routes),
        cmocka_unit_test(test_why),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
