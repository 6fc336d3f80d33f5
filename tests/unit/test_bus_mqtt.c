/* SPDX-License-Identifier: BSD-2-Clause */
/* The MQTT bus against a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus_mqtt_bench.h"

enum {
    MANY = 1000,
};

static const enum conf_mqtt_version versions[] = {CONF_MQTT_5, CONF_MQTT_3_1_1};

static void
publish_numbers(struct node *node, const char *topic, unsigned from, unsigned to)
{
    char text[16];

    for (unsigned i = from; i < to; i++) {
        snprintf(text, sizeof text, "%u", i);
        node_publish(node, topic, text, false, 30);
    }
}

/* How often each number came, and whether the last ones stand in order. */
static void
count_numbers(struct node *node, const char *topic, unsigned *counts, unsigned n)
{
    size_t len = strlen(topic);

    memset(counts, 0, n * sizeof *counts);
    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < node->n; i++) {
        const struct seen *seen = &node->seen[i];

        if (seen->kind != SEQUENCE_MESSAGE || strncmp(seen->text, topic, len) != 0)
            continue;
        assert_true((unsigned)atoi(seen->text + len + 1) < n);
        counts[atoi(seen->text + len + 1)]++;
    }
    pthread_mutex_unlock(&node->bench->mutex);
}

static void
check_in_order(struct node *node, const char *topic, unsigned n)
{
    size_t len = strlen(topic);
    unsigned next = 0;

    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < node->n; i++)
        if (node->seen[i].kind == SEQUENCE_MESSAGE && strncmp(node->seen[i].text, topic, len) == 0)
            assert_int_equal(atoi(node->seen[i].text + len + 1), next++);
    pthread_mutex_unlock(&node->bench->mutex);
    assert_int_equal(next, n);
}

/* The states that came, as letters: u, d, b. */
static const char *
states(struct node *node)
{
    static char text[64];
    size_t n = 0;

    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < node->n && n < sizeof text - 1; i++)
        if (node->seen[i].kind >= SEQUENCE_BREAK)
            text[n++] = "  bdu"[node->seen[i].kind];
    pthread_mutex_unlock(&node->bench->mutex);
    text[n] = '\0';
    return text;
}

/* ---- in peace ---- */

static void
test_what_is_published_comes_once_and_in_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct bench *bench = bench_new("", true);
        struct node *a = bench_node(bench, versions[i / 3], i % 3);
        struct node *b = bench_node(bench, versions[i / 3], i % 3);

        node_open(a, "t/#");
        node_open(b, "t/+ x");
        node_await(a, SEQUENCE_UP, NULL, 1);
        node_await(b, SEQUENCE_UP, NULL, 1);
        publish_numbers(a, "t/n", 0, MANY);
        node_await(a, SEQUENCE_MESSAGE, NULL, MANY);
        node_await(b, SEQUENCE_MESSAGE, NULL, MANY);
        bench_await_done(bench, MANY);
        assert_int_equal(bench_outcome(bench, BUS_TAKEN), MANY);
        check_in_order(a, "t/n", MANY);
        check_in_order(b, "t/n", MANY);
        assert_string_equal(states(a), "u");
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
        struct node *a = bench_node(bench, versions[v], 1);
        struct node *b = bench_node(bench, versions[v], 1);

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
                assert_int_equal(b->seen[i].retain, versions[v] == CONF_MQTT_5);
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
        struct node *a = bench_node(bench, versions[v], 1);
        struct node *b = bench_node(bench, versions[v], 1);

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
        struct node *a = bench_node(bench, versions[v], 1);
        struct node *b = bench_node(bench, versions[v], 1);

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
        assert_string_equal(states(b), "u");
        bench_free(bench);
    }
}

/* ---- faults ---- */

