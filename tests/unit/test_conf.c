/* SPDX-License-Identifier: BSD-2-Clause */
/* Every key: what it takes, what it refuses and in which words; and what has to fit together. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_text.h"

/* ---- the table ---- */

static void
the_table_is_sound(void **state)
{
    (void)state;
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        assert_non_null(key->meaning);
        assert_null(strchr(key->meaning, ';') != NULL && strstr(key->meaning, " ;") ? key : NULL);
        assert_true(strlen(key->name) < 32);
        if (key->type == CONF_SIZE || key->type == CONF_DURATION || key->type == CONF_NUMBER)
            assert_true(key->min < key->max);
        if (key->type == CONF_ENUM || key->type == CONF_SET || key->type == CONF_PATH)
            assert_non_null(key->values);
        for (const struct conf_key *other = conf_keys(); other != key; other++)
            assert_false(strcmp(key->section, other->section) == 0 &&
                         strcmp(key->name, other->name) == 0);
    }
}

static void
defaults_of_everything(void **state)
{
    struct conf *conf = parse(LISTEN_AND_ROUTE);
    const struct conf_route *route = &conf->routes[0];

    (void)state;
    assert_string_equal(conf->file, "test");
    assert_in_range(conf->workers, 1, 256);
    assert_int_equal(conf->socket_mode, 0660);
    assert_true(conf->header_timeout == 10);
    assert_int_equal(conf->header_max, 32768);
    assert_int_equal(conf->log_level, LOG_LEVEL_INFO);
    assert_true(conf->log_access);
    assert_null(conf->log_file);
    assert_int_equal(conf->log_format, CONF_LOG_TEXT);
    assert_string_equal(conf->admin.text, "127.0.0.1:9180");
    assert_int_equal(conf->admin.line, 0);
    assert_true(conf->drain_timeout == 30);
    assert_int_equal(conf->max_connections, 100000);
    assert_int_equal(conf->half_open_max, 10000);
    assert_string_equal(conf->trusted_proxies, "");
    assert_int_equal(conf->n_tls, 0);
    assert_int_equal(conf->n_routes, 1);
    assert_string_equal(route->name, "/");
    assert_null(route->host);
    assert_true(route->prefix);
    assert_int_equal(route->line, 3);
    assert_null(route->web);
    assert_null(route->subprotocols[0]);
    assert_false(route->subprotocols_required);
    assert_int_equal(route->messages, CONF_MESSAGES_BINARY);
    assert_int_equal(route->framing, CONF_FRAMING_NONE);
    assert_string_equal(route->origins[0], "same");
    assert_null(route->origins[1]);
    assert_int_equal(route->origins_line, 0);
    assert_false(route->origin_required);
    assert_true(route->heartbeat == 25 && route->heartbeat_timeout == 10);
    assert_true(route->idle_timeout == 0 && route->connect_timeout == 10);
    assert_true(route->close_timeout == 5 && route->write_timeout == 60);
    assert_true(route->message_timeout == 60);
    assert_int_equal(route->message_max, 1048576);
    assert_int_equal(route->transports,
                     CONF_TRANSPORT_WEBSOCKET | CONF_TRANSPORT_SSE | CONF_TRANSPORT_LONGPOLL);
    assert_true(route->resume_window == 30 && route->reconnect_spread == 5);
    assert_true(route->poll_wait == 25);
    assert_int_equal(route->buffer, 262144);
    assert_int_equal(route->connections_max, 0);
    assert_int_equal(route->connections_per_ip, 0);
    assert_int_equal(route->send_proxy, CONF_SEND_PROXY_NO);
    assert_true(route->tls_verify);
    assert_null(route->tls_ca);
    conf_unref(conf);
}

/* ---- values ---- */

struct refusal {
    const char *section, *key, *expected;
    const char *bad[10];
};

