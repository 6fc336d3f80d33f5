/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/topic_filter.h"
#include "topic/cursor.h"
#include "topic/history.h"
#include "topic/hub.h"
#include "topic/message.h"
#include "topic/tree.h"

enum {
    WALKS = 8,    /* over all that is retained, for filters of one subscription each by itself */
    MATCHES = 16, /* steps for each value, for filters together */
    FEW = 1000,   /* steps that nobody counts */
};

static bool
matches_any(const struct span *filters, unsigned n, const struct topic_message *message)
{
    for (unsigned i = 0; i < n; i++) {
        if (topic_filter_matches(filters[i].at, filters[i].len, topic_message_topic(message),
                                 message->topic_len))
            return true;
    }
    return false;
}

static bool
came_already(const struct backlog *backlog, const struct topic_message *message)
{
    for (unsigned i = 0; i < backlog->n_older; i++) {
        const struct backlog_older *older = &backlog->older[i];

        if (message->number > older->from && matches_any(&older->filter, 1, message))
            return true;
    }
    return false;
}

bool
backlog_matches(const struct backlog *backlog, const struct topic_message *message)
{
    return matches_any(backlog->filters, backlog->n_filters, message);
}

/* ---- retained values ---- */

struct collecting {
    struct backlog *backlog;
    unsigned filter;         /* whose turn it is; values that an earlier one matches are taken */
    struct topic_tree *rest; /* that filter and all behind it, while they are asked together */
    size_t work;             /* steps that this may take */
    size_t room;
    bool failed;
};

/* Returns whether to go on. */
static bool
take_value(struct collecting *collecting, struct topic_message *message)
{
    struct backlog *backlog = collecting->backlog;

    if (matches_any(backlog->filters, collecting->filter, message))
        return true;
    if (backlog->n_retained == collecting->room) {
        size_t room = collecting->room == 0 ? 8 : 2 * collecting->room;
        void *grown = realloc(backlog->retained, room * sizeof(struct topic_message *));

        collecting->failed = grown == NULL;
        if (grown == NULL)
            return false;
        backlog->retained = grown;
        collecting->room = room;
    }
    backlog->retained[backlog->n_retained++] = topic_message_ref(message);
    return true;
}

/* One that the filter matches whose turn it is. */
static bool
on_value(void *value, void *arg)
{
    return take_value(arg, value);
}

static void
on_filter(struct topic_subscription *subscription, void *arg)
{
    bool *matches = arg;

    (void)subscription;
    *matches = true;
}

/* Any. */
static bool
on_any_value(void *value, void *arg)
{
    struct collecting *collecting = arg;
    struct topic_message *message = value;
    bool matches = false;
    size_t steps = topic_tree_match(collecting->rest, topic_message_topic(message),
                                    message->topic_len, on_filter, &matches);

    collecting->work -= steps < collecting->work ? steps : collecting->work;
    if (collecting->work == 0)
        return false;
    return !matches || take_value(collecting, message);
}

/* Returns -1 without memory. */
static int
ask_together(struct collecting *collecting, struct hub *hub,
             struct topic_subscription *subscriptions)
{
    struct backlog *backlog = collecting->backlog;
    const struct span *filters = backlog->filters + collecting->filter;
    unsigned n = backlog->n_filters - collecting->filter, made = 0;
    int result = 0;

    while (result == 0 && made < n) {
        result = topic_tree_subscribe(collecting->rest, filters[made].at, filters[made].len,
                                      &subscriptions[made]);
        made += result == 0;
    }
    if (result == 0)
        backlog->walked +=
            topic_tree_retained_each(hub_tree(hub), NULL, 0, on_any_value, collecting);
    while (made > 0)
        topic_tree_unsubscribe(collecting->rest, &subscriptions[--made]);
    return collecting->failed ? -1 : result;
}

/*
 * Filters that each have to look at many values, such as +/a, +/b, … are asked together: one walk, and each
 * value is looked up among them. There are filters that are so alike that this takes longer; then nothing
 * is taken. Returns 1 when it is done, 0 when it takes too long, -1 without memory.
 */
static int
collect_together(struct collecting *collecting, struct hub *hub)
{
    struct backlog *backlog = collecting->backlog;
    struct topic_subscription *subscriptions =
        calloc(backlog->n_filters - collecting->filter, sizeof *subscriptions);
    size_t had = backlog->n_retained;
    int result = -1;

    collecting->rest = topic_tree_new();
    if (subscriptions != NULL && collecting->rest != NULL)
        result = ask_together(collecting, hub, subscriptions);
    topic_tree_free(collecting->rest);
    free(subscriptions);
    if (result != 0 || collecting->work > 0)
        return result == 0 ? 1 : -1;
    while (backlog->n_retained > had)
        topic_message_unref(backlog->retained[--backlog->n_retained]);
    return 0;
}

