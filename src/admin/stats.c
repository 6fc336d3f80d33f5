/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/stats.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "admin/process.h"
#include "base/list.h"
#include "base/log.h"
#include "bridge/service.h"
#include "event/loop.h"

/* There in sanitizer builds only; their allocator knows nothing of mallinfo2(). */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

struct stats_question {
    struct loop_message message;
    struct stats *stats;
    struct service *service;
    struct service_counts counts;
};

static size_t
live_bytes(void)
{
    struct mallinfo2 info;

    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
    info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void
write_line(struct stats *stats)
{
    size_t bytes = live_bytes();
    struct log_field fields[] = {
        {.name = "live_bytes", .type = LOG_NUMBER, .number = bytes},
        {.name = "connections", .type = LOG_NUMBER, .number = stats->connections},
        {.name = "blocks", .type = LOG_NUMBER, .number = stats->blocks},
        {.name = "fds", .type = LOG_NUMBER, .number = process_descriptors()},
    };

    log_event(loop_log(stats->loop), "stats", "main", "stats", fields,
              sizeof fields / sizeof *fields);
}

/* On main. */
static void
deliver_answer(struct loop_message *message)
{
    struct stats_question *question = container_of(message, struct stats_question, message);
    struct stats *stats = question->stats;

    stats->connections += question->counts.connections;
    stats->blocks += question->counts.blocks;
    if (--stats->n_waiting == 0)
        write_line(stats);
}

/* On the worker. */
static void
deliver_question(struct loop_message *message)
{
    struct stats_question *question = container_of(message, struct stats_question, message);

    service_count(question->service, &question->counts);
    message->deliver = deliver_answer;
    loop_post(question->stats->loop, message);
}

/* On the worker, one turn before: what has ended in this turn is freed at its end. */
static void
deliver_notice(struct loop_message *message)
{
    struct stats_question *question = container_of(message, struct stats_question, message);

    message->deliver = deliver_question;
    loop_post(service_loop(question->service), message);
}

int
stats_init(struct stats *stats, struct loop *loop, unsigned n_services)
{
    const char *wanted = getenv("CULVERT_STATS");

    if (wanted == NULL || strcmp(wanted, "1") != 0)
        return 0;
    stats->questions = calloc(n_services, sizeof *stats->questions);
    if (stats->questions == NULL) {
        log_error(loop_log(loop), "stats", "out of memory");
        return -1;
    }
    stats->loop = loop;
    stats->n_questions = n_services;
    return 0;
}

void
stats_deinit(struct stats *stats)
{
    free(stats->questions);
}

bool
stats_begin(struct stats *stats)
{
    if (stats->loop == NULL || stats->n_waiting > 0)
        return false;
    stats->n_waiting = stats->n_questions;
    stats->connections = stats->blocks = 0;
    return true;
}

void
stats_ask(struct stats *stats, unsigned index, struct service *service)
{
    struct stats_question *question = &stats->questions[index];

    question->stats = stats;
    question->service = service;
    question->message.deliver = deliver_notice;
    loop_post(service_loop(service), &question->message);
}
