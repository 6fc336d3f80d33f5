/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/retained.h"

#include <stdlib.h>

#include "base/log.h"
#include "topic/message.h"
#include "topic/tree.h"

void
retained_init(struct retained *retained, struct topic_tree *tree, struct log *log, size_t max,
              size_t bytes_max)
{
    *retained = (struct retained){.tree = tree, .log = log, .max = max, .bytes_max = bytes_max};
}

void
retained_deinit(struct retained *retained)
{
    struct topic_message *message;

    while ((message = topic_tree_retained_take(retained->tree)) != NULL)
        topic_message_unref(message);
}

const struct topic_message *
retained_of(const struct retained *retained, const struct topic_message *message)
{
    return topic_tree_retained(retained->tree, topic_message_topic(message), message->topic_len);
}

/* What a value counts: forms are made of it only for who subscribes. */
static size_t
weight(size_t topic_len, size_t payload_len)
{
    return sizeof(struct topic_message) + topic_len + payload_len;
}

bool
retained_fits(const struct retained *retained, const char *topic, size_t len, size_t payload_len)
{
    const struct topic_message *old = topic_tree_retained(retained->tree, topic, len);
    size_t freed = old == NULL ? 0 : weight(len, old->payload_len);

    return retained->bytes - freed + weight(len, payload_len) <= retained->bytes_max &&
           (old != NULL || topic_tree_counts(retained->tree).retained < retained->max);
}

/* message NULL: none any more. */
static void
replace(struct retained *retained, const char *topic, size_t len, struct topic_message *message)
{
    struct topic_message *old;
    void *found = NULL;

    if (topic_tree_retain(retained->tree, topic, len, message, &found) != 0) {
        log_error(retained->log, "topics", "out of memory: a retained value is lost");
        if (topic_tree_retain(retained->tree, topic, len, NULL, &found) != 0)
            return; /* which cannot be */
        message = NULL;
    }
    old = found;
    if (message != NULL)
        retained->bytes += weight(len, topic_message_ref(message)->payload_len);
    if (old != NULL)
        retained->bytes -= weight(len, old->payload_len);
    topic_message_unref(old);
}

void
retained_keep(struct retained *retained, struct topic_message *message)
{
    const char *topic = topic_message_topic(message);
    bool keep = message->payload_len > 0;

    if (keep && !retained_fits(retained, topic, message->topic_len, message->payload_len)) {
        if (!retained->told_full)
            log_warn(retained->log, "topics",
                     "retained_max or retained_bytes reached: other values are not kept");
        retained->told_full = true;
        keep = false;
    } else {
        retained->told_full = retained->told_full && keep;
    }
    if (keep || retained_of(retained, message) != NULL)
        replace(retained, topic, message->topic_len, keep ? message : NULL);
}

/* ---- forgetting ---- */

struct staleness {
    uint64_t before;
    struct topic_message **stale; /* borrowed: the tree must not change while it is walked */
    size_t n;
};

static bool
on_value(void *value, void *arg)
{
    struct staleness *staleness = arg;
    struct topic_message *message = value;

    if (message->number < staleness->before)
        staleness->stale[staleness->n++] = message;
    return true;
}

void
retained_forget(struct retained *retained, uint64_t before)
{
    struct staleness staleness = {.before = before};

    staleness.stale =
        calloc(topic_tree_counts(retained->tree).retained + 1, sizeof(struct topic_message *));
    if (staleness.stale == NULL) {
        log_error(retained->log, "topics", "out of memory: retained values may be old ones");
        return;
    }
    topic_tree_retained_each(retained->tree, NULL, 0, on_value, &staleness);
    for (size_t i = 0; i < staleness.n; i++) {
        const struct topic_message *message = staleness.stale[i];

        replace(retained, topic_message_topic(message), message->topic_len, NULL);
    }
    free(staleness.stale);
}
