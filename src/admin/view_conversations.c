/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of what outlives or shares connections: sessions and topics. */
#include "admin/view_writer.h"

/* ---- sessions ---- */

static void
session_family(const struct writer *writer, const char *name, const char *type, const char *help,
               uint64_t (*value)(const struct metrics_sessions *sessions))
{
    size_t i;

    writer_family(writer, name, type, help);
    for (i = 0; i < writer->n_sums; i++)
        if (writer->sums[i].of.sessions.opened > 0)
            writer_one_label(writer, name, "route", writer->sums[i].name,
                             value(&writer->sums[i].of.sessions));
}

static uint64_t
sessions_now(const struct metrics_sessions *sessions)
{
    return metrics_left(sessions->opened, sessions->ended);
}

static uint64_t
sessions_parked(const struct metrics_sessions *sessions)
{
    return metrics_left(sessions->parked, sessions->unparked);
}

static uint64_t
sessions_resumed(const struct metrics_sessions *sessions)
{
    return sessions->resumed;
}

static uint64_t
sessions_expired(const struct metrics_sessions *sessions)
{
    return sessions->expired;
}

void
writer_sessions(const struct writer *writer)
{
    session_family(writer, "culvert_sessions", "gauge", "Sessions now.", sessions_now);
    session_family(writer, "culvert_sessions_parked", "gauge",
                   "Sessions that wait for their client to come back.", sessions_parked);
    session_family(writer, "culvert_sessions_resumed_total", "counter",
                   "Times that a client went on with its session on another carrier.",
                   sessions_resumed);
    session_family(writer, "culvert_sessions_expired_total", "counter",
                   "Sessions that ended because nobody came back in time.", sessions_expired);
}

/* ---- topics ---- */

static void
topic_family(const struct writer *writer, const char *name, const char *help, size_t offset)
{
    writer_family(writer, name, "counter", help);
    for (size_t i = 0; i < writer->n_sums; i++) {
        const struct metrics_topics *topics = &writer->sums[i].of.topics;

        if (topics->published + topics->failed + topics->dropped > 0)
            writer_one_label(writer, name, "route", writer->sums[i].name,
                             *(const uint64_t *)(const void *)((const char *)topics + offset));
    }
}

void
writer_topics(const struct writer *writer)
{
    topic_family(writer, "culvert_topic_published_total", "Publications that the bus has taken.",
                 offsetof(struct metrics_topics, published));
    topic_family(writer, "culvert_topic_failed_total",
                 "Publications that are not known to be taken.",
                 offsetof(struct metrics_topics, failed));
    topic_family(writer, "culvert_topic_dropped_total",
                 "Times that a subscriber's queue was full and lost something.",
                 offsetof(struct metrics_topics, dropped));
}
