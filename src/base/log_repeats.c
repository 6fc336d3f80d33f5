/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_repeats.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

void
log_repeats_init(struct log_repeats *repeats)
{
    memset(repeats, 0, sizeof *repeats);
    pthread_mutex_init(&repeats->lock, NULL);
    atomic_init(&repeats->due, ULLONG_MAX);
}

void
log_repeats_deinit(struct log_repeats *repeats)
{
    pthread_mutex_destroy(&repeats->lock);
}

/* FNV-1a. Texts are ours but for details; who made two collide would hide a line behind its own. */
static uint64_t
hash(uint64_t value, const void *data, size_t len)
{
    const unsigned char *at = data;

    while (len-- > 0)
        value = (value ^ *at++) * 0x100000001b3;
    return value;
}

/* The kind with that key, or room for it; NULL: neither. */
static struct log_repeats_kind *
find(struct log_repeats_kind *kinds, uint64_t key, uint64_t now)
{
    struct log_repeats_kind *room = NULL;

    for (struct log_repeats_kind *kind = kinds; kind < kinds + LOG_REPEATS_KINDS; kind++) {
        /* One that has something to sum up stays until that is taken out. */
        bool live = kind->until > now || kind->sum.n > 0;

        if (live && kind->key == key)
            return kind;
        if (!live && room == NULL)
            room = kind;
    }
    if (room == NULL)
        return NULL;
    room->key = key;
    room->until = now + LOG_REPEATS_WINDOW;
    room->written = 0;
    return room;
}

/* Returns whether the line is within the limit. */
static bool
count(struct log_repeats *repeats, struct log_repeats_kind *kind, unsigned limit,
      enum log_level level, const char *text)
{
    if (kind == NULL)
        return true;
    if (kind->written < limit) {
        kind->written++;
        return true;
    }
    if (kind->sum.n++ == 0) {
        kind->sum.level = level;
        snprintf(kind->sum.text, sizeof kind->sum.text, "%s", text);
        if (kind->until < atomic_load_explicit(&repeats->due, memory_order_relaxed))
            atomic_store_explicit(&repeats->due, kind->until, memory_order_relaxed);
    }
    return false;
}

bool
log_repeats_admit(struct log_repeats *repeats, uint64_t now, enum log_level level,
                  const char *place, const char *text)
{
    uint64_t place_key = hash(0xcbf29ce484222325, &place, sizeof place);
    uint64_t text_key = hash(place_key, text, strlen(text));
    bool admitted;

    pthread_mutex_lock(&repeats->lock);
    admitted =
        count(repeats, find(repeats->texts, text_key, now), LOG_REPEATS_TEXT, level, text) &&
        count(repeats, find(repeats->places, place_key, now), LOG_REPEATS_PLACE, level, text);
    pthread_mutex_unlock(&repeats->lock);
    return admitted;
}

/* Takes the first sum that is due out of kinds, and lowers *next to when the others are. */
static bool
take(struct log_repeats_kind *kinds, uint64_t now, struct log_repeats_sum *sum, uint64_t *next)
{
    bool taken = false;

    for (struct log_repeats_kind *kind = kinds; kind < kinds + LOG_REPEATS_KINDS; kind++) {
        if (kind->sum.n == 0)
            continue;
        if (!taken && kind->until <= now) {
            *sum = kind->sum;
            kind->sum.n = 0;
            kind->until = 0;
            taken = true;
        } else if (kind->until < *next) {
            *next = kind->until;
        }
    }
    return taken;
}

bool
log_repeats_take(struct log_repeats *repeats, uint64_t now, struct log_repeats_sum *sum)
{
    uint64_t due = atomic_load_explicit(&repeats->due, memory_order_relaxed);
    uint64_t next = ULLONG_MAX;
    bool taken = false;

    if (due == ULLONG_MAX || due > now)
        return false;
    pthread_mutex_lock(&repeats->lock);
    if (take(repeats->texts, now, sum, &next)) {
        sum->same = true;
        taken = true;
        due = 0; /* perhaps there are more */
    } else {
        taken = take(repeats->places, now, sum, &next);
        sum->same = false;
        due = taken ? 0 : next;
    }
    atomic_store_explicit(&repeats->due, due, memory_order_relaxed);
    pthread_mutex_unlock(&repeats->lock);
    return taken;
}
