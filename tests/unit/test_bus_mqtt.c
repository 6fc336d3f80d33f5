/* SPDX-License-Identifier: BSD-2-Clause */
/* The MQTT bus against a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus_mqtt_bench.h"
#include "tls_certs.h"
#include "topic/bus_mqtt_inbox.h"

/* ---- in peace ---- */

static void
test_what_is_published_comes_once_and_in_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct bench *bench = bench_new("", true);
        struct node *a = bench_node(bench, bench_kinds[i].version, bench_kinds[i].qos);
        struct node *b = bench_node(bench, bench_kinds[i].version, bench_kinds[i].qos);

        node_open(a, "t/#");
        node_open(b, "t/+ x");
        node_await(a, SEQUENCE_UP, NULL, 1);
        node_await(b, SEQUENCE_UP, NULL, 1);
        node_publish_numbers(a, "t/n", 0, MANY);
        node_await(a, SEQUENCE_MESSAGE, NULL, MANY);
        node_await(b, SEQUENCE_MESSAGE, NULL, MANY);
        bench_await_done(bench, MANY);
        assert_int_equal(bench_outcome(bench, BUS_TAKEN), MANY);
        node_check_in_order(a, "t/n", MANY);
        node_check_in_order(b, "t/n", MANY);
        assert_string_equal(node_states(a), "u");
        bench_free(bench);
    }
}

static void
test_a_publication_nobody_subscribed_to_is_taken(void **state)
{
    struct bench *bench = bench_new("", true);
    struct node *node = bench_node(bench, CONF_MQTT_5, 1);

    (void)state;
    node_open(node, "");
    node_await(node, SEQUENCE_UP, NULL, 1);
    node_publish(node, "x", "1", false, 10);
    bench_await_done(bench, 1);
    assert_int_equal(bench_outcome(bench, BUS_TAKEN), 1);
    bench_free(bench);
}

static void
test_retained_values_are_told_from_live_ones(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("", true);
        struct node *a = bench_node(bench, bench_versions[v], 1);
        struct node *b = bench_node(bench, bench_versions[v], 1);

        node_open(a, "r/#");
        node_await(a, SEQUENCE_UP, NULL, 1);
        node_publish(a, "r/1", "old", true, 10);
        node_publish(a, "r/2", "old", true, 10);
        node_await(a, SEQUENCE_MESSAGE, NULL, 2);
        node_open(b, "r/# +/1"); /* overlap: one copy all the same */
        node_await(b, SEQUENCE_UP, NULL, 1);
        node_await(b, SEQUENCE_RETAINED, NULL, 2);
        assert_int_equal(node_count(b, SEQUENCE_RETAINED, "r/1=old"), 1);
        /* Right after the answers, and of the same kind. */
        node_publish(a, "r/1", "new", true, 10);
        node_publish(a, "r/1", "new", true, 10);
        node_publish(a, "r/1", "", true, 10);
        node_await(b, SEQUENCE_MESSAGE, "r/1=new", 2);
        node_await(b, SEQUENCE_MESSAGE, "r/1=", 1);
        assert_int_equal(node_count(b, SEQUENCE_RETAINED, NULL), 2);
        pthread_mutex_lock(&bench->mutex);
        for (size_t i = 0; i < b->n; i++)
            if (b->seen[i].kind == SEQUENCE_MESSAGE)
                assert_int_equal(b->seen[i].retain, bench_versions[v] == CONF_MQTT_5);
        pthread_mutex_unlock(&bench->mutex);
        bench_free(bench);
    }
}

static void
test_filters_that_overlap_bring_one_copy_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        /* Only then does it send 3.1.1 a copy for each. */
        struct bench *bench = bench_new("allow_duplicate_messages true\n", true);
        struct node *a = bench_node(bench, bench_versions[v], 1);
        struct node *b = bench_node(bench, bench_versions[v], 1);

        node_open(a, "");
        node_open(b, "a/+ +/b +/+/c end");
        node_await(a, SEQUENCE_UP, NULL, 1);
        node_await(b, SEQUENCE_UP, NULL, 1);
        node_publish(a, "a/b", "1", false, 10);
        node_publish(a, "a/x", "1", false, 10);
        node_publish(a, "x/b", "1", false, 10);
        node_publish(a, "x/y", "1", false, 10);
        node_publish(a, "a/b/c", "1", false, 10);
        node_publish(a, "end", "1", false, 10);
        node_await(b, SEQUENCE_MESSAGE, "end=1", 1);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, "a/b=1"), 1);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, "a/b/c=1"), 1);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, "x/y=1"), 0);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, NULL), 5);
        bench_free(bench);
    }
}