static void
test_a_broker_that_is_killed_and_comes_back_costs_no_publication(void **state)
{
    unsigned counts[MANY];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct bench *bench = bench_new("", true);
        struct node *node = bench_node(bench, versions[i / 2], 1 + i % 2);

        node_open(node, "n");
        node_await(node, SEQUENCE_UP, NULL, 1);
        publish_numbers(node, "n", 0, MANY / 2);
        node_await(node, SEQUENCE_MESSAGE, NULL, 20);
        mosquitto_end(&bench->broker, SIGKILL);
        publish_numbers(node, "n", MANY / 2, MANY);
        node_await(node, SEQUENCE_DOWN, NULL, 1);
        mosquitto_start(&bench->broker);
        bench_await_done(bench, MANY);
        assert_int_equal(bench_outcome(bench, BUS_TAKEN), MANY);
        /* What was acknowledged but not yet sent to us went with the broker: hence the break. */
        node_await(node, SEQUENCE_MESSAGE, "n=999", 1);
        count_numbers(node, "n", counts, MANY);
        for (unsigned n = MANY / 2; n < MANY; n++)
            assert_true(counts[n] > 0);
        assert_string_equal(states(node), "udub");
        bench_free(bench);
    }
}

static void
test_a_session_that_the_broker_keeps_goes_on_without_loss(void **state)
{
    unsigned counts[MANY];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        unsigned qos = 1 + i % 2, cuts = 0;
        struct bench *bench = bench_new("", true);
        struct node *node = bench_node(bench, versions[i / 2], qos);
        struct relay relay;

        relay_start(&relay, bench->broker.port);
        node->conf.port = relay.port;
        node_open(node, "n");
        node_await(node, SEQUENCE_UP, NULL, 1);
        for (; cuts < 3; cuts++) {
            publish_numbers(node, "n", cuts * MANY / 4, (cuts + 1) * MANY / 4);
            node_await(node, SEQUENCE_MESSAGE, NULL, cuts * MANY / 4 + 20);
            relay_cut(&relay);
            node_await(node, SEQUENCE_UP, NULL, cuts + 2);
        }
        publish_numbers(node, "n", cuts * MANY / 4, MANY);
        bench_await_done(bench, MANY);
        assert_int_equal(bench_outcome(bench, BUS_TAKEN), MANY);
        node_await(node, SEQUENCE_MESSAGE, "n=999", 1);
        count_numbers(node, "n", counts, MANY);
        for (unsigned n = 0; n < MANY; n++)
            assert_true(qos == 2 ? counts[n] == 1 : counts[n] >= 1);
        if (qos == 2)
            check_in_order(node, "n", MANY);
        assert_string_equal(states(node), "udududu");
        bench_free(bench);
        relay_stop(&relay);
    }
}

static void
test_at_qos_0_nothing_waits_and_every_loss_is_a_break(void **state)
{
    struct bench *bench = bench_new("", true);
    struct node *node = bench_node(bench, CONF_MQTT_5, 0);
    struct relay relay;

    (void)state;
    relay_start(&relay, bench->broker.port);
    node->conf.port = relay.port;
    node_open(node, "n");
    node_await(node, SEQUENCE_UP, NULL, 1);
    relay_cut(&relay);
    node_await(node, SEQUENCE_DOWN, NULL, 1);
    node_publish(node, "n", "1", false, 30);
    bench_await_done(bench, 1);
    assert_int_equal(bench_outcome(bench, BUS_UNKNOWN), 1);
    node_await(node, SEQUENCE_BREAK, NULL, 1);
    node_publish(node, "n", "2", false, 30);
    node_await(node, SEQUENCE_MESSAGE, "n=2", 1);
    assert_string_equal(states(node), "udub");
    bench_free(bench);
    relay_stop(&relay);
}

