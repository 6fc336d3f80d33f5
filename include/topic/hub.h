/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hub -- one worker's part of a bus: who subscribed to what, the history and the retained values.
 *
 *      sequence ──items──→ hub ─┬→ history           (references)
 *                               ├→ retained values    (references)
 *                               └→ tree ──match──→ members: message() …, then flush() once each
 *
 * Thread:    on the loop's thread.
 * Lifetime:  made before the loop runs; freed after, when no member is left.
 */
#ifndef CULVERT_TOPIC_HUB_H
#define CULVERT_TOPIC_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "topic/bus.h"
#include "topic/history.h"
#include "topic/sequence.h"
#include "topic/tree.h"

struct hub;
struct hub_member;
struct loop;
struct topic_message;

enum hub_note {
    HUB_DOWN,
    HUB_UP,
    HUB_RESET,
};

struct hub_ops {
    /* A message that one of the member's filters matches. Once for each; numbers rise. Must not leave
     * the hub, nor subscribe. */
    void (*message)(struct hub_member *member, struct topic_message *message);
    void (*note)(struct hub_member *member, enum hub_note note);
    /* After some of those. May leave. */
    void (*flush)(struct hub_member *member);
};

/* Embedded in who subscribes. */
struct hub_member {
    const struct hub_ops *ops;
    struct hub *hub;
    struct list link;    /* of all members */
    struct list touched; /* of those to be flushed */
    uint64_t seen;       /* numbers up to this are not for it */
};

/* Embedded in a member, which owns it: one of its filters. Zeroed before its first use. */
struct hub_filter {
    struct topic_subscription subscription;
    struct hub_member *member;
    uint64_t after; /* numbers up to this are not for it */
};

struct hub_options {
    struct loop *loop;
    struct bus *bus;
    const struct conf_bus *conf; /* borrowed until it returns */
};

/* Returns NULL, logged. */
struct hub *hub_new(const struct hub_options *options) __attribute__((warn_unused_result));
/* NULL is fine. */
void hub_free(struct hub *hub);

void hub_join(struct hub *hub, struct hub_member *member, const struct hub_ops *ops);
/* With no filter left. A member that has left may leave again. */
void hub_leave(struct hub_member *member);

/* The member gets what is matched from now on. Returns 0, or -1 without memory. */
int hub_subscribe(struct hub_member *member, struct hub_filter *filter, const char *text,
                  size_t len) __attribute__((warn_unused_result));
void hub_unsubscribe(struct hub_filter *filter);

/* Members are flushed at the end of the turn, too, when they ask for it. */
void hub_touch(struct hub_member *member);
/* Who has done enough in this turn is flushed in the next. */
void hub_touch_next(struct hub_member *member);

struct loop *hub_loop(const struct hub *hub);
struct bus *hub_bus(const struct hub *hub);
const char *hub_epoch(const struct hub *hub);
const struct history *hub_history(const struct hub *hub);
struct topic_tree *hub_tree(struct hub *hub);
size_t hub_members(const struct hub *hub);

/* The last number that this worker has seen. */
uint64_t hub_head(const struct hub *hub);
/* Whether a client can have seen that number: of those given by now. */
bool hub_knows(const struct hub *hub, uint64_t number);
/* The broker is away. */
bool hub_is_down(const struct hub *hub);
/* Seconds for a publication to be taken. */
double hub_publish_timeout(const struct hub *hub);
/* Whether a value of the topic can be kept. */
bool hub_retains(const struct hub *hub, const char *topic, size_t len, size_t payload_len);

#endif
