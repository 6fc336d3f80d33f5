/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes to MQTT brokers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf_text.h"

#define HEAD "[server]\nlisten = 1\n"

static void
targets(void **state)
{
    static const struct {
        const char *text, *host;
        enum conf_target_kind kind;
        unsigned port;
    } rows[] = {
        {"mqtt://broker", "broker", CONF_TARGET_MQTT, 1883},
        {"mqtt://10.0.0.1:99", "10.0.0.1", CONF_TARGET_MQTT, 99},
        {"mqtts://b.example", "b.example", CONF_TARGET_MQTTS, 8883},
        {"mqtts://[::1]", "::1", CONF_TARGET_MQTTS, 8883},
        {"mqtts://[::1]:1", "::1", CONF_TARGET_MQTTS, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        const struct conf_target *target;
        struct conf *conf;

        snprintf(text, sizeof text, HEAD "[route /]\ntarget = %s\n", rows[i].text);
        conf = parse(text);
        target = &conf->routes[0].target;
        assert_int_equal(target->kind, rows[i].kind);
        assert_string_equal(target->text, rows[i].text);
        assert_string_equal(target->host, rows[i].host);
        assert_int_equal(target->port, rows[i].port);
        assert_int_equal(conf_route_use(&conf->routes[0]), CONF_USE_MQTT);
        conf_unref(conf);
    }
}

static void
a_broker_on_a_unix_socket(void **state)
{
    struct conf *conf = parse(HEAD "[route /]\ntarget = mqtt+unix:/run/broker\nmqtt_publish = a\n");
    const struct conf_route *route = &conf->routes[0];

    (void)state;
    assert_int_equal(route->target.kind, CONF_TARGET_MQTT);
    assert_string_equal(route->target.path, "/run/broker");
    assert_null(route->target.host);
    assert_int_equal(conf_route_use(route), CONF_USE_MQTT);
    assert_string_equal(route->subprotocols[0], "mqtt");
    conf_unref(conf);
    assert_mistakes(HEAD "[route /]\ntarget = mqtt+unix:\n",
                    "4: [route /] target: expected tcp://HOST:PORT, tls://HOST:PORT, "
                    "mqtt://HOST[:PORT], mqtts://HOST[:PORT], mqtt+unix:PATH, unix:PATH, topics:, "
                    "topics:BUS, map:FILE, echo: or files:DIR, got \"mqtt+unix:\"\n");
}

static void
subprotocols(void **state)
{
    struct conf *conf = parse(HEAD "[defaults]\nsubprotocols = chat\n"
                                   "[route /a]\ntarget = mqtt://b\n"
                                   "[route /b]\ntarget = mqtt://b\nsubprotocols = x\n"
                                   "[route /c]\ntarget = mqtt://b\nsubprotocols =\n"
                                   "[route /d]\ntarget = tcp://b:1\n"
                                   "[route /e]\ntarget = mqtt://b\nsubprotocols_required = yes\n");
    const struct conf_route *r = conf->routes;

    (void)state;
    assert_string_equal(r[0].subprotocols[0], "mqtt");
    assert_string_equal(r[0].subprotocols[1], "mqttv3.1");
    assert_null(r[0].subprotocols[2]);
    assert_string_equal(r[1].subprotocols[0], "x");
    assert_null(r[2].subprotocols[0]);
    assert_string_equal(r[3].subprotocols[0], "chat");
    assert_string_equal(r[4].subprotocols[0], "mqtt");
    conf_unref(conf);
}

static void
no_messages_of_its_own(void **state)
{
    struct conf *conf = parse(HEAD "[defaults]\nframing = line\nmessages = text\n"
                                   "[route /a]\ntarget = mqtt://b\n"
                                   "[route /b]\ntarget = mqtts://b\nframing = none\n"
                                   "messages = binary\n");

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(conf->routes[i].framing, CONF_FRAMING_NONE);
        assert_int_equal(conf->routes[i].messages, CONF_MESSAGES_BINARY);
    }
    conf_unref(conf);
    assert_mistakes(HEAD "[route /]\ntarget = mqtt://b\nframing = line\nmessages = base64\n"
                         "retain = yes\n",
                    "5: [route /] framing: not with a target mqtt://, mqtts:// or mqtt+unix:, "
                    "whose packets are their own messages\n"
                    "6: [route /] messages: not with a target mqtt://, mqtts:// or mqtt+unix:, "
                    "whose packets are their own messages\n"
                    "7: [route /] retain: only with a target topics:\n");
    assert_mistakes(HEAD "[route /]\ntarget = mqtt://b\nresume_window = 0\ntransports = sse\n",
                    "6: [route /] transports: sse and longpoll need a resume_window: without one, "
                    "nobody is let in\n");
}

