/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "event/loop.h"

enum {
    ID_BYTES = SESSIONS_ID_LEN / 4 * 3,
    RANDOM_BYTES = 16,
};

_Static_assert(ID_BYTES == RANDOM_BYTES + 2, "an id is random bytes and a worker's number");

struct ending {
    struct map_entry entry;
    struct list link;
    double until;
    uint64_t route; /* a hash of its name */
    struct sessions_end end;
    char id[SESSIONS_ID_LEN + 1];
};

/* ---- ids ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
encode(const uint8_t bytes[ID_BYTES], char out[SESSIONS_ID_LEN + 1])
{
    for (unsigned i = 0; i < ID_BYTES; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

        for (unsigned k = 4; k-- > 0; group >>= 6)
            out[i / 3 * 4 + k] = digits[group & 63];
    }
    out[SESSIONS_ID_LEN] = '\0';
}

/* The value of a digit; -1: it is none. */
static int
digit_value(char c)
{
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

unsigned
sessions_worker_of(const char *id)
{
    unsigned last = 0;

    if (strlen(id) != SESSIONS_ID_LEN)
        return 0;
    for (unsigned i = 0; i < SESSIONS_ID_LEN; i++) {
        int value = digit_value(id[i]);

        if (value < 0)
            return 0;
        last = last << 6 | (unsigned)value;
    }
    return last & 0xffff;
}

static int
make_id(const struct loop *loop, char out[SESSIONS_ID_LEN + 1])
{
    uint8_t bytes[ID_BYTES];
    unsigned worker = loop_id(loop);
    ssize_t n;

    do {
        n = getrandom(bytes, RANDOM_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    if (n != RANDOM_BYTES) {
        log_error(loop_log(loop), "session", "no random bytes: %s", strerror(errno));
        return -1;
    }
    bytes[RANDOM_BYTES] = (uint8_t)(worker >> 8);
    bytes[RANDOM_BYTES + 1] = (uint8_t)worker;
    encode(bytes, out);
    return 0;
}

/* ---- ends ---- */

/* FNV-1a: names are the configuration's, nobody can choose them to collide. */
static uint64_t
hash_route(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
    return hash;
}

static void
forget(struct sessions *sessions, struct ending *ending)
{
    map_remove(&sessions->ends, &ending->entry);
    list_remove(&ending->link);
    free(ending);
}

static struct ending *
oldest(const struct sessions *sessions)
{
    return list_empty(&sessions->ends_by_age)
               ? NULL
               : container_of(sessions->ends_by_age.next, struct ending, link);
}

/* The times of routes differ: who is in between goes a little late, and is not found before. */
static void
forget_old(struct sessions *sessions)
{
    double now = loop_now(sessions->loop);
    struct ending *ending = oldest(sessions);

    while (ending != NULL && (ending->until <= now || sessions->ends.count >= SESSIONS_ENDS_MAX)) {
        forget(sessions, ending);
        ending = oldest(sessions);
    }
}

/* Without memory it is forgotten at once: the client is told that the session is gone. */
static void
remember(struct sessions *sessions, const char *id, const char *route,
         const struct sessions_end *end, double seconds)
{
    struct ending *ending;

    forget_old(sessions);
    ending = malloc(sizeof *ending);
    if (ending == NULL)
        return;
    ending->until = loop_now(sessions->loop) + seconds;
    ending->route = hash_route(route);
    ending->end = *end;
    memcpy(ending->id, id, sizeof ending->id);
    map_add(&sessions->ends, &ending->entry, ending->id);
    list_add(&sessions->ends_by_age, &ending->link);
}

bool
sessions_find_end(struct sessions *sessions, const char *id, const char *route,
                  struct sessions_end *end)
{
    struct map_entry *entry = map_find(&sessions->ends, id);
    const struct ending *ending = entry != NULL ? container_of(entry, struct ending, entry) : NULL;

    if (ending == NULL || ending->until <= loop_now(sessions->loop) ||
        ending->route != hash_route(route))
        return false;
    *end = ending->end;
    return true;
}

bool
sessions_know(const struct sessions *sessions, const char *id)
{
    return map_find(&sessions->members, id) != NULL || map_find(&sessions->ends, id) != NULL;
}

/* ---- members ---- */

int
sessions_init(struct sessions *sessions, struct loop *loop)
{
    memset(sessions, 0, sizeof *sessions);
    sessions->loop = loop;
    list_init(&sessions->ends_by_age);
    if (map_init(&sessions->members) != 0)
        goto fail;
    if (map_init(&sessions->ends) != 0)
        goto fail_ends;
    return 0;
fail_ends:
    map_deinit(&sessions->members);
fail:
    log_error(loop_log(loop), "session", "out of memory");
    return -1;
}

void
sessions_deinit(struct sessions *sessions)
{
    struct ending *ending;

    if (sessions->loop == NULL)
        return;
    while ((ending = oldest(sessions)) != NULL)
        forget(sessions, ending);
    map_deinit(&sessions->ends);
    map_deinit(&sessions->members);
}

int
sessions_add(struct sessions *sessions, struct sessions_member *member)
{
    if (make_id(sessions->loop, member->id) != 0)
        return -1;
    map_add(&sessions->members, &member->entry, member->id);
    return 0;
}

void
sessions_remove(struct sessions *sessions, struct sessions_member *member, const char *route,
                const struct sessions_end *end, double seconds)
{
    map_remove(&sessions->members, &member->entry);
    remember(sessions, member->id, route, end, seconds);
}

struct sessions_member *
sessions_find(const struct sessions *sessions, const char *id)
{
    struct map_entry *entry = map_find(&sessions->members, id);

    return entry != NULL ? container_of(entry, struct sessions_member, entry) : NULL;
}
