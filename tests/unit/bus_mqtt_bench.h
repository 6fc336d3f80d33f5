/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_bench -- for tests of the MQTT bus: nodes, each with a bus and a sequence of its own, that write
 * down what comes, on one worker; and publications with their outcome.
 */
#ifndef CULVERT_TESTS_BUS_MQTT_BENCH_H
#define CULVERT_TESTS_BUS_MQTT_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/worker.h"
#include "mosquitto.h"
#include "topic/bus.h"
#include "topic/message.h"
#include "topic/sequence.h"

enum {
    BENCH_NODES = 4,
    MANY = 1000,
    BENCH_OUTCOMES = BUS_FULL + 1,
};

static const enum conf_mqtt_version bench_versions[] = {CONF_MQTT_5, CONF_MQTT_3_1_1};

static const struct {
    enum conf_mqtt_version version;
    unsigned qos;
} bench_kinds[] = {
    {CONF_MQTT_5, 1},     {CONF_MQTT_3_1_1, 2}, {CONF_MQTT_5, 2},
    {CONF_MQTT_3_1_1, 1}, {CONF_MQTT_5, 0},
};

struct seen {
    enum sequence_kind kind;
    bool retain;
    char text[48]; /* "topic=payload", cut */
};

struct node {
    struct sequence_owner owner;
    struct bench *bench;
    struct conf_bus conf;
    struct sequence *sequence;
    struct sequence_reader *reader;
    struct bus *bus; /* NULL: closed */
    /* Under the bench's mutex. */
    struct seen *seen;
    size_t n, room;
};

struct bench {
    struct mosquitto broker;
    struct log *log;
    struct loop *loop;
    struct worker *worker;
    pthread_mutex_t mutex;
    struct node nodes[BENCH_NODES];
    unsigned n_nodes;
    unsigned outcomes[BENCH_OUTCOMES]; /* under the mutex */
};

struct trial {
    struct bus_publication publication;
    struct bench *bench;
};

static inline void
node_items(struct sequence_owner *owner, const struct sequence_item *items, size_t n)
{
    struct node *node = container_of(owner, struct node, owner);

    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < n; i++) {
        struct seen *seen;

        if (node->n == node->room) {
            node->room = node->room == 0 ? 256 : 2 * node->room;
            node->seen = realloc(node->seen, node->room * sizeof *node->seen);
        }
        seen = &node->seen[node->n++];
        *seen = (struct seen){.kind = items[i].kind};
        if (items[i].message == NULL)
            continue;
        seen->retain = items[i].message->retain;
        snprintf(seen->text, sizeof seen->text, "%s=%.*s", topic_message_topic(items[i].message),
                 (int)items[i].message->payload_len,
                 (const char *)topic_message_payload(items[i].message));
        topic_message_unref(items[i].message);
    }
    pthread_mutex_unlock(&node->bench->mutex);
}

/* ---- a bench ---- */

/* more: for mosquitto's configuration. */
static inline struct bench *
bench_new(const char *more, bool start)
{
    struct bench *bench = calloc(1, sizeof *bench);

    assert_non_null(bench);
    mosquitto_init(&bench->broker, more);
    if (start)
        mosquitto_start(&bench->broker);
    bench->log = log_open(&(struct log_options){.file = mosquitto_path(&bench->broker, "culvert"),
                                                .level = LOG_LEVEL_DEBUG});
    assert_non_null(bench->log);
    bench->loop = loop_new(bench->log, 1);
    assert_non_null(bench->loop);
    pthread_mutex_init(&bench->mutex, NULL);
    return bench;
}

static inline void
node_close(struct node *node)
{
    if (node->bus != NULL)
        node->bus->ops->close(node->bus);
    node->bus = NULL;
}

static inline void
bench_stop(struct loop_message *message)
{
    struct bench *bench = *(struct bench **)(message + 1);

    loop_stop(bench->loop);
}

