/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses to listen on, targets, and the names of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf_text.h"

#define CERTIFICATE "certificate = /dev/null\nprivate_key = /dev/null\n"

/* ---- addresses ---- */

static void
listen_addresses(void **state)
{
    struct conf *conf =
        parse("[server]\nlisten = 8080\nlisten = :8081\nlisten = 0.0.0.0:8080\n"
              "listen = localhost:8082\nlisten = [::1]:0\nlisten = [::1]:0\n"
              "listen = unix:/run/a tls\nlisten = unix:b\nlisten = [::]:65535\ttls\n"
              "[route /]\ntarget = echo:\n[tls]\n" CERTIFICATE);
    const struct conf_listen *l = conf->listens;

    (void)state;
    assert_int_equal(conf->n_listens, 9);
    assert_true(l[0].host == NULL && l[0].path == NULL && l[0].port == 8080 && !l[0].tls);
    assert_string_equal(l[0].text, "8080");
    assert_true(l[1].host == NULL && l[1].port == 8081);
    assert_string_equal(l[1].text, ":8081");
    assert_string_equal(l[2].host, "0.0.0.0");
    assert_string_equal(l[3].host, "127.0.0.1");
    assert_string_equal(l[3].text, "localhost:8082");
    assert_string_equal(l[4].host, "::1");
    assert_string_equal(l[4].text, "[::1]:0");
    assert_true(l[6].tls && l[6].host == NULL);
    assert_string_equal(l[6].path, "/run/a");
    assert_string_equal(l[6].text, "unix:/run/a");
    assert_string_equal(l[7].path, "/b");
    assert_true(l[8].tls && l[8].port == 65535);
    assert_int_equal(l[8].line, 10);
    conf_unref(conf);
}

static void
admin_and_proxies(void **state)
{
    struct conf *conf = parse("[server]\nlisten = :80 proxy tls\nlisten = unix:/a proxy\n"
                              "admin = unix:/b\ntrusted_proxies = 10.0.0.0/8, unix\n"
                              "[route /]\ntarget = map:/dev/null\n[tls]\n" CERTIFICATE);

    (void)state;
    assert_true(conf->listens[0].proxy && conf->listens[0].tls);
    assert_true(conf->listens[1].proxy && !conf->listens[1].tls);
    assert_string_equal(conf->admin.path, "/b");
    assert_int_equal(conf->admin.line, 4);
    assert_string_equal(conf->trusted_proxies, "10.0.0.0/8, unix");
    assert_int_equal(conf->trusted_proxies_line, 5);
    assert_int_equal(conf->routes[0].target.kind, CONF_TARGET_MAP);
    assert_string_equal(conf->routes[0].target.path, "/dev/null");
    conf_unref(conf);

    conf = parse("[server]\nlisten = 80\nadmin = off\n[route /]\ntarget = echo:\n");
    assert_null(conf->admin.text);
    conf_unref(conf);

    assert_mistakes("[server]\nlisten = 80 proxy\nadmin = 81 tls\n[route /]\ntarget = map:\n",
                    "2: [server] listen: proxy needs trusted_proxies: who may send such a header\n"
                    "3: [server] admin: expected PORT, :PORT, HOST:PORT with a numeric host or "
                    "localhost, [IPV6]:PORT, unix:PATH or off, got \"81 tls\"\n"
                    "5: [route /] target: expected tcp://HOST:PORT, tls://HOST:PORT, "
                    "mqtt://HOST[:PORT], mqtts://HOST[:PORT], mqtt+unix:PATH, unix:PATH, "
                    "topics:, topics:BUS, map:FILE, echo: or files:DIR, got \"map:\"\n");
    assert_mistakes("[server]\nlisten = 127.0.0.1:9180\n[route /]\ntarget = map:/none\n",
                    "2: [server] listen: the same address as admin's; each needs its own\n"
                    "4: [route /] target: /none: No such file or directory\n");
}

static void
log_files(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 80\n[log]\nfile = tmp/culvert.log\n"
                              "format = json\n[route /]\ntarget = echo:\n");

    (void)state;
    assert_string_equal(conf->log_file, "/tmp/culvert.log");
    assert_int_equal(conf->log_format, CONF_LOG_JSON);
    conf_unref(conf);
    assert_mistakes("[server]\nlisten = 80\n[log]\nfile =\n[route /]\ntarget = echo:\n",
                    "4: [log] file: expected a file to write to, or -, got \"\"\n");
    assert_mistakes("[server]\nlisten = 80\n[log]\nfile = /none/a\n[route /]\ntarget = echo:\n",
                    "4: [log] file: /none/a cannot be written to: No such file or directory\n");
    assert_mistakes("[server]\nlisten = 80\n[log]\nfile = /tmp\n[route /]\ntarget = echo:\n",
                    "4: [log] file: /tmp cannot be written to: Is a directory\n");
}

