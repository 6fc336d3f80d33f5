/* SPDX-License-Identifier: BSD-2-Clause */
/* What --dump writes, that it can be read again, and the short form of the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_text.h"

static void
assert_round_trip(const struct conf *conf)
{
    char *first = dump_text(conf), *second;
    struct conf *again = parse(first);

    second = dump_text(again);
    assert_string_equal(first, second);
    conf_unref(again);
    free(first);
    free(second);
}

/* That of no section. */
#define BUS_DUMP                                                                                   \
    "[bus]\nurl = memory:\nhistory_messages = 1000\nhistory_bytes = 16m\nretained_max = 10000\n"   \
    "retained_bytes = 64m\n"                                                                       \
    "client_id =\nusername =\npassword_file =\nmqtt_version = 5\nqos = 1\nkeep_alive = 20s\n"      \
    "connect_timeout = 10s\npublish_timeout = 10s\npublish_max = 1000\nclean_start = no\n"         \
    "session_expiry = 1h\nwill_topic =\nwill_payload =\nwill_qos = 0\nwill_retain = no\n"          \
    "tls_verify = yes\ntls_ca =\ntls_certificate =\ntls_private_key =\n\n"

static void
every_key_is_written(void **state)
{
    struct conf *conf =
        parse("[tls]\ncertificate = /dev/null\nprivate_key = dev/null\n[tls A.b]\ncertificate = "
              "/dev/null\nprivate_key = /dev/null\n[server]\nworkers = 3\nlisten = :80\nlisten = "
              "unix:x tls ; c\n[defaults]\nheartbeat = 90s\nidle_timeout = 60m\n"
              "[route H/a b/]\ntarget = files:tmp/\n[route /]\ntarget = tls://[::1]:1\n"
              "subprotocols = a , b\nweb = tmp\nconnect_timeout = 1500ms\nbuffer = 1025k\n"
              "messages = text\nframing = length16\nmessage_max = 3072k\norigin_required = yes\n"
              "origins = https://a.test , http://b.test:8080\ntransports = longpoll , sse\n");
    char *text = dump_text(conf);

    (void)state;
    assert_string_equal(
        text, "[server]\nlisten = :80\nlisten = unix:/x tls\nworkers = 3\nsocket_mode = 0660\n"
              "admin = 127.0.0.1:9180\ndrain_timeout = 30s\nmax_connections = 100000\n"
              "half_open_max = 10000\ntrusted_proxies =\nheader_timeout = 10s\nheader_max = 32k\n\n"
              "[log]\nlevel = info\nformat = text\naccess = yes\nfile = -\n\n"
              "[tls]\ncertificate = /dev/null\nprivate_key = /dev/null\nclient_ca =\n"
              "client_verify = none\nmin_version = 1.2\n\n"
              "[tls a.b]\ncertificate = /dev/null\nprivate_key = /dev/null\n\n" BUS_DUMP
              "[route H/a b/]\ntarget = files:/tmp\n"
              "subprotocols_required = no\nheartbeat = 90s\nheartbeat_timeout = 10s\n"
              "idle_timeout = 1h\nconnect_timeout = 10s\nclose_timeout = 5s\nwrite_timeout = 1m\n"
              "message_timeout = 1m\nbuffer = 256k\ntls_verify = yes\ntls_ca =\n\n"
              "[route /]\ntarget = tls://[::1]:1\nweb = /tmp\ntransports = sse,longpoll\n"
              "subprotocols = a,b\n"
              "subprotocols_required = no\nmessages = text\nframing = length16\n"
              "origins = https://a.test,http://b.test:8080\norigin_required = yes\n"
              "heartbeat = 90s\nheartbeat_timeout = 10s\n"
              "idle_timeout = 1h\nconnect_timeout = 1500ms\nclose_timeout = 5s\n"
              "write_timeout = 1m\nmessage_timeout = 1m\nmessage_max = 3m\nbuffer = 1025k\n"
              "resume_window = 30s\nreconnect_spread = 5s\npoll_wait = 25s\n"
              "connections_max = 0\nconnections_per_ip = 0\nsend_proxy = no\ntls_verify = yes\n"
              "tls_ca =\n");
    free(text);
    assert_round_trip(conf);
    conf_unref(conf);
}

