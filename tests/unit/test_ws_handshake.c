/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "http1_feed.h"
#include "proto/ws_handshake.h"

#define UPGRADE    "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION    "Sec-WebSocket-Version: 13\r\n"
#define GOOD       UPGRADE CONNECTION KEY VERSION

static const char *const none[] = {NULL};

static int
open_feed(void **state)
{
    *state = feed_open();
    return 0;
}

static int
close_feed(void **state)
{
    feed_close(*state);
    return 0;
}

/* The status of the answer: 101, or the refusal's. */
static int
shake(void **state, const char *lines, const char *const *subprotocols, bool required,
      struct ws_handshake *handshake)
{
    struct feed *feed = *state;

    assert_int_equal(feed_headers(feed, lines), 0);
    if (ws_handshake(&feed->request, subprotocols, required, handshake) == 0)
        return 101;
    assert_non_null(handshake->error.why);
    return handshake->error.status;
}

static int
status_of(void **state, const char *lines)
{
    struct ws_handshake handshake;

    return shake(state, lines, none, false, &handshake);
}

/* RFC 6455 section 1.3. */
static void
test_example_of_the_standard(void **state)
{
    static const char *const subprotocols[] = {"superchat", "chat", NULL};
    struct ws_handshake handshake;
    char answer[256 + WS_SUBPROTOCOL_MAX];
    struct ws_digest *digest = ws_digest_new();
    size_t len;

    assert_int_equal(shake(state, GOOD "Sec-WebSocket-Protocol: chat, superchat\r\n", subprotocols,
                           true, &handshake),
                     101);
    assert_string_equal(handshake.subprotocol, "chat");
    for (int again = 0; again < 2; again++) /* the digest is used many times */
        len = ws_handshake_answer(&handshake, digest, answer, sizeof answer);
    assert_int_equal(len, strlen(answer));
    assert_string_equal(answer, "HTTP/1.1 101 Switching Protocols\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                "Sec-WebSocket-Protocol: chat\r\n\r\n");
    ws_digest_free(digest);
}

static void
test_answer_fits_or_is_not_given(void **state)
{
    struct ws_handshake handshake;
    struct guard guard = guard_open(400);
    char zeros[400] = "";
    struct ws_digest *digest = ws_digest_new();
    size_t len;

    assert_int_equal(shake(state, GOOD, none, false, &handshake), 101);
    len = ws_handshake_answer(&handshake, digest, zeros, sizeof zeros);
    assert_null(strstr(zeros, "Protocol:"));
    for (size_t size = 0; size < len + 5; size++)
        assert_int_equal(
            ws_handshake_answer(&handshake, digest, guard_end(&guard, zeros, size), size),
            size > len ? len : 0);
    memset(handshake.subprotocol, 'p', WS_SUBPROTOCOL_MAX - 1);
    assert_true(ws_handshake_answer(&handshake, digest, zeros, 256 + WS_SUBPROTOCOL_MAX) > 0);
    ws_digest_free(digest);
    guard_close(&guard);
}

static void
test_variants_that_are_taken(void **state)
{
    static const char *const cases[] = {
        GOOD,
        "upgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" KEY VERSION,
        UPGRADE "Connection: keep-alive\r\nConnection: upgrade\r\n" KEY VERSION,
        GOOD "Content-Length: 0\r\n",
        GOOD "Sec-WebSocket-Protocol: unknown\r\n",
        GOOD "Sec-WebSocket-Protocol:\r\n",
        GOOD "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        GOOD
        "Sec-WebSocket-Extensions: a;b=c;d=\"e\",f ; g = h , i\r\nSec-WebSocket-Extensions: j\r\n",
        GOOD "Sec-WebSocket-Extensions: x; y=\"a,b;c\\\"\"\r\n",
        GOOD "Sec-WebSocket-Extensions:\r\n",
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_of(state, cases[i]), 101);
}

static void
test_variants_that_are_refused(void **state)
{
    static const struct {
        const char *lines;
        int status;
    } cases[] = {
        {CONNECTION KEY VERSION, 400},
        {UPGRADE UPGRADE CONNECTION KEY VERSION, 400},
        {"Upgrade: websocket, h2c\r\n" CONNECTION KEY VERSION, 400},
        {"Upgrade: h2c\r\n" CONNECTION KEY VERSION, 400},
        {"Upgrade: websockets\r\n" CONNECTION KEY VERSION, 400},
        {UPGRADE KEY VERSION, 400},
        {UPGRADE "Connection: keep-alive\r\n" KEY VERSION, 400},
        {UPGRADE "Connection: upgrades, xupgrade\r\n" KEY VERSION, 400},
        {UPGRADE CONNECTION VERSION, 400},
        {UPGRADE CONNECTION KEY KEY VERSION, 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQA=\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbX!sZSBub25jZQ==\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbX-_ZSBub25jZQ==\r\n", 400},
        {UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBs=SBub25jZQ==\r\n", 400},
        {UPGRADE CONNECTION KEY, 426},
        {UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n", 426},
        {UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 013\r\n", 426},
        {UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n", 426},
        {UPGRADE CONNECTION KEY "Sec-WebSocket-Version:\r\n", 426},
        {UPGRADE CONNECTION KEY VERSION VERSION, 400},
        {GOOD "Content-Length: 1\r\n", 400},
        {GOOD "Transfer-Encoding: chunked\r\n", 400},
        {GOOD "Sec-WebSocket-Protocol: a b\r\n", 400},
        {GOOD "Sec-WebSocket-Protocol: a, b/c\r\n", 400},
        {GOOD "Sec-WebSocket-Protocol: \"a\"\r\n", 400},
        {GOOD "Sec-WebSocket-Protocol: a, b, a\r\n", 400},
        {GOOD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a b\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: ;a\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;b=\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;=b\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a=b\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;b=\"c\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;b=\"c\\\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a;b=\"c\"d\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: a, b;c d\r\n", 400},
        {GOOD "Sec-WebSocket-Extensions: \"a\"\r\n", 400},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_of(state, cases[i].lines), cases[i].status);
}

static void
test_methods_and_versions(void **state)
{
    static const char *const lines[] = {
        "POST / HTTP/1.1\r\n", "HEAD / HTTP/1.1\r\n",  "get / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",  "PATCH / HTTP/1.1\r\n",
    };
    struct feed *feed = *state;
    struct ws_handshake handshake;
    char head[500];

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(head, sizeof head, "%sHost: a\r\n" GOOD "\r\n", lines[i]);
        assert_int_equal(feed_text(feed, head), 0);
        assert_int_equal(ws_handshake(&feed->request, none, false, &handshake), -1);
        assert_int_equal(handshake.error.status, 400);
    }
}

/* The client's order decides, whatever the route's; names compare with regard to case. */
static void
test_choice_of_a_subprotocol(void **state)
{
    static const struct {
        const char *offered, *chosen; /* NULL: refused when one is required */
    } cases[] = {
        {"Sec-WebSocket-Protocol: mqtt\r\n", "mqtt"},
        {"Sec-WebSocket-Protocol: x, mqttv3.1, mqtt\r\n", "mqttv3.1"},
        {"Sec-WebSocket-Protocol: mqtt, mqttv3.1\r\n", "mqtt"},
        {"Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y ,mqttv3.1\r\n", "mqttv3.1"},
        {"Sec-WebSocket-Protocol: MQTT, mqt, mqttv3\r\n", NULL},
        {"", NULL},
    };
    static const char *const listed[] = {"mqtt", "mqttv3.1", NULL};
    struct ws_handshake handshake;
    char lines[500];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(lines, sizeof lines, GOOD "%s", cases[i].offered);
        assert_int_equal(shake(state, lines, listed, false, &handshake), 101);
        assert_string_equal(handshake.subprotocol, cases[i].chosen ? cases[i].chosen : "");
        assert_int_equal(shake(state, lines, listed, true, &handshake),
                         cases[i].chosen ? 101 : 400);
    }
}

static void
test_long_subprotocols(void **state)
{
    char name[WS_SUBPROTOCOL_MAX + 1], lines[500];
    const char *listed[] = {name, NULL};
    struct ws_handshake handshake;

    for (size_t len = WS_SUBPROTOCOL_MAX - 1; len <= WS_SUBPROTOCOL_MAX; len++) {
        memset(name, 'p', len);
        name[len] = '\0';
        snprintf(lines, sizeof lines, GOOD "Sec-WebSocket-Protocol: %s\r\n", name);
        assert_int_equal(shake(state, lines, listed, false, &handshake), 101);
        assert_string_equal(handshake.subprotocol, len < WS_SUBPROTOCOL_MAX ? name : "");
    }
}

static void
test_long_lists_take_linear_time(void **state)
{
    char *lines = malloc(FEED_HEAD_MAX);
    clock_t begin = clock();

    for (int round = 0; round < 50; round++) {
        size_t len = (size_t)sprintf(lines, GOOD "Sec-WebSocket-Protocol: ");

        for (int i = 0; i < 4000; i++)
            len += (size_t)sprintf(lines + len, "p%d,", i);
        sprintf(lines + len, "\r\n");
        assert_int_equal(status_of(state, lines), 400);
        len = (size_t)sprintf(lines, GOOD "Sec-WebSocket-Extensions: a");
        for (int i = 0; i < 4000; i++)
            len += (size_t)sprintf(lines + len, "; b=\"\"");
        sprintf(lines + len, "\r\n");
        assert_int_equal(status_of(state, lines), 101);
    }
    assert_true((clock() - begin) / CLOCKS_PER_SEC < 4);
    free(lines);
}

static enum ws_upgrade
upgrade_of(void **state, const char *method, const char *lines)
{
    struct feed *feed = *state;
    char head[500];

    snprintf(head, sizeof head, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, lines);
    assert_int_equal(feed_text(feed, head), 0);
    return ws_upgrade(&feed->request);
}

static void
test_what_an_upgrade_asks_for(void **state)
{
    static const struct {
        const char *method, *lines;
        enum ws_upgrade upgrade;
    } cases[] = {
        {"GET", "", WS_UPGRADE_NONE},
        {"GET", CONNECTION, WS_UPGRADE_NONE},
        {"GET", UPGRADE, WS_UPGRADE_WEBSOCKET},
        {"GET", "Upgrade:  WebSocket \r\n", WS_UPGRADE_WEBSOCKET},
        {"POST", UPGRADE, WS_UPGRADE_WEBSOCKET},
        {"GET", UPGRADE UPGRADE, WS_UPGRADE_OTHER},
        {"GET", UPGRADE "Upgrade: h2c\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: websocket, websocket\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: h2c, websocket\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: websocket/13\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: websocket,\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade:\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: TLS/1.0\r\n", WS_UPGRADE_OTHER},
        {"POST", "Upgrade: TLS/1.0\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: h2c\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: h2c\r\nAccept: */*\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: h2c\r\nAccept: text/*, *;q=0.1\r\n", WS_UPGRADE_OTHER},
        {"GET", "Upgrade: h2c\r\nAccept: text/event-stream\r\n", WS_UPGRADE_NONE},
        {"GET", "Upgrade: H2C\r\nAccept: */*\r\nAccept: a/b;q=*\r\n", WS_UPGRADE_NONE},
        {"POST", "Upgrade: h2c\r\n", WS_UPGRADE_NONE},
        {"DELETE", "Upgrade: h2c\r\n", WS_UPGRADE_NONE},
        {"GET", "Upgrade: h2c, h2c\r\nAccept: text/event-stream\r\n", WS_UPGRADE_OTHER},
        {"POST", "Upgrade: h2c, websocket\r\n", WS_UPGRADE_OTHER},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(upgrade_of(state, cases[i].method, cases[i].lines), cases[i].upgrade);
}

/* A client that does not wait for the 101: its first frames are what the scan leaves. */
static void
test_bytes_behind_the_handshake_are_kept(void **state)
{
    static const char input[] = "GET / HTTP/1.1\r\nHost: a\r\n" GOOD "\r\n\x82\x80\x01\x02\x03\x04";
    struct feed *feed = *state;
    struct span data = {input, sizeof input - 1};
    size_t used;

    for (size_t first = 0; first <= data.len; first++) {
        assert_int_equal(feed_scan(feed, data, FEED_HEAD_MAX, first, 1, &used), HTTP1_DONE);
        assert_int_equal(used, data.len - 6);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_standard),
        cmocka_unit_test(test_answer_fits_or_is_not_given),
        cmocka_unit_test(test_variants_that_are_taken),
        cmocka_unit_test(test_variants_that_are_refused),
        cmocka_unit_test(test_methods_and_versions),
        cmocka_unit_test(test_choice_of_a_subprotocol),
        cmocka_unit_test(test_long_subprotocols),
        cmocka_unit_test(test_long_lists_take_linear_time),
        cmocka_unit_test(test_what_an_upgrade_asks_for),
        cmocka_unit_test(test_bytes_behind_the_handshake_are_kept),
    };

    return cmocka_run_group_tests(tests, open_feed, close_feed);
}