static inline void
bench_free(struct bench *bench)
{
    struct {
        struct loop_message message;
        struct bench *bench;
    } stop = {{NULL, bench_stop}, bench};

    for (unsigned i = 0; i < bench->n_nodes; i++)
        node_close(&bench->nodes[i]);
    if (bench->worker != NULL) {
        loop_post(bench->loop, &stop.message);
        worker_join(bench->worker);
    }
    for (unsigned i = 0; i < bench->n_nodes; i++)
        sequence_leave(bench->nodes[i].reader);
    loop_free(bench->loop);
    for (unsigned i = 0; i < bench->n_nodes; i++) {
        sequence_free(bench->nodes[i].sequence);
        free(bench->nodes[i].seen);
    }
    log_close(bench->log);
    pthread_mutex_destroy(&bench->mutex);
    mosquitto_deinit(&bench->broker);
    free(bench);
}

/* All nodes are made before the first is opened. */
static inline struct node *
bench_node(struct bench *bench, enum conf_mqtt_version version, unsigned qos)
{
    static char empty[] = "", host[] = "127.0.0.1", url[] = "mqtt://127.0.0.1";
    struct node *node = &bench->nodes[bench->n_nodes++];
    uint64_t head;

    assert_true(bench->n_nodes <= BENCH_NODES && bench->worker == NULL);
    node->bench = bench;
    node->owner.items = node_items;
    node->conf = (struct conf_bus){
        .name = empty,
        .url = url,
        .kind = CONF_BUS_MQTT,
        .host = host,
        .port = bench->broker.port,
        .client_id = empty,
        .username = empty,
        .mqtt_version = version,
        .qos = qos,
        .keep_alive = 10,
        .connect_timeout = 5,
        .publish_timeout = 10,
        .publish_max = 20000,
        .session_expiry = 300,
        .will_topic = empty,
        .will_payload = empty,
        .tls_verify = true,
    };
    node->sequence = sequence_new();
    assert_non_null(node->sequence);
    node->reader = sequence_join(node->sequence, bench->loop, &node->owner, &head);
    assert_non_null(node->reader);
    return node;
}

/* filters: words. */
static inline const char *const *
bench_words(const char *filters)
{
    static char text[256];
    static const char *words[17];
    char *rest = text;
    unsigned n = 0;

    snprintf(text, sizeof text, "%s", filters);
    while (n < 16 && (words[n] = strsep(&rest, " ")) != NULL)
        n += *words[n] != '\0';
    words[n] = NULL;
    return words;
}

static inline void
node_open(struct node *node, const char *filters)
{
    struct bus_options options = {
        .conf = &node->conf, .log = node->bench->log, .sequence = node->sequence};

    if (node->bench->worker == NULL)
        node->bench->worker = worker_start(node->bench->loop);
    node->bus = bus_mqtt_open(&options);
    assert_non_null(node->bus);
    assert_int_equal(node->bus->ops->set_filters(node->bus, bench_words(filters)), 0);
}

/* ---- publishing ---- */

static inline void
trial_done(struct bus_publication *publication)
{
    struct trial *trial = container_of(publication, struct trial, publication);

    pthread_mutex_lock(&trial->bench->mutex);
    trial->bench->outcomes[publication->result]++;
    pthread_mutex_unlock(&trial->bench->mutex);
    assert_null(publication->topic);
    free(trial);
}

static inline void
node_publish_bytes(struct node *node, const char *topic, const void *payload, size_t len,
                   bool retain, double timeout)
{
    struct trial *trial = calloc(1, sizeof *trial);

    trial->bench = node->bench;
    trial->publication.loop = node->bench->loop;
    trial->publication.topic = topic_message_new(topic, strlen(topic), payload, len, retain);
    trial->publication.deadline = loop_clock() + timeout;
    trial->publication.done = trial_done;
    node->bus->ops->publish(node->bus, &trial->publication);
}