static void
listen_mistakes(void **state)
{
    static const char *const bad[] = {
        "",        ":",          "x",         "65536",     "-1",          "1.2.3:80", "127.1:80",
        "host:80", "::1:80",     "[::1]",     "[::1]80",   "[1.2.3.4]:1", "[x]:1",    "1.2.3.4",
        "unix:",   "tcp://a:80", "80:80:80",  "[]:1",      "*:80",        "1.2.3.4:", "100000",
        "80x",     "[::1]:x",    "localhost", "[::1%lo]:1"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text, *expected;
        assert_true(asprintf(&text, "[server]\nlisten = %s\n[route /]\ntarget = echo:\n", bad[i]) >
                    0);
        assert_true(asprintf(&expected,
                             "2: [server] listen: expected PORT, :PORT, HOST:PORT with a numeric "
                             "host or localhost, [IPV6]:PORT or unix:PATH, and then perhaps tls, "
                             "proxy, got \"%s\"\n",
                             bad[i]) > 0);
        assert_mistakes(text, expected);
        free(text);
        free(expected);
    }
    assert_mistakes(
        "[server]\nlisten = 80 ssl\nlisten = 81 tls tls\nlisten = 127.0.0.1:82\n"
        "listen = localhost:82\nlisten = unix:/a\nlisten = unix:/a\n"
        "[route /]\ntarget = echo:\n[tls]\n" CERTIFICATE,
        "2: [server] listen: expected tls, proxy or nothing behind the address, got \"ssl\"\n"
        "3: [server] listen: expected tls, proxy or nothing behind the address, got \"tls\"\n"
        "5: [server] listen: the same address as in line 4\n"
        "7: [server] listen: the same address as in line 6\n");
    assert_mistakes("[server]\nlisten = unix:/"
                    "1234567890123456789012345678901234567890123456789012345678901234567890"
                    "12345678901234567890123456789012345678\n[route /]\ntarget = echo:\n",
                    "2: [server] listen: the path of a unix socket has at most 107 bytes\n");
}

static void
targets(void **state)
{
    struct conf *conf = parse("[server]\nlisten = 1\n[route /1]\ntarget = tcp://Host_1.example:1\n"
                              "[route /2]\ntarget = tls://[2001:db8::1]:65535\n"
                              "[route /3]\ntarget = unix:/run/a b\n[route /4]\ntarget = unix:c\n"
                              "[route /5]\ntarget = echo:\n[route /6]\ntarget = files:tmp/\n"
                              "[route /7]\ntarget = tcp://10.0.0.1:80\n");
    const struct conf_route *r = conf->routes;

    (void)state;
    assert_int_equal(r[0].target.kind, CONF_TARGET_TCP);
    assert_string_equal(r[0].target.host, "Host_1.example");
    assert_int_equal(r[0].target.port, 1);
    assert_string_equal(r[0].target.text, "tcp://Host_1.example:1");
    assert_int_equal(r[1].target.kind, CONF_TARGET_TLS);
    assert_string_equal(r[1].target.host, "2001:db8::1");
    assert_int_equal(r[1].target.port, 65535);
    assert_int_equal(r[2].target.kind, CONF_TARGET_UNIX);
    assert_string_equal(r[2].target.path, "/run/a b");
    assert_string_equal(r[3].target.path, "/c");
    assert_int_equal(r[4].target.kind, CONF_TARGET_ECHO);
    assert_null(r[4].target.path);
    assert_int_equal(r[5].target.kind, CONF_TARGET_FILES);
    assert_string_equal(r[5].target.path, "/tmp");
    assert_string_equal(r[6].target.host, "10.0.0.1");
    conf_unref(conf);
}

static void
target_mistakes(void **state)
{
    static const char *const bad[] = {"localhost:80",   "tcp:a:80",
                                      "tcp://a",        "tcp://:80",
                                      "tcp://a:0",      "tcp://a:65536",
                                      "tcp://a:80/",    "tcp://u@a:80",
                                      "tcp://a..b:80",  "tcp://::1:80",
                                      "tcp://[::1]",    "tcp://[a]:1",
                                      "tcp://1.2.3:80", "tcp://127.0.0.256:80",
                                      "TCP://a:80",     "echo",
                                      "echo:x",         "unix:",
                                      "files:",         "mqtt://a:0",
                                      "ws://a/",        "tcp://a b:80",
                                      "tcp://a:+80"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text, *expected;
        assert_true(asprintf(&text, "[server]\nlisten = 1\n[route /]\ntarget = %s\n", bad[i]) > 0);
        assert_true(
            asprintf(&expected,
                     "4: [route /] target: expected tcp://HOST:PORT, tls://HOST:PORT, "
                     "mqtt://HOST[:PORT], mqtts://HOST[:PORT], mqtt+unix:PATH, unix:PATH, topics:, "
                     "topics:BUS, map:FILE, echo: or files:DIR, got \"%s\"\n",
                     bad[i]) > 0);
        assert_mistakes(text, expected);
        free(text);
        free(expected);
    }
    assert_mistakes(
        "[server]\nlisten = 1\n[route /a]\ntarget = files:/nonexistent\nweb = /dev/null\n"
        "[route /b]\ntarget = files:/dev/null\n",
        "4: [route /a] target: /nonexistent: No such file or directory\n"
        "5: [route /a] web: /dev/null: not a directory\n"
        "5: [route /a] web: not with a target files:\n"
        "7: [route /b] target: /dev/null: not a directory\n");
}

