/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http1_class.h"
#include "proto/ws_handshake.h"

enum {
    OFFERED_MAX = 64 /* subprotocols: few enough to compare each with each */
};

static int
refuse(struct ws_handshake *handshake, int status, const char *why)
{
    handshake->error.status = status;
    handshake->error.why = why;
    return -1;
}

/* ---- Upgrade ---- */

/* Whether Accept names a media type, as opposed to a range of them. */
static bool
names_media_type(const struct http1_request *request)
{
    for (unsigned i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;

        if (!span_is_nocase(request->headers[i].name, "Accept"))
            continue;
        while (http1_list_next(&rest, &element)) {
            const char *parameters = memchr(element.at, ';', element.len);
            size_t len = parameters ? (size_t)(parameters - element.at) : element.len;

            if (memchr(element.at, '/', len) && !memchr(element.at, '*', len))
                return true;
        }
    }
    return false;
}

enum ws_upgrade
ws_upgrade(const struct http1_request *request)
{
    unsigned count;
    struct span value = http1_header(request, "Upgrade", &count);

    if (count == 0)
        return WS_UPGRADE_NONE;
    if (count > 1)
        return WS_UPGRADE_OTHER;
    if (span_is_nocase(value, "websocket"))
        return WS_UPGRADE_WEBSOCKET;
    if (span_is_nocase(value, "h2c") && (request->method != HTTP1_GET || names_media_type(request)))
        return WS_UPGRADE_NONE;
    return WS_UPGRADE_OTHER;
}

/* ---- Key and Accept ---- */

/* The unused bits of the last digit are not looked at: the key is compared as text, never decoded.
 */
static bool
is_key(struct span key)
{
    if (key.len != WS_KEY_LEN || key.at[22] != '=' || key.at[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.at[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

        if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/')
            return false;
    }
    return true;
}

struct ws_digest {
    EVP_MD *sha1;
    EVP_MD_CTX *context;
};

static bool
hash(struct ws_digest *digest, const void *data, size_t len, unsigned char *out)
{
    return EVP_DigestInit_ex2(digest->context, digest->sha1, NULL) == 1 &&
           EVP_DigestUpdate(digest->context, data, len) == 1 &&
           EVP_DigestFinal_ex(digest->context, out, NULL) == 1;
}

struct ws_digest *
ws_digest_new(void)
{
    struct ws_digest *digest = calloc(1, sizeof *digest);
    unsigned char out[SHA_DIGEST_LENGTH];

    if (digest == NULL)
        return NULL;
    digest->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    digest->context = EVP_MD_CTX_new();
    if (digest->sha1 != NULL && digest->context != NULL && hash(digest, "", 0, out))
        return digest;
    ws_digest_free(digest);
    return NULL;
}

void
ws_digest_free(struct ws_digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->sha1);
    free(digest);
}

/* Accept for a well-formed key (section 4.2.2). */
static void
accept_of(struct ws_digest *digest, const char *key, char out[WS_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char text[WS_KEY_LEN + sizeof guid - 1], hashed[SHA_DIGEST_LENGTH];
    bool done;

    memcpy(text, key, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, guid, sizeof guid - 1);
    done = hash(digest, text, sizeof text, hashed);
    assert(done); /* it has taken what it needs when it was made */
    EVP_EncodeBlock((unsigned char *)out, hashed, sizeof hashed);
}

/* ---- subprotocols ---- */

/* Collects what the client offers, over all lines. Returns how many, or -1 if that is malformed. */
static int
read_offered(const struct http1_request *request, struct span *offered)
{
    int n = 0;

    for (unsigned i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;

        if (!span_is_nocase(request->headers[i].name, "Sec-WebSocket-Protocol"))
            continue;
        while (http1_list_next(&rest, &element)) {
            if (!http1_is_token(element) || n == OFFERED_MAX)
                return -1;
            for (int k = 0; k < n; k++)
                if (offered[k].len == element.len &&
                    memcmp(offered[k].at, element.at, element.len) == 0)
                    return -1;
            offered[n++] = element;
        }
    }
    return n;
}

static bool
is_listed(struct span offered, const char *const *subprotocols)
{
    for (; *subprotocols; subprotocols++)
        if (span_is(offered, *subprotocols))
            return true;
    return false;
}

static int
choose_subprotocol(const struct http1_request *request, const char *const *subprotocols,
                   bool required, struct ws_handshake *handshake)
{
    struct span offered[OFFERED_MAX];
    int n = read_offered(request, offered);

    if (n < 0)
        return refuse(handshake, 400, "malformed Sec-WebSocket-Protocol");
    for (int i = 0; i < n; i++) {
        if (offered[i].len >= WS_SUBPROTOCOL_MAX || !is_listed(offered[i], subprotocols))
            continue;
        memcpy(handshake->subprotocol, offered[i].at, offered[i].len);
        return 0;
    }
    return required ? refuse(handshake, 400, "no subprotocol in common") : 0;
}

bool
ws_offers(const struct http1_request *request, const char *subprotocol)
{
    struct span offered[OFFERED_MAX];
    int n = read_offered(request, offered);

    for (int i = 0; i < n; i++)
        if (span_is(offered[i], subprotocol))
            return true;
    return false;
}

/* ---- extensions ---- */

static void
skip_space(struct span *s)
{
    while (s->len > 0 && http1_is_space(s->at[0])) {
        s->at++;
        s->len--;
    }
}

/* Takes c, with white space around it, off the front of *s. */
static bool
take(struct span *s, char c)
{
    skip_space(s);
    if (s->len == 0 || s->at[0] != c)
        return false;
    s->at++;
    s->len--;
    skip_space(s);
    return true;
}

static bool
take_token(struct span *s)
{
    size_t len = 0;

    while (len < s->len && http1_is_token_char(s->at[len]))
        len++;
    s->at += len;
    s->len -= len;
    return len > 0;
}

/* The rest of a quoted string, whose first quote was taken. */
static bool
take_quoted(struct span *s)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->at[i] == '\\')
            i++;
        else if (s->at[i] == '"') {
            s->at += i + 1;
            s->len -= i + 1;
            return true;
        }
    }
    return false;
}