static inline void
node_publish(struct node *node, const char *topic, const char *payload, bool retain, double timeout)
{
    node_publish_bytes(node, topic, payload, strlen(payload), retain, timeout);
}

/* ---- waiting ---- */

static inline size_t
node_count(struct node *node, enum sequence_kind kind, const char *text)
{
    size_t count = 0;

    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < node->n; i++)
        count +=
            node->seen[i].kind == kind && (text == NULL || strcmp(node->seen[i].text, text) == 0);
    pthread_mutex_unlock(&node->bench->mutex);
    return count;
}

static inline void
node_print(struct node *node)
{
    char line[512];
    FILE *file = fopen(mosquitto_path(&node->bench->broker, "culvert"), "r");

    pthread_mutex_lock(&node->bench->mutex);
    for (size_t i = 0; i < node->n && i < 40; i++)
        fprintf(stderr, "# %d %s%s\n", node->seen[i].kind, node->seen[i].text,
                node->seen[i].retain ? " retain" : "");
    fprintf(stderr, "# %zu seen; taken %u unknown %u refused %u full %u\n", node->n,
            node->bench->outcomes[0], node->bench->outcomes[1], node->bench->outcomes[2],
            node->bench->outcomes[3]);
    pthread_mutex_unlock(&node->bench->mutex);
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fprintf(stderr, "# %s", line);
    if (file != NULL)
        fclose(file);
}

/* Waits for so many of a kind. */
static inline void
node_await(struct node *node, enum sequence_kind kind, const char *text, size_t count)
{
    double end = mosquitto_clock() + 60;

    while (node_count(node, kind, text) < count) {
        if (mosquitto_clock() > end) {
            node_print(node);
            fail_msg("waited for %zu of kind %d, %s", count, (int)kind,
                     text != NULL ? text : "any");
        }
        usleep(2000);
    }
}

static inline void
node_publish_numbers(struct node *node, const char *topic, unsigned from, unsigned to)
{
    char text[16];

    for (unsigned i = from; i < to; i++) {
        snprintf(text, sizeof text, "%u", i);
        node_publish(node, topic, text, false, 30);
    }
}

/* How often each number came, and whether the last ones stand in order. */
static inline void
node_count_numbers(struct node *node, const char *topic, unsigned *counts, unsigned n)
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

static inline void
node_check_in_order(struct node *node, const char *topic, unsigned n)
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
static inline const char *
node_states(struct node *node)
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

static inline unsigned
bench_outcome(struct bench *bench, enum bus_result result)
{
    unsigned count;

    pthread_mutex_lock(&bench->mutex);
    count = bench->outcomes[result];
    pthread_mutex_unlock(&bench->mutex);
    return count;
}

static inline unsigned
bench_done(struct bench *bench)
{
    unsigned count = 0;

    for (int i = 0; i < BENCH_OUTCOMES; i++)
        count += bench_outcome(bench, (enum bus_result)i);
    return count;
}

static inline void
bench_await_done(struct bench *bench, unsigned count)
{
    double end = mosquitto_clock() + 60;

    while (bench_done(bench) < count) {
        if (mosquitto_clock() > end) {
            node_print(&bench->nodes[0]);
            fail_msg("waited for %u outcomes", count);
        }
        usleep(2000);
    }
}

static inline bool
bench_logged(struct bench *bench, const char *text)
{
    char line[1024];
    FILE *file = fopen(mosquitto_path(&bench->broker, "culvert"), "r");
    bool found = false;

    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, text) != NULL;
    fclose(file);
    return found;
}

static inline void
bench_await_log(struct bench *bench, const char *text)
{
    double end = mosquitto_clock() + 30;

    while (!bench_logged(bench, text)) {
        if (mosquitto_clock() > end) {
            node_print(&bench->nodes[0]);
            fail_msg("waited for %s in the log", text);
        }
        usleep(10000);
    }
}

#endif