static void
test_new_filters_are_subscribed_to_and_old_ones_left(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("", true);
        struct node *a = bench_node(bench, bench_versions[v], 1);
        struct node *b = bench_node(bench, bench_versions[v], 1);

        node_open(a, "");
        node_open(b, "a/1 b/#");
        node_await(a, SEQUENCE_UP, NULL, 1);
        node_await(b, SEQUENCE_UP, NULL, 1);
        node_publish(a, "c", "old", true, 10);
        bench_await_done(bench, 1);
        assert_int_equal(b->bus->ops->set_filters(b->bus, bench_words("a/# c")), 0);
        node_await(b, SEQUENCE_RETAINED, "c=old", 1);
        /* The last of what it asks for: then it has let go of b/#. */
        for (unsigned i = 1; node_count(b, SEQUENCE_MESSAGE, "a/2=1") < 3; i++) {
            node_publish(a, "a/2", "1", false, 10);
            bench_await_done(bench, 1 + i);
            usleep(20000);
        }
        node_publish(a, "b/1", "late", false, 10);
        node_publish(a, "a/1", "end", false, 10);
        node_await(b, SEQUENCE_MESSAGE, "a/1=end", 1);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, "a/1=end"), 1);
        assert_int_equal(node_count(b, SEQUENCE_MESSAGE, "b/1=late"), 0);
        assert_string_equal(node_states(b), "u");
        bench_free(bench);
    }
}

/* ---- refusals ---- */

static void
test_credentials_that_are_refused_are_logged(void **state)
{
    static char name[] = "me", wrong[] = "wrong", right[] = "right";

    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("allow_anonymous false\n", false);
        struct node *a = bench_node(bench, bench_versions[v], 1);
        struct node *b = bench_node(bench, bench_versions[v], 1);
        char line[128];
        FILE *conf = fopen(mosquitto_path(&bench->broker, "conf"), "a");

        fprintf(conf, "password_file %s\n", mosquitto_path(&bench->broker, "passwords"));
        fclose(conf);
        mosquitto_write(&bench->broker, "passwords", "me:right\n");
        snprintf(line, sizeof line, "mosquitto_passwd -U %s",
                 mosquitto_path(&bench->broker, "passwords"));
        assert_int_equal(system(line), 0);
        mosquitto_start(&bench->broker);
        a->conf.username = b->conf.username = name;
        a->conf.password = wrong;
        b->conf.password = right;
        node_open(a, "n");
        node_open(b, "n");
        node_await(b, SEQUENCE_UP, NULL, 1);
        node_await(a, SEQUENCE_DOWN, NULL, 1);
        assert_true(bench_logged(bench, bench_versions[v] == CONF_MQTT_5 ? "code 135 Not authorized"
                                                                         : "refuses, code 5"));
        assert_int_equal(node_count(a, SEQUENCE_UP, NULL), 0);
        bench_free(bench);
    }
}

static const char security[] =
    "{\"defaultACLAccess\":{\"publishClientSend\":false,\"publishClientReceive\":true,"
    "\"subscribe\":false,\"unsubscribe\":true},\"anonymousGroup\":\"all\",\"clients\":[],"
    "\"groups\":[{\"groupname\":\"all\",\"roles\":[{\"rolename\":\"good\"}]}],"
    "\"roles\":[{\"rolename\":\"good\",\"acls\":["
    "{\"acltype\":\"subscribePattern\",\"topic\":\"good/#\",\"allow\":true},"
    "{\"acltype\":\"publishClientSend\",\"topic\":\"good/#\",\"allow\":true}]}]}";

static void
test_what_the_broker_does_not_allow_is_told(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("", false);
        struct node *node = bench_node(bench, bench_versions[v], 1);
        FILE *conf = fopen(mosquitto_path(&bench->broker, "conf"), "a");

        fprintf(
            conf,
            "plugin "
            "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so\nplugin_opt_config_file %s\n",
            mosquitto_path(&bench->broker, "acl"));
        fclose(conf);
        mosquitto_write(&bench->broker, "acl", security);
        mosquitto_start(&bench->broker);
        node_open(node, "secret/x good/#");
        node_await(node, SEQUENCE_UP, NULL, 1);
        assert_true(bench_logged(bench, "does not let us subscribe to secret/x"));
        node_publish(node, "good/1", "1", false, 10);
        node_publish(node, "secret", "1", false, 10);
        node_await(node, SEQUENCE_MESSAGE, "good/1=1", 1);
        bench_await_done(bench, 2);
        /* 3.1.1 has no way to say so. */
        assert_int_equal(bench_outcome(bench, BUS_REFUSED), bench_versions[v] == CONF_MQTT_5);
        bench_free(bench);
    }
}

/* ---- TLS ---- */

