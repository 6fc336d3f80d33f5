/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subscriber_state -- what a subscriber is made of, and what its parts (subscriber.c,
 * subscriber_send.c, subscriber_websocket.c, subscriber_sse.c, talk.c) share. Nobody else includes it.
 */
#ifndef CULVERT_TOPIC_SUBSCRIBER_STATE_H
#define CULVERT_TOPIC_SUBSCRIBER_STATE_H

#include "base/list.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"
#include "topic/backlog.h"
#include "topic/hub.h"
#include "topic/message.h"
#include "topic/queue.h"
#include "topic/subscriber.h"

enum {
    SUBSCRIBER_FILTERS_MAX = 256,   /* of one client */
    SUBSCRIBER_BACKLOGS_MAX = 16,   /* subscriptions that have not begun yet */
    SUBSCRIBER_PENDING_MAX = 65536, /* bytes that wait in the stream, but for one message */
};

/* How it is carried. */
struct subscriber_kind {
    uint8_t transport; /* enum metrics_transport */
    /* Sends an event that is no message: JSON; id: the cursor it moves, or NULL. */
    void (*event)(struct subscriber *subscriber, const char *json, size_t len, const char *id);
    /* Moves the client's cursor, and shows that we are there. */
    void (*cursor)(struct subscriber *subscriber, const char *id);
    /* All that waited is sent, and it is to leave: says goodbye. */
    void (*goodbye)(struct subscriber *subscriber, uint16_t code, const char *reason);
    /* The stream has taken something. */
    void (*progress)(struct subscriber *subscriber);
    /* A deadline may have come. Returns when to look again; 0: never. May end it. */
    double (*look)(struct subscriber *subscriber);
    void (*free)(struct subscriber *subscriber);
};

/* One filter of a subscriber. */
struct subscriber_filter {
    struct hub_filter filter;
    struct subscriber_filter *next;
    uint64_t from; /* what is younger and it matches is told */
    unsigned n_levels;
};

struct subscriber {
    struct hub_member member;
    const struct subscriber_kind *kind;
    struct stream_owner stream_owner;
    struct stream *stream; /* NULL: over */
    struct loop *loop;
    const struct conf_route *route;
    struct linger_set *lingers;
    struct metrics_route *metrics;
    struct subscriber_owner *owner;
    struct subscriber_filter *filters;
    struct backlog *backlogs; /* in order */
    struct queue queue;
    struct timer timer;
    double told; /* when it was last sent anything */
    uint64_t in, out;
    size_t walked;     /* for its subscriptions of this turn: nodes */
    uint32_t n_levels; /* of all filters together */
    uint16_t n_filters;
    uint8_t n_backlogs;
    uint8_t form, form_retained; /* enum topic_form */
    bool events;                 /* it is told what is no message */
    bool talked;                 /* the goodbye is said */
    uint16_t fault;              /* it is to be closed for this: a close code; 0: none */
    uint16_t leave_code;         /* it is to leave: 0: not */
    const char *leave_reason;    /* static */
    struct loop_deferred free_later;
};

/* Sets up all that kinds have in common, and joins the hub. kind->free() is for what the caller
 * allocates. */
void subscriber_init(struct subscriber *subscriber, const struct subscriber_kind *kind,
                     const struct subscriber_options *options);

/* It is not going to be one: before it has its stream. */
void subscriber_discard(struct subscriber *subscriber);
/* It has its stream, and what comes first was written. */
void subscriber_begin(struct subscriber *subscriber);

/* Subscribes, with what a subscription begins with. Returns NULL, or why not. */
const char *subscriber_subscribe(struct subscriber *subscriber, const struct span *filters,
                                 unsigned n, const char *since);
/* Filters that it does not have are none of its business. */
void subscriber_unsubscribe(struct subscriber *subscriber, const struct span *filters, unsigned n);

/* The first one has been sent. */
void subscriber_drop_backlog(struct subscriber *subscriber);

/* Sends what the stream takes. */
void subscriber_push(struct subscriber *subscriber);

/* The stream took something, or broke. */
void subscriber_progress(struct subscriber *subscriber);

/* Has ended: tells its owner. gently: what the stream holds is sent first. */
void subscriber_end(struct subscriber *subscriber, bool gently, enum ender by, uint16_t code,
                    const char *reason);

/* A deadline may be sooner than before. */
void subscriber_tell_due(struct subscriber *subscriber);

/* Whether all that it is to get has been given to the socket. */
bool subscriber_is_even(const struct subscriber *subscriber);

/* Every heartbeat, so that a quiet filter on a busy bus keeps its place. */
void subscriber_send_cursor(struct subscriber *subscriber);

static inline bool
subscriber_is_over(const struct subscriber *subscriber)
{
    return subscriber->stream == NULL;
}

#endif