/* A value that several filters match is taken with the first of them. Returns -1 without memory. */
static int
collect_retained(struct backlog *backlog, struct hub *hub)
{
    size_t retained = topic_tree_counts(hub_tree(hub)).retained;
    struct collecting collecting = {.backlog = backlog, .work = MATCHES * retained + FEW};
    size_t enough = backlog->walked + WALKS * retained + FEW;
    bool together = true;
    int result;

    for (; collecting.filter < backlog->n_filters; collecting.filter++) {
        const struct span *filter = &backlog->filters[collecting.filter];

        if (together && backlog->walked > enough) {
            result = collect_together(&collecting, hub);
            if (result != 0)
                return result > 0 ? 0 : -1;
            together = false;
        }
        backlog->walked +=
            topic_tree_retained_each(hub_tree(hub), filter->at, filter->len, on_value, &collecting);
        if (collecting.failed)
            return -1;
    }
    return 0;
}

static void
drop_retained(struct backlog *backlog)
{
    while (backlog->at < backlog->n_retained)
        topic_message_unref(backlog->retained[backlog->at++]);
    free(backlog->retained);
    backlog->retained = NULL;
    backlog->n_retained = backlog->at = 0;
}

unsigned
backlog_retained(const struct backlog *backlog, struct topic_message **out, unsigned max)
{
    size_t left = backlog->n_retained - backlog->at;
    unsigned n = left < max ? (unsigned)left : max;

    if (n > 0)
        memcpy(out, backlog->retained + backlog->at, n * sizeof(struct topic_message *));
    return n;
}

void
backlog_retained_sent(struct backlog *backlog, unsigned n)
{
    for (; n > 0; n--)
        topic_message_unref(backlog->retained[backlog->at++]);
    if (backlog->at == backlog->n_retained)
        drop_retained(backlog);
}

/* ---- history ---- */

/* What is lost is older than `until`: what came later waits elsewhere. */
static int
begin_anew(struct backlog *backlog, struct hub *hub, bool retained)
{
    backlog->reset = true;
    backlog->after = backlog->until;
    if (retained)
        (void)collect_retained(backlog, hub); /* without memory fewer of them */
    return -1;
}

int
backlog_history(struct backlog *backlog, struct hub *hub, bool retained, struct topic_message **out,
                unsigned max, unsigned *work)
{
    const struct history *history = hub_history(hub);
    unsigned each = backlog->n_filters + backlog->n_older;
    unsigned n = 0;

    if (backlog->after >= backlog->until || *work == 0)
        return 0;
    if (!history_reaches(history, backlog->after))
        return begin_anew(backlog, hub, retained);
    for (size_t i = history_after(history, backlog->after); i < history->n && n < max; i++) {
        struct topic_message *message = history_at(history, i);

        if (message->number > backlog->until)
            break;
        *work -= *work < each ? *work : each;
        if (backlog_matches(backlog, message) && !came_already(backlog, message))
            out[n++] = message;
        else if (n == 0)
            backlog->after = message->number;
        if (*work == 0)
            break;
    }
    return (int)n;
}

void
backlog_history_sent(struct backlog *backlog, uint64_t number)
{
    backlog->after = number;
}

/* ---- lifetime ---- */

static size_t
bytes_of(const struct backlog_options *options)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < options->n_filters; i++)
        bytes += options->filters[i].len;
    for (unsigned i = 0; i < options->n_older; i++)
        bytes += options->older[i].filter.len;
    return bytes;
}

/* Returns what is behind the copy. */
static char *
copy(struct span *to, char *at, const struct span *filter)
{
    memcpy(at, filter->at, filter->len);
    *to = (struct span){at, filter->len};
    return at + filter->len;
}

static struct backlog *
allocate(const struct backlog_options *options)
{
    struct backlog *backlog =
        malloc(sizeof *backlog + options->n_filters * sizeof backlog->filters[0] +
               options->n_older * sizeof backlog->older[0] + bytes_of(options));
    char *at;

    if (backlog == NULL)
        return NULL;
    *backlog = (struct backlog){.n_filters = options->n_filters, .n_older = options->n_older};
    backlog->older = (struct backlog_older *)(void *)&backlog->filters[options->n_filters];
    at = (char *)&backlog->older[options->n_older];
    for (unsigned i = 0; i < options->n_filters; i++)
        at = copy(&backlog->filters[i], at, &options->filters[i]);
    for (unsigned i = 0; i < options->n_older; i++) {
        at = copy(&backlog->older[i].filter, at, &options->older[i].filter);
        backlog->older[i].from = options->older[i].from;
    }
    return backlog;
}

/* Whether history has what the client asks for. */
static bool
can_follow(const struct hub *hub, const char *since, uint64_t *number)
{
    return cursor_read(since, hub_epoch(hub), number) == 0 && hub_knows(hub, *number) &&
           history_reaches(hub_history(hub), *number);
}

struct backlog *
backlog_new(const struct backlog_options *options)
{
    struct backlog *backlog = allocate(options);
    uint64_t head = hub_head(options->hub), number = 0;

    if (backlog == NULL)
        return NULL;
    backlog->since = backlog->after = backlog->until = head;
    if (options->since != NULL && can_follow(options->hub, options->since, &number)) {
        backlog->after = number;
        backlog->since = number < head ? head : number;
        return backlog;
    }
    backlog->reset = options->since != NULL;
    if (!options->retained || collect_retained(backlog, options->hub) == 0)
        return backlog;
    backlog_free(backlog);
    return NULL;
}

void
backlog_free(struct backlog *backlog)
{
    if (backlog == NULL)
        return;
    drop_retained(backlog);
    free(backlog);
}
