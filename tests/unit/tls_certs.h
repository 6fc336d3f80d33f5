/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_certs -- for tests: certificates and keys made on the spot, in a folder of their own.
 */
#ifndef CULVERT_TESTS_TLS_CERTS_H
#define CULVERT_TESTS_TLS_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct certs {
    char directory[32];
    unsigned n_files;
    char *files[64];
};

struct cert {
    X509 *x509;
    EVP_PKEY *key;
    const char *cert_file;
    const char *key_file;
};

struct cert_options {
    const char *name;          /* common name, and of the files */
    const char *names;         /* "DNS:…,IP:…"; NULL: none */
    const struct cert *issuer; /* NULL: itself */
    bool ca;
    bool expired;
    const char *usage;        /* extended key usage; NULL: none said */
    const struct cert *chain; /* also in the certificate's file */
};

static inline void
certs_init(struct certs *certs)
{
    certs->n_files = 0;
    strcpy(certs->directory, "/tmp/test_tls_XXXXXX");
    assert_non_null(mkdtemp(certs->directory));
}

static inline void
certs_deinit(struct certs *certs)
{
    for (unsigned i = 0; i < certs->n_files; i++) {
        unlink(certs->files[i]);
        free(certs->files[i]);
    }
    rmdir(certs->directory);
}

/* A path in the folder, which is removed at the end. */
static inline const char *
certs_path(struct certs *certs, const char *name, const char *suffix)
{
    char *path;

    assert_true(certs->n_files < 64);
    assert_true(asprintf(&path, "%s/%s%s", certs->directory, name, suffix) > 0);
    certs->files[certs->n_files++] = path;
    return path;
}

static inline const char *
certs_write(struct certs *certs, const char *name, const char *text)
{
    const char *path = certs_path(certs, name, "");
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static inline void
cert_extend(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void
cert_fill(struct cert *cert, const struct cert_options *options)
{
    X509 *issuer = options->issuer != NULL ? options->issuer->x509 : cert->x509;
    X509_NAME *name = X509_get_subject_name(cert->x509);

    X509_set_version(cert->x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert->x509), 1 + rand());
    X509_gmtime_adj(X509_getm_notBefore(cert->x509), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert->x509), options->expired ? -3600 : 7200);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)options->name, -1,
                               -1, 0);
    X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer));
    X509_set_pubkey(cert->x509, cert->key);
    cert_extend(cert->x509, issuer, NID_basic_constraints,
                options->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (options->names != NULL)
        cert_extend(cert->x509, issuer, NID_subject_alt_name, options->names);
    if (options->usage != NULL)
        cert_extend(cert->x509, issuer, NID_ext_key_usage, options->usage);
}

static inline void
cert_write(struct certs *certs, struct cert *cert, const struct cert_options *options)
{
    FILE *file;

    cert->cert_file = certs_path(certs, options->name, ".crt");
    cert->key_file = certs_path(certs, options->name, ".key");
    file = fopen(cert->cert_file, "w");
    assert_int_equal(PEM_write_X509(file, cert->x509), 1);
    if (options->chain != NULL)
        assert_int_equal(PEM_write_X509(file, options->chain->x509), 1);
    fclose(file);
    file = fopen(cert->key_file, "w");
    assert_int_equal(PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static inline struct cert
cert_make(struct certs *certs, struct cert_options options)
{
    struct cert cert = {.x509 = X509_new(), .key = EVP_EC_gen("P-256")};

    cert_fill(&cert, &options);
    assert_true(X509_sign(cert.x509, options.issuer != NULL ? options.issuer->key : cert.key,
                          EVP_sha256()) > 0);
    cert_write(certs, &cert, &options);
    return cert;
}

static inline void
cert_free(struct cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
}

#endif