/* ---- paths ---- */

static const char relative[] = "[server]\nlisten = unix:a.sock\n[route /]\ntarget = unix:b.sock\n"
                               "web = sub\n[route /f]\ntarget = files:./sub\n"
                               "[tls]\ncertificate = sub/c\nprivate_key = c\n";

static void
write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void
assert_relative(const char *path, const char *web)
{
    struct conf_report report;
    struct conf *conf;
    char *mistakes;

    conf_report_init(&report, path);
    conf = conf_load(path, &report);
    mistakes = report_text(&report);
    assert_string_equal(mistakes, "");
    free(mistakes);
    conf_report_deinit(&report);
    assert_non_null(conf);
    assert_string_equal(conf->routes[0].web, web);
    assert_int_equal(access(conf->routes[0].web, X_OK), 0);
    assert_int_equal(access(conf->tls[0].certificate, R_OK), 0);
    assert_int_equal(conf->listens[0].path[0], '/');
    assert_int_equal(conf->routes[0].target.path[0], '/');
    conf_unref(conf);
}

/* Relative to the file, wherever culvert was started. */
static void
relative_paths(void **state)
{
    char folder[] = "/tmp/test_conf.XXXXXX", path[64], web[64], dotted[64], old[4096];

    (void)state;
    assert_non_null(getcwd(old, sizeof(old)));
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.ini", folder);
    snprintf(web, sizeof(web), "%s/sub", folder);
    snprintf(dotted, sizeof(dotted), "%s/sub/../sub", folder);
    write_file(path, relative);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/c", "");
    write_file("c", "");

    assert_relative("x.ini", web);
    assert_relative("./x.ini", web);
    assert_relative("sub/../x.ini", dotted);
    assert_int_equal(chdir("/"), 0);
    assert_relative(path, web);

    assert_int_equal(chdir(folder), 0);
    assert_int_equal(remove("sub/c") | remove("sub") | remove("c") | remove("x.ini"), 0);
    assert_int_equal(chdir(old) | rmdir(folder), 0);
}

static void
missing_files_are_named(void **state)
{
    char *mistakes;
    struct conf *conf = parse_bytes(relative, strlen(relative), "/nonexistent", &mistakes);

    (void)state;
    assert_null(conf);
    assert_string_equal(mistakes,
                        "5: [route /] web: /nonexistent/sub: No such file or directory\n"
                        "7: [route /f] target: /nonexistent/./sub: No such file or directory\n"
                        "9: [tls] certificate: /nonexistent/sub/c: No such file or directory\n"
                        "10: [tls] private_key: /nonexistent/c: No such file or directory\n");
    free(mistakes);
}

/* As somebody who is not root, to whom nothing is unreadable. */
static int
load_as_nobody(const char *text)
{
    char *mistakes;
    struct conf *conf;
    bool sound;

    if (geteuid() == 0 && setuid(65534) != 0)
        return 2;
    conf = parse_bytes(text, strlen(text), NULL, &mistakes);
    sound = conf == NULL && strstr(mistakes, "4: [tls] certificate: ") == mistakes &&
            strstr(mistakes, ": Permission denied\n") != NULL;
    free(mistakes);
    conf_unref(conf);
    return sound ? 0 : 1;
}

static void
files_that_cannot_be_read(void **state)
{
    char path[] = "/tmp/test_conf.XXXXXX", *text;
    int fd = mkstemp(path), status;
    pid_t child;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0) | close(fd), 0);
    assert_true(asprintf(&text,
                         "[server]\nlisten = 1\n[tls]\ncertificate = %s\nprivate_key = "
                         "/dev/null\n[route /]\ntarget = echo:\n",
                         path) > 0);
    child = fork();
    if (child == 0)
        _exit(load_as_nobody(text));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(remove(path), 0);
    free(text);
}

static void
a_socket_below_a_directory_with_blanks(void **state)
{
    static const char text[] = "[server]\nlisten = unix:x\n[route /]\ntarget = unix:y z\n";
    char *mistakes;
    struct conf *conf = parse_bytes(text, strlen(text), "/a b", &mistakes);

    (void)state;
    assert_null(conf);
    assert_string_equal(mistakes, "2: [server] listen: /a b/x: the path must not hold blanks\n");
    free(mistakes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_addresses),
        cmocka_unit_test(listen_mistakes),
        cmocka_unit_test(admin_and_proxies),
        cmocka_unit_test(log_files),
        cmocka_unit_test(targets),
        cmocka_unit_test(target_mistakes),
        cmocka_unit_test(relative_paths),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(a_socket_below_a_directory_with_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
