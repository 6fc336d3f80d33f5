/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backlog -- what a subscription begins with, in this order (PROTOCOL.md section 4):
 *
 *      reset, if the client has missed something → retained values → history → `subscribed`
 *
 * Retained values are referred to, as many as match. History is read where it is, as the client takes it:
 * what is evicted before that makes it begin anew, with `reset`.
 *
 * Thread:    one worker's.
 */
#ifndef CULVERT_TOPIC_BACKLOG_H
#define CULVERT_TOPIC_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"

struct hub;
struct topic_message;

enum {
    BACKLOG_FILTERS = 256, /* of one subscription */
    BACKLOG_WORK =
        1 << 17, /* comparisons with filters in one turn: milliseconds, whatever history keeps */
};

/* A filter of an earlier subscription: what it matches came already, if it is younger than `from`. */
struct backlog_older {
    struct span filter;
    uint64_t from;
};

struct backlog {
    struct backlog *next;            /* the owner's */
    bool reset;                      /* to be told before all else */
    struct topic_message **retained; /* those from at on are still to be sent */
    size_t n_retained, at;
    size_t walked;         /* nodes of the retained values' tree that making it has looked at */
    uint64_t after, until; /* of history; nothing where they are equal */
    uint64_t since;        /* what `subscribed` tells */
    unsigned n_filters;
    unsigned n_older;
    struct backlog_older *older; /* behind the filters */
    struct span filters[];       /* the bytes of all behind them */
};

struct backlog_options {
    struct hub *hub;
    const struct span *filters;
    unsigned n_filters;
    const struct backlog_older *older;
    unsigned n_older;
    const char *since; /* NULL: none */
    bool retained;     /* the route tells them */
};

/* Returns NULL without memory. */
struct backlog *backlog_new(const struct backlog_options *options)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void backlog_free(struct backlog *backlog);

/* Up to max retained values to be sent next, borrowed. */
unsigned backlog_retained(const struct backlog *backlog, struct topic_message **out, unsigned max);
/* So many of them were. */
void backlog_retained_sent(struct backlog *backlog, unsigned n);

/* The same from history, once there is nothing retained any more. 0: that was all, if work is left: what
 * remains of the comparisons that are allowed. -1: what comes next is there no longer; it begins anew, with
 * reset and, if retained, the retained values. */
int backlog_history(struct backlog *backlog, struct hub *hub, bool retained,
                    struct topic_message **out, unsigned max, unsigned *work);
/* All up to that number were sent. */
void backlog_history_sent(struct backlog *backlog, uint64_t number);

/* Whether a message of that topic is for the filters. */
bool backlog_matches(const struct backlog *backlog, const struct topic_message *message);

#endif