static void
odd_values(void **state)
{
    static const char *const odd[] = {
        " ",     "  a",   "a  ",  "\ta\t", ";",     " ;",       "a ;b", "a;b",     "\\;",
        "\\",    "a\\",   "\\ ;", "$",     "$$",    "${X}",     "${",   "}",       "$ {:-x}",
        "a = b", "[log]", "#",    " # ",   "\"a\"", "\xc3\xbc", "\xff", "a\t;\tb", "; ; ;$;$ ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct conf *conf, *again;
        char *text;

        setenv("CT_ODD", odd[i], 1);
        conf = parse("[server]\nlisten = 1\n[route /]\ntarget = unix:/${CT_ODD}\n"
                     "[route /2]\ntarget = unix:${CT_ODD}\n"
                     "[route /3]\ntarget = mqtt+unix:/${CT_ODD}\n");
        unsetenv("CT_ODD");
        assert_string_equal(conf->routes[0].target.path + 1, odd[i]);
        text = dump_text(conf);
        again = parse(text);
        assert_string_equal(again->routes[0].target.path + 1, odd[i]);
        assert_string_equal(again->routes[1].target.path + 1, odd[i]);
        assert_string_equal(again->routes[2].target.path + 1, odd[i]);
        assert_int_equal(again->routes[2].target.kind, CONF_TARGET_MQTT);
        free(text);
        conf_unref(again);
        assert_round_trip(conf);
        conf_unref(conf);
    }
}

static void
directories_with_odd_names(void **state)
{
    char folder[] = "/tmp/test_conf;$a XXXXXX", path[64];
    struct conf *conf;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s ; ", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    setenv("CT_DIR", path, 1);
    conf = parse("[server]\nlisten = 1\n[route /]\ntarget = echo:\nweb = ${CT_DIR}\n"
                 "[route /f]\ntarget = files:${CT_DIR}\n");
    assert_string_equal(conf->routes[0].web, path);
    assert_string_equal(conf->routes[1].target.path, path);
    assert_round_trip(conf);
    conf_unref(conf);
    unsetenv("CT_DIR");
    assert_int_equal(rmdir(path) | rmdir(folder), 0);
}

/* What an origin may hold is for others to say: here all of it comes back. */
static void
odd_origins(void **state)
{
    struct conf *conf = parse(LISTEN_AND_ROUTE "origins = a://\\;, b://$$x;y, \\;://c\\, d://#\n");

    (void)state;
    assert_string_equal(conf->routes[0].origins[0], "a://;");
    assert_string_equal(conf->routes[0].origins[1], "b://$x;y");
    assert_string_equal(conf->routes[0].origins[2], ";://c\\");
    assert_string_equal(conf->routes[0].origins[3], "d://#");
    assert_round_trip(conf);
    conf_unref(conf);
}

/* As long as a value may be: the dump must not be longer. */
static void
long_lists(void **state)
{
    char text[9000];
    size_t at = (size_t)snprintf(text, sizeof(text), "%ssubprotocols = ", LISTEN_AND_ROUTE);
    struct conf *conf;

    (void)state;
    for (unsigned i = 0; i < 2048; i++)
        at += (size_t)snprintf(text + at, 8, "%03x,", i);
    text[at - 1] = '\0';
    conf = parse(text);
    assert_string_equal(conf->routes[0].subprotocols[2047], "7ff");
    assert_round_trip(conf);
    conf_unref(conf);
}

/* ---- the command line ---- */

static struct conf *
accept_arguments(const char *listen, const char *target, const char *web)
{
    struct conf_report report;
    struct conf *conf;
    char *mistakes;

    conf_report_init(&report, "command line");
    conf = conf_from_arguments(listen, target, web, &report);
    mistakes = report_text(&report);
    assert_string_equal(mistakes, "");
    free(mistakes);
    conf_report_deinit(&report);
    assert_non_null(conf);
    assert_int_equal(conf->n_routes, 1);
    assert_string_equal(conf->file, "command line");
    assert_string_equal(conf->routes[0].path, "/");
    assert_round_trip(conf);
    return conf;
}

static void
assert_target(const char *target, enum conf_target_kind kind, const char *host, const char *path)
{
    struct conf *conf = accept_arguments(":6080", target, NULL);
    const struct conf_target *got = &conf->routes[0].target;

    assert_int_equal(got->kind, kind);
    assert_true(host == NULL ? got->host == NULL : strcmp(got->host, host) == 0);
    assert_true(path == NULL ? got->path == NULL : strcmp(got->path, path) == 0);
    conf_unref(conf);
}

