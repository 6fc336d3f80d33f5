/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sessions -- those of one worker, found by their ids; and for a while, how those have ended that are
 * gone (PROTOCOL.md section 3, Ending).
 *
 *      id:  | 16 random bytes, worker's number: 2 bytes | in base64's alphabet for URLs, 24 characters
 *
 * Thread:    on the loop's thread, but sessions_worker_of(), which is for any.
 * Lifetime:  embedded in its owner: sessions_init() to sessions_deinit(), when no member is left.
 */
#ifndef CULVERT_CLIENT_SESSIONS_H
#define CULVERT_CLIENT_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"

struct loop;
struct session;

enum {
    SESSIONS_ID_LEN = 24,      /* without NUL */
    SESSIONS_ENDS_MAX = 10000, /* that are remembered; then the oldest are forgotten */
};

struct sessions {
    struct loop *loop;
    struct map members;
    struct map ends;
    struct list ends_by_age; /* oldest first */
};

/* How one has ended. */
struct sessions_end {
    uint64_t consumed; /* of the client's messages */
    uint64_t last;     /* number of the last message to the client */
    uint16_t code;
    bool gone; /* nobody came back: what was kept for the client is lost */
};

/* Embedded in a session. */
struct sessions_member {
    struct map_entry entry;
    char id[SESSIONS_ID_LEN + 1];
};

/* Returns 0, or -1 without memory, logged. */
int sessions_init(struct sessions *sessions, struct loop *loop) __attribute__((warn_unused_result));
void sessions_deinit(struct sessions *sessions);

/* Makes an id. Returns 0, or -1 without random bytes, logged. */
int sessions_add(struct sessions *sessions, struct sessions_member *member)
    __attribute__((warn_unused_result));

/* Its end is remembered for so many seconds. route: its name; whose ends they are is remembered too. */
void sessions_remove(struct sessions *sessions, struct sessions_member *member, const char *route,
                     const struct sessions_end *end, double seconds);

/* NULL if there is none. */
struct sessions_member *sessions_find(const struct sessions *sessions, const char *id);

/* Whether one of that id is there, or has been of late. */
bool sessions_know(const struct sessions *sessions, const char *id);

/* Whether the end of such a session of that route is known. */
bool sessions_find_end(struct sessions *sessions, const char *id, const char *route,
                       struct sessions_end *end);

/* Which worker's it is, by loop_id(). 0: this is no id. */
unsigned sessions_worker_of(const char *id);

static inline size_t
sessions_count(const struct sessions *sessions)
{
    return sessions->members.count;
}

#endif