/* The section has all that it needs beside the key, which stands on line 2. */
static void
refuse(const struct refusal *refusal, const char *value)
{
    static const char *const rest[][2] = {
        {"server", "listen = 1\n[route /]\ntarget = echo:\n"},
        {"log", LISTEN_AND_ROUTE},
        {"tls", "certificate = /dev/null\nprivate_key = /dev/null\n" LISTEN_AND_ROUTE},
        {"defaults", LISTEN_AND_ROUTE},
    };
    char *text, *expected;

    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        if (strcmp(rest[i][0], refusal->section) != 0)
            continue;
        assert_true(asprintf(&text, "[%s]\n%s = %s\n%s", refusal->section, refusal->key, value,
                             rest[i][1]) > 0);
        assert_true(asprintf(&expected, "2: [%s] %s: expected %s, got \"%s\"\n", refusal->section,
                             refusal->key, refusal->expected, value) > 0);
        assert_mistakes(text, expected);
        free(text);
        free(expected);
        return;
    }
    fail();
}

static void
values_that_are_refused(void **state)
{
#define TIME "a duration from 100ms to 1h (such as 30s)"
    static const struct refusal refusals[] = {
        {"server",
         "workers",
         "a number from 1 to 256 or auto",
         {"", "0", "257", "-1", "x", "1.5", "Auto", "18446744073709551617", "1k"}},
        {"server",
         "socket_mode",
         "an octal mode from 0000 to 0777 (such as 0660)",
         {"", "8", "0888", "1777", "00660", "rw", "0x10", "-1"}},
        {"server", "header_timeout", TIME, {"", "0", "10", "99ms", "61m", "-1s", "1.5s", "1 s"}},
        {"server",
         "header_max",
         "a size from 1k to 64k (such as 64k)",
         {"", "0", "1023", "65k", "1g", "64K", "64kb", "k", "-1k", "18446744073709551616k"}},
        {"log",
         "level",
         "error, warn, info or debug",
         {"", "Info", "warning", "inf", "info debug"}},
        {"log", "access", "yes or no", {"", "true", "on", "1", "Yes", "YES"}},
        {"tls", "client_verify", "none, optional or required", {"", "yes", "require"}},
        {"tls", "min_version", "1.2 or 1.3", {"", "1.1", "TLSv1.2", "1"}},
        {"defaults", "subprotocols_required", "yes or no", {"", "maybe"}},
        {"defaults",
         "messages",
         "binary, text or base64",
         {"", "Text", "utf-8", "binary,text", "text base64"}},
        {"defaults",
         "framing",
         "none, line, length16 or length32",
         {"", "lines", "length", "length8", "LINE"}},
        {"defaults", "origin_required", "yes or no", {"", "same", "1"}},
        {"defaults", "heartbeat", TIME " or 0", {"", "25", "99ms", "61m", "never"}},
        {"defaults", "heartbeat_timeout", TIME, {"", "0", "25", "99ms", "61m"}},
        {"defaults",
         "idle_timeout",
         "a duration from 100ms to 24h (such as 30s) or 0",
         {"", "25", "99ms", "25h", "1d"}},
        {"defaults", "connect_timeout", TIME, {"", "0", "99ms", "61m"}},
        {"defaults", "close_timeout", TIME, {"", "0", "99ms", "61m"}},
        {"defaults", "write_timeout", TIME, {"", "0", "99ms", "61m"}},
        {"defaults", "message_timeout", TIME " or 0", {"", "60", "99ms", "61m"}},
        {"defaults",
         "message_max",
         "a size from 1k to 64m (such as 64k)",
         {"", "0", "1023", "65m", "67108865", "1g"}},
        {"defaults",
         "buffer",
         "a size from 4k to 1g (such as 64k)",
         {"", "0", "4095", "2g", "1t", "999999999999999"}},
        {"defaults",
         "transports",
         "some of websocket, sse and longpoll, separated by commas",
         {"", "websockets", "sse,", "sse,,longpoll", "sse sse", "sse, sse", "all"}},
        {"defaults",
         "resume_window",
         "a duration from 100ms to 24h (such as 30s) or 0",
         {"", "25", "99ms", "25h"}},
        {"defaults", "reconnect_spread", TIME " or 0", {"", "25", "99ms", "61m"}},
        {"defaults", "poll_wait", TIME, {"", "0", "25", "99ms", "61m"}},
        {"defaults", "tls_verify", "yes or no", {"", "off"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        for (size_t k = 0; k < 10 && refusals[i].bad[k] != NULL; k++)
            refuse(&refusals[i], refusals[i].bad[k]);
    }
}

static void
values_that_are_taken(void **state)
{
    struct conf *conf =
        parse("[server]\nlisten = 1\nworkers = 256\nsocket_mode = 7\nheader_timeout = 100ms\n"
              "header_max = 1024\n[log]\nlevel = error\naccess = no\n"
              "[tls]\ncertificate = /dev/null\nprivate_key = /etc/passwd\nclient_ca = /dev/null\n"
              "client_verify = required\nmin_version = 1.3\n"
              "[route /]\ntarget = echo:\nsubprotocols = a , b.c,!#%&'*+-^_`|~\t,$$\n"
              "subprotocols_required = yes\nheartbeat = 0\nheartbeat_timeout = 1h\n"
              "idle_timeout = 24h\nconnect_timeout = 1500ms\nclose_timeout = 2m\n"
              "write_timeout = 3600s\nmessage_timeout = 0ms\nbuffer = 1g\ntls_verify = no\n"
              "tls_ca = /dev/null\nweb = /tmp//\nmessages = base64\nframing = length32\n"
              "origin_required = yes\nmessage_max = 64m\n"
              "origins = https://a.example , http://[::1]:8080,\tany://same\n"
              "transports = longpoll,websocket\nresume_window = 24h\nreconnect_spread = 0\n"
              "poll_wait = 100ms\n");
    const struct conf_route *route = &conf->routes[0];

    (void)state;
    assert_int_equal(conf->workers, 256);
    assert_int_equal(conf->socket_mode, 07);
    assert_true(conf->header_timeout == 0.1);
    assert_int_equal(conf->header_max, 1024);
    assert_int_equal(conf->log_level, LOG_LEVEL_ERROR);
    assert_false(conf->log_access);
    assert_int_equal(conf->tls[0].client_verify, CONF_VERIFY_REQUIRED);
    assert_int_equal(conf->tls[0].min_version, CONF_TLS_1_3);
    assert_string_equal(conf->tls[0].client_ca, "/dev/null");
    assert_int_equal(conf->tls[0].line, 10);
    assert_int_equal(conf->tls[0].certificate_line, 11);
    assert_int_equal(conf->tls[0].private_key_line, 12);
    assert_int_equal(conf->tls[0].client_ca_line, 13);
    assert_string_equal(route->subprotocols[0], "a");
    assert_string_equal(route->subprotocols[1], "b.c");
    assert_string_equal(route->subprotocols[2], "!#%&'*+-^_`|~");
    assert_string_equal(route->subprotocols[3], "$");
    assert_null(route->subprotocols[4]);
    assert_true(route->subprotocols_required);
    assert_true(route->heartbeat == 0 && route->heartbeat_timeout == 3600);
    assert_true(route->idle_timeout == 86400 && route->connect_timeout == 1.5);
    assert_true(route->close_timeout == 120 && route->write_timeout == 3600);
    assert_true(route->message_timeout == 0);
    assert_int_equal(route->buffer, 1 << 30);
    assert_false(route->tls_verify);
    assert_string_equal(route->tls_ca, "/dev/null");
    assert_int_equal(route->tls_ca_line, 29);
    assert_string_equal(route->web, "/tmp");
    assert_int_equal(route->messages, CONF_MESSAGES_BASE64);
    assert_int_equal(route->framing, CONF_FRAMING_LENGTH32);
    assert_true(route->origin_required);
    assert_int_equal(route->message_max, 64 << 20);
    assert_string_equal(route->origins[0], "https://a.example");
    assert_string_equal(route->origins[1], "http://[::1]:8080");
    assert_string_equal(route->origins[2], "any://same");
    assert_null(route->origins[3]);
    assert_int_equal(route->origins_line, 35);
    assert_int_equal(route->transports, CONF_TRANSPORT_WEBSOCKET | CONF_TRANSPORT_LONGPOLL);
    assert_true(route->resume_window == 86400 && route->reconnect_spread == 0);
    assert_true(route->poll_wait == 0.1);
    conf_unref(conf);
}

/* ---- keys and sections ---- */

static void
keys_that_are_refused(void **state)
{
    (void)state;
    assert_added_mistakes("hartbeat = 1s\nxyz = 1\nlisten = 2\ncertificate = /dev/null\n"
                          "[defaults]\ntarget = echo:\nlevel = info\n[log]\nacess = yes\nlevel = "
                          "info\nlevel = warn\nlevel = info\n",
                          "5: [route /] hartbeat: unknown key; did you mean heartbeat?\n"
                          "6: [route /] xyz: unknown key\n"
                          "7: [route /] listen: not a key of this section, but of [server]\n"
                          "8: [route /] certificate: not a key of this section, but of [tls]\n"
                          "10: [defaults] target: not a key of this section, but of [route PATH]\n"
                          "11: [defaults] level: not a key of this section, but of [log]\n"
                          "13: [log] acess: unknown key; did you mean access?\n"
                          "15: [log] level: repeated; it already stands in line 14\n"
                          "16: [log] level: repeated; it already stands in line 14\n");
    assert_added_mistakes("subprotocols_rejected = a\n", /* too far from any */
                          "5: [route /] subprotocols_rejected: unknown key\n");
    /* Keys of things that are still to come. */
    assert_added_mistakes("auth = jwt\nrate_messages = 9\n[relay]\nurl = x\n",
                          "5: [route /] auth: unknown key\n6: [route /] rate_messages: unknown "
                          "key\n7: [relay]: unknown section\n");
}

static void
sections_that_are_refused(void **state)
{
    (void)state;
    assert_added_mistakes("[server]\nworkers = 0\n[log]\n[log]\n[defaults]\n[defaults]\n[route /]\n"
                          "target = echo:\n[server x]\nlisten = 2\n[rout /]\n[route]\n",
                          "5: [server]: repeated; it already stands in line 1\n"
                          "5: [server] listen: missing; it has no default\n"
                          "6: [server] workers: expected a number from 1 to 256 or auto, got "
                          "\"0\"\n"
                          "8: [log]: repeated; it already stands in line 7\n"
                          "10: [defaults]: repeated; it already stands in line 9\n"
                          "11: [route /]: repeated; it already stands in line 3\n"
                          "13: [server x]: expected [server], which takes no name\n"
                          "13: [server x]: repeated; it already stands in line 1\n"
                          "15: [rout /]: unknown section; did you mean [route]?\n"
                          "16: [route]: expected [route /PATH] or [route HOST/PATH]\n");
}

static void
what_must_be_there(void **state)
{
    (void)state;
    assert_mistakes("", "0: [server] with listen is missing: there must be at least one address to "
                        "listen on\n"
                        "0: [route PATH] with target is missing: there must be at least one "
                        "route\n");
    assert_mistakes("[server]\n\n[route /a]\n[route /b]\ntarget =\n[tls]\n",
                    "1: [server] listen: missing; it has no default\n"
                    "3: [route /a] target: missing; it has no default\n"
                    "5: [route /b] target: expected tcp://HOST:PORT, tls://HOST:PORT, "
                    "mqtt://HOST[:PORT], mqtts://HOST[:PORT], mqtt+unix:PATH, unix:PATH, "
                    "topics:, topics:BUS, map:FILE, echo: or files:DIR, got \"\"\n"
                    "6: [tls] certificate: missing; it has no default\n"
                    "6: [tls] private_key: missing; it has no default\n");
}

static void
defaults_are_for_routes_without_the_key(void **state)
{
    struct conf *conf = parse("[route /a]\ntarget = echo:\nheartbeat = 1s\nweb =\n"
                              "[route /files]\ntarget = files:/tmp\n"
                              "[defaults]\nheartbeat = 2s\nbuffer = 8k\nweb = /tmp\n"
                              "subprotocols = x\nsubprotocols_required = yes\n"
                              "[server]\nlisten = 1\n[route /b]\ntarget = echo:\n");

    (void)state;
    assert_true(conf->routes[0].heartbeat == 1);
    assert_null(conf->routes[0].web);
    assert_int_equal(conf->routes[0].buffer, 8192);
    /* Where no WebSocket is answered, what [defaults] says of that is not meant. */
    assert_null(conf->routes[1].web);
    assert_null(conf->routes[1].subprotocols[0]);
    assert_false(conf->routes[1].subprotocols_required);
    assert_true(conf->routes[2].heartbeat == 2);
    assert_string_equal(conf->routes[2].web, "/tmp");
    assert_string_equal(conf->routes[2].subprotocols[0], "x");
    conf_unref(conf);
}

static void
what_does_not_fit_together(void **state)
{
    (void)state;
    assert_mistakes("[server]\nlisten = 1\n[route /]\ntarget = files:/tmp\nweb = /tmp\n"
                    "subprotocols = a\n",
                    "5: [route /] web: not with a target files:\n"
                    "6: [route /] subprotocols: not with a target files:\n");
    assert_added_mistakes("subprotocols_required = yes\n",
                          "5: [route /] subprotocols_required: needs subprotocols: without any, no "
                          "client is let in\n");
    assert_added_mistakes("[defaults]\nsubprotocols_required = yes\n",
                          "3: [route /] subprotocols_required: needs subprotocols: without any, no "
                          "client is let in\n");
    assert_added_mistakes("resume_window = 0\ntransports = sse, longpoll\n",
                          "6: [route /] transports: sse and longpoll need a resume_window: without "
                          "one, nobody is let in\n");
    assert_added_mistakes("[defaults]\ntransports = sse\nresume_window = 0\n",
                          "3: [route /] transports: sse and longpoll need a resume_window: without "
                          "one, nobody is let in\n");
}

/* ---- [tls] ---- */

#define CERTIFICATE "certificate = /dev/null\nprivate_key = /dev/null\n"

static void
tls_sections(void **state)
{
    struct conf *conf =
        parse(LISTEN_AND_ROUTE "[tls *.Example.ORG]\n" CERTIFICATE "[tls]\n" CERTIFICATE
                               "[tls  b.example.org ]\n" CERTIFICATE);
    (void)state;
    assert_int_equal(conf->n_tls, 3);
    assert_null(conf->tls[0].host);
    assert_int_equal(conf->tls[0].line, 8);
    assert_string_equal(conf->tls[1].host, "*.example.org");
    assert_string_equal(conf->tls[2].host, "b.example.org");
    conf_unref(conf);
}

static void
tls_mistakes(void **state)
{
    (void)state;
    assert_mistakes("[server]\nlisten = 1 tls\nlisten = 2\nlisten = 3 tls\n[route /]\ntarget = "
                    "echo:\n",
                    "2: [server] listen: tls needs a section [tls] with a certificate\n"
                    "4: [server] listen: tls needs a section [tls] with a certificate\n");
    assert_added_mistakes("[tls a.b]\n" CERTIFICATE,
                          "5: [tls]: missing: a client may ask for another host, or for none\n");
    assert_added_mistakes("[tls]\n" CERTIFICATE "client_verify = optional\n",
                          "8: [tls] client_verify: needs client_ca\n");
    assert_added_mistakes("[tls]\n" CERTIFICATE "client_ca =\nclient_verify = required\n",
                          "9: [tls] client_verify: needs client_ca\n");
    assert_added_mistakes("[tls]\n" CERTIFICATE "[tls]\n" CERTIFICATE "[tls a]\n" CERTIFICATE
                          "[tls A]\n" CERTIFICATE "min_version = 1.3\n",
                          "8: [tls]: repeated; it already stands in line 5\n"
                          "14: [tls A]: repeated; it already stands in line 11\n"
                          "17: [tls A] min_version: not a key of this section, but of [tls]\n");
    assert_added_mistakes("[tls]\n" CERTIFICATE "[tls a:443]\n" CERTIFICATE "[tls *]\n" CERTIFICATE
                          "[tls a.*.b]\n" CERTIFICATE,
                          "8: [tls a:443]: \"a:443\" is no host: expected a name, *.NAME or an "
                          "IPv4 address, without a port\n"
                          "11: [tls *]: \"*\" is no host: expected a name, *.NAME or an IPv4 "
                          "address\n"
                          "14: [tls a.*.b]: \"a.*.b\" is no host: expected a name, *.NAME or an "
                          "IPv4 address\n");
    assert_added_mistakes("[tls]\ncertificate = /nonexistent/x.crt\nprivate_key =\nclient_ca = "
                          "/tmp\nclient_verify = required\n",
                          "6: [tls] certificate: /nonexistent/x.crt: No such file or directory\n"
                          "7: [tls] private_key: expected a file, got \"\"\n"
                          "8: [tls] client_ca: /tmp: a directory, expected a file\n");
}

/* ---- how many ---- */

static char *
many(const char *begin, const char *line, unsigned n)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    fputs(begin, out);
    for (unsigned i = 1; i <= n; i++) {
        const char *number = strchr(line, '%');
        fprintf(out, "%.*s%u%s", (int)(number - line), line, i, number + 1);
    }
    fclose(out);
    return text;
}

static void
bounds(void **state)
{
    char *text = many("[route /]\ntarget = echo:\n[server]\n", "listen = %\n", 64);
    struct conf *conf = parse(text);

    (void)state;
    assert_int_equal(conf->n_listens, 64);
    conf_unref(conf);
    free(text);
    text = many("[route /]\ntarget = echo:\n[server]\n", "listen = %\n", 66);
    assert_mistakes(text, "68: [server] listen: at most 64 are taken\n"
                          "69: [server] listen: at most 64 are taken\n");
    free(text);
    text = many("[server]\nlisten = 1\n", "[route /%]\ntarget = echo:\n", 1000);
    conf = parse(text);
    assert_int_equal(conf->n_routes, 1000);
    assert_ptr_equal(conf_find_route(conf, "x", "/1000"), &conf->routes[999]);
    conf_unref(conf);
    free(text);
    text = many("[server]\nlisten = 1\n", "[route /%]\ntarget = echo:\n", 1002);
    assert_mistakes(text, "2003: [route /1001]: at most 1000 routes are taken\n");
    free(text);
}

/* ---- references ---- */

static void *
take_and_give(void *arg)
{
    struct conf *conf = arg;

    for (int i = 0; i < 20000; i++)
        conf_unref(conf_ref(conf));
    conf_unref(conf);
    return NULL;
}

static void
references_from_many_threads(void **state)
{
    struct conf *conf = parse(LISTEN_AND_ROUTE);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, conf_ref(conf)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(conf->references, 1);
    conf_unref(conf);
    conf_unref(NULL);
}

static void
reports_are_printed(void **state)
{
    struct conf_report report;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    conf_report_init(&report, "a.ini");
    conf_report_add(&report, 7, "seven %d", 7);
    conf_report_add(&report, 3, "three\n\x1b[0m");
    conf_report_add(&report, 7, "seven again");
    conf_report_add(&report, 0, "the whole");
    conf_report_print(&report, out);
    fclose(out);
    assert_string_equal(text, "a.ini: the whole\na.ini:3: three\\x0a\\x1b[0m\na.ini:7: seven 7\n"
                              "a.ini:7: seven again\n");
    free(text);
    conf_report_deinit(&report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(defaults_of_everything),
        cmocka_unit_test(values_that_are_refused),
        cmocka_unit_test(values_that_are_taken),
        cmocka_unit_test(keys_that_are_refused),
        cmocka_unit_test(sections_that_are_refused),
        cmocka_unit_test(what_must_be_there),
        cmocka_unit_test(defaults_are_for_routes_without_the_key),
        cmocka_unit_test(what_does_not_fit_together),
        cmocka_unit_test(tls_sections),
        cmocka_unit_test(tls_mistakes),
        cmocka_unit_test(bounds),
        cmocka_unit_test(references_from_many_threads),
        cmocka_unit_test(reports_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