static void
test_a_publication_ends_at_its_deadline(void **state)
{
    struct bench *bench = bench_new("", true);
    struct node *node = bench_node(bench, CONF_MQTT_5, 1);
    double begin;

    (void)state;
    node->conf.publish_max = 100;
    node_open(node, "n");
    node_await(node, SEQUENCE_UP, NULL, 1);
    kill(bench->broker.pid, SIGSTOP);
    begin = mosquitto_clock();
    for (unsigned i = 0; i < 103; i++)
        node_publish(node, "n", "1", false, 0.3);
    bench_await_done(bench, 3);
    assert_int_equal(bench_outcome(bench, BUS_FULL), 3);
    bench_await_done(bench, 103);
    assert_int_equal(bench_outcome(bench, BUS_UNKNOWN), 100);
    assert_true(mosquitto_clock() - begin >= 0.29);
    assert_true(mosquitto_clock() - begin < 1.2);
    /* Its deadline is over before it begins. */
    node_publish(node, "n", "1", false, -1);
    bench_await_done(bench, 104);
    assert_int_equal(bench_outcome(bench, BUS_UNKNOWN), 101);
    kill(bench->broker.pid, SIGCONT);
    node_publish(node, "n", "2", false, 20);
    bench_await_done(bench, 105);
    assert_int_equal(bench_outcome(bench, BUS_TAKEN), 1);
    node_await(node, SEQUENCE_MESSAGE, "n=2", 1);
    bench_free(bench);
}

static void
test_a_broker_that_is_not_there_at_the_start_is_waited_for(void **state)
{
    struct bench *bench = bench_new("", false);
    struct node *node = bench_node(bench, CONF_MQTT_5, 1);

    (void)state;
    node_open(node, "n");
    node_await(node, SEQUENCE_DOWN, NULL, 1);
    node_publish(node, "n", "early", false, 0.2);
    node_publish(node, "n", "late", false, 30);
    bench_await_done(bench, 1);
    assert_int_equal(bench_outcome(bench, BUS_UNKNOWN), 1);
    mosquitto_start(&bench->broker);
    node_await(node, SEQUENCE_MESSAGE, "n=late", 1);
    bench_await_done(bench, 2);
    assert_int_equal(bench_outcome(bench, BUS_TAKEN), 1);
    assert_string_equal(states(node), "du");
    bench_free(bench);
}

static void
test_closing_ends_what_is_open(void **state)
{
    struct bench *bench = bench_new("", true);
    struct node *node = bench_node(bench, CONF_MQTT_5, 1);
    struct node *other = bench_node(bench, CONF_MQTT_5, 1);
    static char will[] = "will", gone[] = "gone";

    (void)state;
    node->conf.will_topic = will;
    node->conf.will_payload = gone;
    node_open(node, "n");
    node_open(other, "will end");
    node_await(node, SEQUENCE_UP, NULL, 1);
    node_await(other, SEQUENCE_UP, NULL, 1);
    kill(bench->broker.pid, SIGSTOP);
    for (unsigned i = 0; i < 500; i++)
        node_publish(node, "n", "1", false, 60);
    node_close(node);
    bench_await_done(bench, 500);
    assert_int_equal(bench_outcome(bench, BUS_UNKNOWN), 500);
    kill(bench->broker.pid, SIGCONT);
    node_publish(other, "end", "1", false, 20);
    node_await(other, SEQUENCE_MESSAGE, "end=1", 1);
    assert_int_equal(node_count(other, SEQUENCE_MESSAGE, NULL), 1);
    bench_free(bench);
}

static void
test_the_will_is_told_when_we_go_without_a_word(void **state)
{
    struct bench *bench = bench_new("", true);
    struct node *node = bench_node(bench, CONF_MQTT_3_1_1, 1);
    struct node *other = bench_node(bench, CONF_MQTT_5, 1);
    static char will[] = "will", gone[] = "gone";
    struct relay relay;

    (void)state;
    relay_start(&relay, bench->broker.port);
    node->conf.port = relay.port;
    node->conf.will_topic = will;
    node->conf.will_payload = gone;
    node_open(other, "will");
    node_await(other, SEQUENCE_UP, NULL, 1);
    node_open(node, "");
    node_await(node, SEQUENCE_UP, NULL, 1);
    relay_cut(&relay);
    node_await(other, SEQUENCE_MESSAGE, "will=gone", 1);
    bench_free(bench);
    relay_stop(&relay);
}

