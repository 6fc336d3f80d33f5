/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws_handshake -- the opening handshake of RFC 6455 section 4, server's side.
 */
#ifndef CULVERT_PROTO_WS_HANDSHAKE_H
#define CULVERT_PROTO_WS_HANDSHAKE_H

#include "proto/http1.h"

enum {
    WS_KEY_LEN = 24,         /* base64 of 16 bytes, without NUL */
    WS_ACCEPT_LEN = 28,      /* base64 of a SHA-1, without NUL */
    WS_SUBPROTOCOL_MAX = 64, /* bytes of a subprotocol that may be chosen, NUL included */
};

struct ws_handshake {
    struct http1_error error;
    char key[WS_KEY_LEN];                 /* the client's */
    char subprotocol[WS_SUBPROTOCOL_MAX]; /* the chosen one, empty if none */
};

/* What a request with an Upgrade header asks for. */
enum ws_upgrade {
    WS_UPGRADE_NONE, /* no Upgrade header, or only h2c, which is never honoured (and ignored if the
                        request makes sense without: an Accept that names a media type, or a method
                        other than GET) */
    WS_UPGRADE_WEBSOCKET, /* exactly "websocket": go on with ws_handshake() */
    WS_UPGRADE_OTHER,     /* anything else, or several tokens: 400 and close */
};
enum ws_upgrade ws_upgrade(const struct http1_request *request);

/*
 * Checks the request and fills *handshake. subprotocols is a NULL-terminated list that the route
 * allows, in any order: the first of the client's that is on it is chosen (names compare exactly).
 * Refused with 400: another method than GET, HTTP/1.0, no `upgrade` among the tokens of Connection,
 * a body, Key missing, doubled or not base64 of 16 bytes, malformed Sec-WebSocket-Protocol (not
 * tokens, the same twice, more than 64); none in common if required is true. With 426 (the answer
 * needs Sec-WebSocket-Version: 13): Version missing or another (two Version headers: 400).
 * Sec-WebSocket-Extensions must parse (400) and is otherwise ignored: none is on offer. A list
 * without elements offers nothing. Returns 0, or -1 with handshake->error set.
 */
int ws_handshake(const struct http1_request *request, const char *const *subprotocols,
                 bool required, struct ws_handshake *handshake) __attribute__((warn_unused_result));

/* Whether a request's Sec-WebSocket-Protocol, which ws_handshake() has taken, names one. */
bool ws_offers(const struct http1_request *request, const char *subprotocol);

/* SHA-1, ready to use: to look it up in the library takes ten times as long as hashing a key. For one
 * thread at a time. Returns NULL without memory, or if the library has none. */
struct ws_digest;
struct ws_digest *ws_digest_new(void) __attribute__((warn_unused_result));
void ws_digest_free(struct ws_digest *digest);

/* Writes the complete 101 answer to out. Returns its length, or 0 if it does not fit (256 +
 * WS_SUBPROTOCOL_MAX bytes do). */
size_t ws_handshake_answer(const struct ws_handshake *handshake, struct ws_digest *digest,
                           char *out, size_t size);

#endif
