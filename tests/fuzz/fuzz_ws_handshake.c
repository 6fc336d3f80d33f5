/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opening handshake on any head that parses. What is accepted holds all that the standard asks
 * for. Input: options, a request head or header lines.
 */
#include "fuzz.h"
#include "proto/http1_class.h"
#include "proto/ws_handshake.h"

static const char *const listed[] = {"mqtt", "a", "culvert.v1", NULL};
static const char *const nothing[] = {NULL};

/* Counts the lines that have this name, by looking at every one. */
static unsigned
count(const struct http1_request *request, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < request->n_headers; i++)
        n += span_is_nocase(request->headers[i].name, name);
    return n;
}

static void
check_accepted(const struct http1_request *request, const struct ws_handshake *handshake,
               bool required)
{
    static struct ws_digest *digest; /* of the whole run */
    char answer[256 + WS_SUBPROTOCOL_MAX], again[256 + WS_SUBPROTOCOL_MAX];
    size_t len;
    unsigned n;

    if (digest == NULL)
        digest = ws_digest_new();
    CHECK(digest != NULL);
    len = ws_handshake_answer(handshake, digest, answer, sizeof answer);

    CHECK(request->method == HTTP1_GET && request->minor == 1 && request->host.len > 0);
    CHECK(count(request, "Upgrade") == 1 && ws_upgrade(request) == WS_UPGRADE_WEBSOCKET);
    CHECK(count(request, "Sec-WebSocket-Key") == 1 && count(request, "Sec-WebSocket-Version") == 1);
    CHECK(http1_header(request, "sec-websocket-key", &n).len == 24);
    CHECK(http1_has_token(request, "Connection", "upgrade"));
    CHECK(!request->chunked && request->content_length == 0);
    CHECK(memcmp(handshake->key, http1_header(request, "sec-websocket-key", &n).at, 24) == 0);
    CHECK(!required || handshake->subprotocol[0] != '\0');
    CHECK(handshake->subprotocol[0] == '\0' ||
          http1_has_token(request, "Sec-WebSocket-Protocol", handshake->subprotocol));
    CHECK(len > 0 && strlen(answer) == len);
    CHECK(strcmp(answer + len - 4, "\r\n\r\n") == 0);
    CHECK(ws_handshake_answer(handshake, digest, again, len + 1) == len);
    CHECK(ws_handshake_answer(handshake, digest, again, len) == 0);
}

static void
check_head(const char *text, size_t len, unsigned flags)
{
    struct http1_request *request = malloc(sizeof *request);
    struct http1_error error;
    struct http1_scan scan;
    struct ws_handshake handshake;
    size_t used;
    bool required = flags & 1;
    char *head = fuzz_copy(text, len);

    CHECK(request != NULL);
    http1_scan_init(&scan, HTTP1_HEAD_MAX);
    if (http1_scan(&scan, head, len, &used) == HTTP1_DONE &&
        http1_parse(head, used, request, &error) == HTTP1_DONE) {
        CHECK(request->upgrade == (count(request, "Upgrade") > 0));
        CHECK(request->upgrade || ws_upgrade(request) == WS_UPGRADE_NONE);
        if (ws_handshake(request, flags & 2 ? listed : nothing, required, &handshake) == 0)
            check_accepted(request, &handshake, required);
        else
            CHECK((handshake.error.status == 400 || handshake.error.status == 426) &&
                  handshake.error.why);
    }
    free(head);
    free(request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char good[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                               "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    struct fuzz in = {data, len};
    unsigned flags = fuzz_byte(&in);
    struct fuzz_log head = {0};

    /* Most of what is wanted is there already, or nothing. */
    if (flags & 4)
        fuzz_log(&head, good, sizeof good - 1);
    fuzz_log(&head, in.at, in.len);
    if (flags & 8)
        fuzz_log(&head, "\r\n\r\n", 4);
    check_head((const char *)head.at, head.len, flags);
    free(head.at);
    return 0;
}