static void
test_tls_checks_the_broker_and_shows_our_certificate(void **state)
{
    struct certs certs;
    struct cert ca, server, client, other;
    struct bench *bench = bench_new("", false);
    struct node *good = bench_node(bench, CONF_MQTT_5, 1);
    struct node *strange = bench_node(bench, CONF_MQTT_5, 1);
    struct node *misnamed = bench_node(bench, CONF_MQTT_5, 1);
    struct node *lax = bench_node(bench, CONF_MQTT_3_1_1, 1);
    static char wrong_name[] = "127.0.0.2";
    FILE *conf;

    (void)state;
    certs_init(&certs);
    ca = cert_make(&certs, (struct cert_options){.name = "ca", .ca = true});
    other = cert_make(&certs, (struct cert_options){.name = "other", .ca = true});
    server = cert_make(
        &certs, (struct cert_options){.name = "server", .names = "IP:127.0.0.1", .issuer = &ca});
    client = cert_make(&certs, (struct cert_options){.name = "client", .issuer = &ca});
    conf = fopen(mosquitto_path(&bench->broker, "conf"), "w");
    fprintf(conf,
            "listener %u\nallow_anonymous true\ncafile %s\ncertfile %s\nkeyfile %s\n"
            "require_certificate true\n%slog_dest stderr\n",
            bench->broker.port, ca.cert_file, server.cert_file, server.key_file,
            geteuid() == 0 ? "user root\n" : "");
    fclose(conf);
    mosquitto_start(&bench->broker);
    for (unsigned i = 0; i < bench->n_nodes; i++) {
        struct conf_bus *to = &bench->nodes[i].conf;

        to->kind = CONF_BUS_MQTTS;
        to->tls_ca = (char *)(uintptr_t)ca.cert_file;
        to->tls_certificate = (char *)(uintptr_t)client.cert_file;
        to->tls_private_key = (char *)(uintptr_t)client.key_file;
    }
    strange->conf.tls_ca = (char *)(uintptr_t)other.cert_file;
    misnamed->conf.host = lax->conf.host = wrong_name;
    lax->conf.tls_verify = false;
    node_open(good, "n");
    node_await(good, SEQUENCE_UP, NULL, 1);
    node_publish(good, "n", "1", false, 10);
    node_await(good, SEQUENCE_MESSAGE, "n=1", 1);
    node_open(strange, "n");
    node_await(strange, SEQUENCE_DOWN, NULL, 1);
    assert_true(bench_logged(bench, "certificate verify failed"));
    node_open(misnamed, "n");
    node_await(misnamed, SEQUENCE_DOWN, NULL, 1);
    node_open(lax, "n");
    node_await(lax, SEQUENCE_UP, NULL, 1);
    assert_int_equal(node_count(strange, SEQUENCE_UP, NULL), 0);
    assert_int_equal(node_count(misnamed, SEQUENCE_UP, NULL), 0);
    bench_free(bench);
    cert_free(&client);
    cert_free(&server);
    cert_free(&other);
    cert_free(&ca);
    certs_deinit(&certs);
}

/* ---- more than is handed on ---- */

struct box {
    struct bus_mqtt_inbox inbox;
    unsigned arrived, missed, arrived_when_missed;
};

static void
box_arrived(struct bus_mqtt_inbox *inbox, const struct bus_mqtt_arrival *arrival)
{
    struct box *box = container_of(inbox, struct box, inbox);

    assert_int_equal(arrival->n_ids, 0);
    box->arrived++;
}

static void
box_missed(struct bus_mqtt_inbox *inbox)
{
    struct box *box = container_of(inbox, struct box, inbox);

    box->arrived_when_missed = box->arrived;
    box->missed++;
}

static void
test_messages_over_the_bound_are_dropped_and_missed_in_their_place(void **state)
{
    static char payload[1 << 20];
    MQTTAsync_message message = MQTTAsync_message_initializer;
    struct log *log = log_open(&(struct log_options){.fd = STDERR_FILENO});
    struct box box = {.inbox = {.arrived = box_arrived, .missed = box_missed}};
    struct loop *loop = loop_new(log, 1);
    unsigned fit = BUS_MQTT_INBOX_MAX / sizeof payload;

    (void)state;
    message.payload = payload;
    message.payloadlen = sizeof payload;
    bus_mqtt_inbox_init(&box.inbox, loop);
    for (unsigned i = 0; i < fit + 10; i++)
        bus_mqtt_inbox_take(&box.inbox, "t", 0, &message);
    loop_deliver(loop);
    assert_int_equal(box.missed, 1);
    assert_int_equal(box.arrived, fit);
    assert_int_equal(box.arrived_when_missed, fit);
    /* There is room again, and then not. */
    for (unsigned i = 0; i < fit + 10; i++)
        bus_mqtt_inbox_take(&box.inbox, "t", 0, &message);
    loop_deliver(loop);
    assert_int_equal(box.missed, 2);
    assert_int_equal(box.arrived, 2 * fit);
    /* A topic that is none is nobody's loss. */
    bus_mqtt_inbox_take(&box.inbox, "a/+", 0, &message);
    bus_mqtt_inbox_take(&box.inbox, "a\0b", 3, &message);
    loop_deliver(loop);
    assert_int_equal(box.arrived, 2 * fit);
    loop_free(loop);
    log_close(log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_published_comes_once_and_in_order),
        cmocka_unit_test(test_a_publication_nobody_subscribed_to_is_taken),
        cmocka_unit_test(test_retained_values_are_told_from_live_ones),
        cmocka_unit_test(test_filters_that_overlap_bring_one_copy_and_nothing_else),
        cmocka_unit_test(test_new_filters_are_subscribed_to_and_old_ones_left),
        cmocka_unit_test(test_credentials_that_are_refused_are_logged),
        cmocka_unit_test(test_what_the_broker_does_not_allow_is_told),
        cmocka_unit_test(test_tls_checks_the_broker_and_shows_our_certificate),
        cmocka_unit_test(test_messages_over_the_bound_are_dropped_and_missed_in_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