static void
arguments(void **state)
{
    struct conf *conf = accept_arguments("6080", "localhost:5900", "/tmp");

    (void)state;
    assert_int_equal(conf->listens[0].port, 6080);
    assert_string_equal(conf->routes[0].web, "/tmp");
    assert_int_equal(conf->routes[0].target.port, 5900);
    conf_unref(conf);
    assert_target("localhost:5900", CONF_TARGET_TCP, "localhost", NULL);
    assert_target("[::1]:5900", CONF_TARGET_TCP, "::1", NULL);
    assert_target("tcp://a:1", CONF_TARGET_TCP, "a", NULL);
    assert_target("tls://a:1", CONF_TARGET_TLS, "a", NULL);
    assert_target("echo:", CONF_TARGET_ECHO, NULL, NULL);
    assert_target("echo:7", CONF_TARGET_TCP, "echo", NULL);
    assert_target("unix:/run/a b; $c ", CONF_TARGET_UNIX, NULL, "/run/a b; $c ");
    assert_target("mqtt+unix:/run/b", CONF_TARGET_MQTT, NULL, "/run/b");
    assert_target("files:/tmp", CONF_TARGET_FILES, NULL, "/tmp");
}

static void
refuse_arguments(const char *listen, const char *target, const char *web, const char *expected)
{
    struct conf_report report;
    char *mistakes;

    conf_report_init(&report, "command line");
    assert_null(conf_from_arguments(listen, target, web, &report));
    mistakes = report_text(&report);
    assert_string_equal(mistakes, expected);
    free(mistakes);
    conf_report_deinit(&report);
}

/* Nobody typed a section or a key, or a line. */
static void
arguments_that_are_refused(void **state)
{
#define LISTEN_FORMS                                                                               \
    "PORT, :PORT, HOST:PORT with a numeric host or localhost, [IPV6]:PORT or unix:PATH, and then " \
    "perhaps tls, proxy"
#define TARGET_FORMS                                                                               \
    "tcp://HOST:PORT, tls://HOST:PORT, mqtt://HOST[:PORT], mqtts://HOST[:PORT], "                  \
    "mqtt+unix:PATH, unix:PATH, topics:, topics:BUS, map:FILE, echo: or "                          \
    "files:DIR"
    (void)state;
    refuse_arguments("host:1", "host", "/nonexistent",
                     "0: LISTEN: expected " LISTEN_FORMS ", got \"host:1\"\n"
                     "0: TARGET: expected HOST:PORT, " TARGET_FORMS ", got \"host\"\n"
                     "0: --web: /nonexistent: No such file or directory\n");
    refuse_arguments("1", "ftp://x", NULL,
                     "0: TARGET: expected " TARGET_FORMS ", got \"ftp://x\"\n");
    refuse_arguments("1", "5900", NULL,
                     "0: TARGET: expected HOST:PORT, " TARGET_FORMS ", got \"5900\"\n");
    refuse_arguments("1", "", NULL, "0: TARGET: expected HOST:PORT, " TARGET_FORMS ", got \"\"\n");
    refuse_arguments("", "echo:", NULL, "0: LISTEN: expected " LISTEN_FORMS ", got \"\"\n");
    refuse_arguments("1", "a;b:1 ;c", NULL,
                     "0: TARGET: expected HOST:PORT, " TARGET_FORMS ", got \"a;b:1 ;c\"\n");
    refuse_arguments("1", "${HOME}:1", NULL,
                     "0: TARGET: expected HOST:PORT, " TARGET_FORMS ", got \"${HOME}:1\"\n");
    refuse_arguments("1 tls", "echo:", NULL,
                     "0: LISTEN: tls needs a certificate, and so a configuration file\n");
    refuse_arguments("1", "files:/tmp", "/tmp", "0: --web: not with a target files:\n");
    /* Nothing can be added by a line feed. */
    refuse_arguments("1\n[log]", "echo:\nweb = /", "\x7f",
                     "0: LISTEN: a control character\n0: TARGET: a control character\n"
                     "0: --web: a control character\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_written),
        cmocka_unit_test(odd_values),
        cmocka_unit_test(directories_with_odd_names),
        cmocka_unit_test(odd_origins),
        cmocka_unit_test(long_lists),
        cmocka_unit_test(arguments),
        cmocka_unit_test(arguments_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
