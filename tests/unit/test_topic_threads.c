/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus with publishers on several threads and hubs on others: every hub has the same order, and nobody
 * sees a form half made. To be run under ThreadSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "conf/conf.h"
#include "event/worker.h"
#include "net_help.h"
#include "topic/bus.h"
#include "topic/hub.h"
#include "topic/message.h"
#include "topic/sequence.h"

enum {
    READERS = 3,
    PUBLISHERS = 4,
    EACH = 2000,
    ALL = PUBLISHERS * EACH,
};

struct reader {
    struct hub_member member;
    struct hub_filter filter;
    struct loop *loop;
    struct worker *worker;
    struct hub *hub;
    const char *epoch;
    unsigned n;
    unsigned flushes;
    unsigned payloads[ALL]; /* in the order in which they came */
    bool odd;
};

static struct sequence *sequence;
static struct bus *bus;

static void
on_message(struct hub_member *member, struct topic_message *message)
{
    struct reader *reader = container_of(member, struct reader, member);
    const struct blob *blob = topic_message_form(message, TOPIC_FORM_EVENT, reader->epoch);
    char id[64];

    snprintf(id, sizeof id, "id: %s-%u\n", reader->epoch, reader->n + 1);
    if (blob == NULL || memcmp(blob->data, id, strlen(id)) != 0 || message->number != reader->n + 1)
        reader->odd = true;
    if (reader->n < ALL)
        memcpy(&reader->payloads[reader->n++], topic_message_payload(message), sizeof(unsigned));
    if (reader->n == ALL)
        loop_stop(reader->loop);
}

static void
on_note(struct hub_member *member, enum hub_note note)
{
    (void)note;
    container_of(member, struct reader, member)->odd = true;
}

static void
on_flush(struct hub_member *member)
{
    container_of(member, struct reader, member)->flushes++;
}

static void
on_done(struct bus_publication *publication)
{
    *(bool *)(publication + 1) = publication->result == BUS_TAKEN;
}

static void *
publish(void *arg)
{
    unsigned which = *(const unsigned *)arg;

    for (unsigned i = 0; i < EACH; i++) {
        struct {
            struct bus_publication publication;
            bool done;
        } one = {.publication = {.done = on_done}};
        unsigned payload = which * EACH + i;

        one.publication.topic = topic_message_new("a", 1, &payload, sizeof payload, false);
        if (one.publication.topic == NULL)
            abort();
        bus->ops->publish(bus, &one.publication);
        if (!one.done)
            abort();
    }
    return NULL;
}

static void
start_reader(struct reader *reader, struct log *log, unsigned id, const struct conf_bus *conf)
{
    static const struct hub_ops ops = {on_message, on_note, on_flush};
    struct hub_options options = {.bus = bus, .conf = conf};

    reader->loop = options.loop = loop_new(log, id);
    assert_non_null(reader->loop);
    reader->hub = hub_new(&options);
    assert_non_null(reader->hub);
    reader->epoch = hub_epoch(reader->hub);
    hub_join(reader->hub, &reader->member, &ops);
    assert_int_equal(hub_subscribe(&reader->member, &reader->filter, "a", 1), 0);
    reader->worker = worker_start(reader->loop);
    assert_non_null(reader->worker);
}

/* What each publisher said comes in its order. */
static void
assert_each_in_order(const struct reader *reader)
{
    unsigned next[PUBLISHERS] = {0};

    for (unsigned i = 0; i < ALL; i++) {
        unsigned which = reader->payloads[i] / EACH;

        assert_int_equal(reader->payloads[i] % EACH, next[which]);
        next[which]++;
    }
}

static void
one_order_for_all(void **state)
{
    const struct conf_bus conf = {.history_messages = 100,
                                  .history_bytes = 1 << 20,
                                  .retained_max = 10,
                                  .retained_bytes = 1 << 20};
    struct log *log = log_open(&(struct log_options){.fd = STDERR_FILENO});
    struct reader *readers = calloc(READERS, sizeof *readers);
    pthread_t threads[PUBLISHERS];
    unsigned ids[PUBLISHERS];
    struct bus_options options = {.log = log, .conf = &conf};

    (void)state;
    sequence = options.sequence = sequence_new();
    bus = bus_memory_open(&options);
    assert_non_null(bus);
    for (unsigned i = 0; i < READERS; i++)
        start_reader(&readers[i], log, i + 1, &conf);
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, publish, &ids[i]), 0);
    }
    for (unsigned i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < READERS; i++)
        worker_join(readers[i].worker);
    for (unsigned i = 0; i < READERS; i++) {
        assert_false(readers[i].odd);
        assert_int_equal(readers[i].n, ALL);
        assert_true(readers[i].flushes > 0 && readers[i].flushes <= ALL);
        assert_memory_equal(readers[i].payloads, readers[0].payloads, sizeof readers[0].payloads);
    }
    assert_each_in_order(&readers[0]);
    bus->ops->close(bus);
    for (unsigned i = 0; i < READERS; i++) {
        hub_unsubscribe(&readers[i].filter);
        hub_leave(&readers[i].member);
        hub_free(readers[i].hub);
        loop_free(readers[i].loop);
    }
    sequence_free(sequence);
    free(readers);
    log_close(log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_order_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