static void
rules(void **state)
{
    char path[] = "/tmp/culvert-test-XXXXXX";
    int fd = mkstemp(path);
    char text[512];
    struct conf *conf;
    const struct conf_route *r;

    (void)state;
    assert_true(fd >= 0 && write(fd, "secret\n", 7) == 7);
    close(fd);
    snprintf(text, sizeof text,
             HEAD "[defaults]\nmqtt_username = web\n[route /a]\ntarget = mqtt://b\n"
                  "mqtt_publish = none\nmqtt_subscribe = $$SYS/#, to/${client_id}/+\n"
                  "mqtt_packet_max = 64k\nmqtt_versions = 5\nmqtt_client_id_prefix = web-\n"
                  "mqtt_password_file = %s\nmqtt_connect_timeout = 3s\n"
                  "[route /b]\ntarget = mqtt://b\nmqtt_username =\nmqtt_publish = u/${user}\n"
                  "[route /c]\ntarget = echo:\n",
             path);
    conf = parse(text);
    r = conf->routes;
    assert_string_equal(r[0].mqtt_publish[0], CONF_MQTT_NONE);
    assert_string_equal(r[0].mqtt_subscribe[1], "to/${client_id}/+");
    assert_int_equal(r[0].mqtt_packet_max, 65536);
    assert_int_equal(r[0].mqtt_versions, 1u << CONF_MQTT_5);
    assert_string_equal(r[0].mqtt_client_id_prefix, "web-");
    assert_string_equal(r[0].mqtt_username, "web");
    assert_string_equal(r[0].mqtt_password, "secret");
    assert_true(r[0].mqtt_connect_timeout == 3);
    assert_string_equal(r[1].mqtt_username, "");
    assert_null(r[1].mqtt_password);
    assert_null(r[1].mqtt_subscribe[0]);
    assert_int_equal(r[1].mqtt_versions, CONF_MQTT_VERSIONS);
    assert_string_equal(r[2].mqtt_username, "");
    conf_unref(conf);
    unlink(path);
}

static void
rules_that_do_not_fit(void **state)
{
    (void)state;
    assert_mistakes(HEAD "[route /]\ntarget = mqtt://b\nmqtt_username = web\n"
                         "mqtt_publish = a, u/${user}\nmqtt_client_id_prefix = a/\n"
                         "mqtt_subscribe = ${client_id}\n",
                    "6: [route /] mqtt_publish: not ${user} with mqtt_username: all clients are "
                    "the same one then\n"
                    "8: [route /] mqtt_subscribe: not ${client_id} with one of + # / in "
                    "mqtt_client_id_prefix: it has no place in a topic's level\n");
    assert_mistakes(HEAD "[route /]\ntarget = mqtt://b\nmqtt_password_file = /dev/null\n",
                    "5: [route /] mqtt_password_file: needs mqtt_username\n");
    assert_mistakes(HEAD "[route /]\ntarget = mqtt://b\nmqtt_username = a\n"
                         "mqtt_password_file = /dev/null\nmqtt_versions = 3.1\n",
                    "6: [route /] mqtt_password_file: /dev/null: expected 1 to 4096 bytes\n"
                    "7: [route /] mqtt_versions: expected some of 3.1.1 and 5, separated by "
                    "commas, got \"3.1\"\n");
    assert_mistakes(
        HEAD "[route /]\ntarget = tcp://b:1\nmqtt_username = a\n",
        "5: [route /] mqtt_username: only with a target mqtt://, mqtts:// or mqtt+unix:\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),      cmocka_unit_test(a_broker_on_a_unix_socket),
        cmocka_unit_test(subprotocols), cmocka_unit_test(no_messages_of_its_own),
        cmocka_unit_test(rules),        cmocka_unit_test(rules_that_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