/* ---- refusals ---- */

static void
test_credentials_that_are_refused_are_logged(void **state)
{
    static char name[] = "me", wrong[] = "wrong", right[] = "right";

    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("allow_anonymous false\n", false);
        struct node *a = bench_node(bench, versions[v], 1);
        struct node *b = bench_node(bench, versions[v], 1);
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
        assert_true(bench_logged(bench, versions[v] == CONF_MQTT_5 ? "code 135 Not authorized"
                                                                   : "refuses, code 5"));
        assert_int_equal(node_count(a, SEQUENCE_UP, NULL), 0);
        bench_free(bench);
    }
}

static void
test_what_the_broker_does_not_allow_is_told(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("", false);
        struct node *node = bench_node(bench, versions[v], 1);
        FILE *conf = fopen(mosquitto_path(&bench->broker, "conf"), "a");

        fprintf(conf, "acl_file %s\n", mosquitto_path(&bench->broker, "acl"));
        fclose(conf);
        mosquitto_write(&bench->broker, "acl", "topic readwrite good/#\ntopic deny secret\n");
        mosquitto_start(&bench->broker);
        node_open(node, "secret/x good/#");
        node_await(node, SEQUENCE_UP, NULL, 1);
        if (versions[v] == CONF_MQTT_5)
            bench_await_log(bench, "subscribe to secret/x");
        node_publish(node, "good/1", "1", false, 10);
        node_publish(node, "secret", "1", false, 10);
        node_await(node, SEQUENCE_MESSAGE, "good/1=1", 1);
        bench_await_done(bench, 2);
        /* 3.1.1 has no way to say so. */
        assert_int_equal(bench_outcome(bench, BUS_REFUSED), versions[v] == CONF_MQTT_5);
        bench_free(bench);
    }
}

static void
test_a_publication_too_large_for_the_broker_holds_up_no_others(void **state)
{
    static char large[20000];

    (void)state;
    for (unsigned v = 0; v < 2; v++) {
        struct bench *bench = bench_new("max_packet_size 10000\n", true);
        struct node *node = bench_node(bench, versions[v], 1);

        node_open(node, "n");
        node_await(node, SEQUENCE_UP, NULL, 1);
        node_publish_bytes(node, "n", large, sizeof large, false, 1);
        node_publish(node, "n", "1", false, 30);
        node_await(node, SEQUENCE_MESSAGE, "n=1", 1);
        bench_await_done(bench, 2);
        assert_int_equal(bench_outcome(bench, BUS_TAKEN), 1);
        /* MQTT 5 brokers say how much they take; others end the connection, again and again. */
        assert_int_equal(bench_outcome(bench, BUS_REFUSED), versions[v] == CONF_MQTT_5);
        bench_free(bench);
    }
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
        cmocka_unit_test(test_a_broker_that_is_killed_and_comes_back_costs_no_publication),
        cmocka_unit_test(test_a_session_that_the_broker_keeps_goes_on_without_loss),
        cmocka_unit_test(test_at_qos_0_nothing_waits_and_every_loss_is_a_break),
        cmocka_unit_test(test_a_publication_ends_at_its_deadline),
        cmocka_unit_test(test_a_broker_that_is_not_there_at_the_start_is_waited_for),
        cmocka_unit_test(test_closing_ends_what_is_open),
        cmocka_unit_test(test_the_will_is_told_when_we_go_without_a_word),
        cmocka_unit_test(test_credentials_that_are_refused_are_logged),
        cmocka_unit_test(test_what_the_broker_does_not_allow_is_told),
        cmocka_unit_test(test_a_publication_too_large_for_the_broker_holds_up_no_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