/* One element of the list (RFC 6455 section 9.1): a token and its parameters. */
static bool
is_extension(struct span s)
{
    if (!take_token(&s))
        return false;
    while (take(&s, ';')) {
        if (!take_token(&s))
            return false;
        if (!take(&s, '='))
            continue;
        if (s.len > 0 && s.at[0] == '"') {
            s.at++;
            s.len--;
            if (!take_quoted(&s))
                return false;
        } else if (!take_token(&s)) {
            return false;
        }
    }
    return s.len == 0;
}

static bool
extensions_parse(const struct http1_request *request)
{
    for (unsigned i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;

        if (!span_is_nocase(request->headers[i].name, "Sec-WebSocket-Extensions"))
            continue;
        while (http1_list_next(&rest, &element))
            if (!is_extension(element))
                return false;
    }
    return true;
}

/* ---- the handshake ---- */

static int
check_version(const struct http1_request *request, struct ws_handshake *handshake)
{
    unsigned count;
    struct span version = http1_header(request, "Sec-WebSocket-Version", &count);

    if (count > 1)
        return refuse(handshake, 400, "several Sec-WebSocket-Version headers");
    if (count == 0 || !span_is(version, "13"))
        return refuse(handshake, 426, "WebSocket version 13 is needed");
    return 0;
}

int
ws_handshake(const struct http1_request *request, const char *const *subprotocols, bool required,
             struct ws_handshake *handshake)
{
    unsigned keys;
    struct span key = http1_header(request, "Sec-WebSocket-Key", &keys);

    memset(handshake, 0, sizeof *handshake);
    if (request->method != HTTP1_GET || request->minor != 1)
        return refuse(handshake, 400, "a WebSocket is opened by GET and HTTP/1.1");
    if (ws_upgrade(request) != WS_UPGRADE_WEBSOCKET)
        return refuse(handshake, 400, "Upgrade is not exactly websocket");
    if (!http1_has_token(request, "Connection", "upgrade"))
        return refuse(handshake, 400, "Connection without upgrade");
    if (request->chunked || request->content_length > 0)
        return refuse(handshake, 400, "body on an upgrade");
    if (check_version(request, handshake) < 0)
        return -1;
    if (keys != 1 || !is_key(key))
        return refuse(handshake, 400, "missing, doubled or malformed Sec-WebSocket-Key");
    if (!extensions_parse(request))
        return refuse(handshake, 400, "malformed Sec-WebSocket-Extensions");
    if (choose_subprotocol(request, subprotocols, required, handshake) < 0)
        return -1;
    memcpy(handshake->key, key.at, WS_KEY_LEN);
    return 0;
}

size_t
ws_handshake_answer(const struct ws_handshake *handshake, struct ws_digest *digest, char *out,
                    size_t size)
{
    static const char begin[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: ";
    static const char protocol[] = "\r\nSec-WebSocket-Protocol: ";
    static const char end[] = "\r\n\r\n";
    size_t chosen = strlen(handshake->subprotocol);
    size_t len = sizeof begin - 1 + WS_ACCEPT_LEN + sizeof end - 1;
    char *at;

    if (chosen > 0)
        len += sizeof protocol - 1 + chosen;
    if (len >= size)
        return 0;
    at = stpcpy(out, begin);
    accept_of(digest, handshake->key, at);
    at += WS_ACCEPT_LEN;
    if (chosen > 0)
        at = stpcpy(stpcpy(at, protocol), handshake->subprotocol);
    strcpy(at, end);
    return len;
}
