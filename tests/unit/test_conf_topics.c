/* SPDX-License-Identifier: BSD-2-Clause */
/* Buses, topic routes and their filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf_text.h"

#define HEAD "[server]\nlisten = 1\n"

static void
buses_and_routes(void **state)
{
    struct conf *conf = parse(HEAD "[bus iot]\nurl = mqtts://[::1]\nusername = me\n"
                                   "[route /a]\ntarget = topics:iot\n"
                                   "subscribe = s/+, $$SYS/# , living room/#\npublish = chat/+\n"
                                   "overflow = coalesce\nretain = no\n"
                                   "[route /b]\ntarget = topics:\n[route /c]\ntarget = echo:\n");
    const struct conf_bus *bus;
    const struct conf_route *route = &conf->routes[0];

    (void)state;
    assert_int_equal(conf->n_buses, 2);
    bus = &conf->buses[route->bus];
    assert_string_equal(bus->name, "iot");
    assert_int_equal(bus->kind, CONF_BUS_MQTTS);
    assert_string_equal(bus->host, "::1");
    assert_int_equal(bus->port, 8883);
    assert_int_equal(bus->mqtt_version, CONF_MQTT_5);
    assert_null(bus->password);
    assert_int_equal(conf_route_use(route), CONF_USE_TOPICS);
    assert_string_equal(route->subscribe[0], "s/+");
    assert_string_equal(route->subscribe[1], "$SYS/#");
    assert_string_equal(route->subscribe[2], "living room/#");
    assert_null(route->subscribe[3]);
    assert_int_equal(route->overflow, CONF_OVERFLOW_COALESCE);
    assert_string_equal(conf->buses[conf->routes[1].bus].name, "");
    assert_int_equal(conf->buses[conf->routes[1].bus].kind, CONF_BUS_MEMORY);
    assert_int_equal(conf_route_use(&conf->routes[2]), CONF_USE_STREAM);
    conf_unref(conf);
}

static void
brokers(void **state)
{
    static const struct {
        const char *url, *host;
        unsigned port; /* 0: refused */
    } rows[] = {
        {"mqtt://broker", "broker", 1883},
        {"mqtt://broker:9", "broker", 9},
        {"mqtt://10.0.0.1", "10.0.0.1", 1883},
        {"mqtts://b.example", "b.example", 8883},
        {"mqtts://[fe80::1]:1", "fe80::1", 1},
        {"mqtt://", NULL, 0},
        {"mqtt://broker:0", NULL, 0},
        {"mqtt://broker:70000", NULL, 0},
        {"mqtt://a b", NULL, 0},
        {"mqtt://[::1", NULL, 0},
        {"mqtt://me@broker", NULL, 0},
        {"memory", NULL, 0},
        {"memory:x", NULL, 0},
        {"redis://x", NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text;
        assert_true(asprintf(&text, HEAD "[bus]\nurl = %s\n[route /]\ntarget = topics:\n",
                             rows[i].url) > 0);
        if (rows[i].port == 0) {
            char *expected;
            assert_true(asprintf(&expected,
                                 "4: [bus] url: expected memory:, mqtt://HOST, mqtt://HOST:PORT, "
                                 "mqtts://HOST or mqtts://HOST:PORT, got \"%s\"\n",
                                 rows[i].url) > 0);
            assert_mistakes(text, expected);
            free(expected);
        } else {
            struct conf *conf = parse(text);
            assert_string_equal(conf->buses[0].host, rows[i].host);
            assert_int_equal(conf->buses[0].port, rows[i].port);
            conf_unref(conf);
        }
        free(text);
    }
}

static void
mistakes(void **state)
{
    (void)state;
    assert_mistakes(HEAD "[bus a b]\nurl = memory:\n[route /]\ntarget = topics:a\n",
                    "3: [bus a b]: expected a name of letters, digits, - and _, at most 32 bytes\n"
                    "6: [route /] target: topics:a needs a section [bus a]\n");
    assert_mistakes(HEAD "[bus]\n[bus x]\n[bus]\n[route /]\ntarget = topics:x\n",
                    "5: [bus]: repeated; it already stands in line 3\n");
    assert_mistakes(HEAD "[bus]\nwill_topic = a/+\ntls_private_key = /dev/null\n"
                         "will_payload = x\n[route /]\ntarget = echo:\nqueue_messages = 4\n",
                    "4: [bus] will_topic: a topic without wildcards is expected\n"
                    "5: [bus] tls_private_key: needs tls_certificate\n"
                    "9: [route /] queue_messages: only with a target topics:\n");
    assert_mistakes(HEAD "[route /]\ntarget = topics:\nsubscribe = ${user}/#\nframing = line\n"
                         "publish = ${client_id}\nresume_window = 3s\n",
                    "5: [route /] subscribe: ${user} is the authenticated name: this route knows "
                    "none\n6: [route /] framing: not with a target topics:\n"
                    "7: [route /] publish: ${client_id} is MQTT's: a topic route knows none\n"
                    "8: [route /] resume_window: not with a target topics:\n");
    assert_mistakes(HEAD "[route /]\ntarget = topics:\npayload = raw\npublish = a/b, c\n",
                    "6: [route /] publish: with payload = raw, one topic without wildcards: "
                    "nothing else tells where a client's message goes\n");
    assert_mistakes(HEAD "[bus]\nusername = a\npassword_file = /dev/null\n[route /]\n"
                         "target = topics:\n",
                    "5: [bus] password_file: /dev/null: expected 1 to 4096 bytes\n");
}

static void
filters_that_are_refused(void **state)
{
    static const char *const bad[] = {"a/#/b", "a+", "#a", "${nobody}x/${user}+", "a,,b"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[128];
        char *what = NULL;
        int len = snprintf(text, sizeof text, HEAD "[route /]\ntarget = topics:\nsubscribe = %s\n",
                           bad[i]);
        assert_null(parse_bytes(text, (size_t)len, "/", &what));
        assert_non_null(strstr(what, "5: [route /] subscribe: "));
        free(what);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buses_and_routes),
        cmocka_unit_test(brokers),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(filters_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
