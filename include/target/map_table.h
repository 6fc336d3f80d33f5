/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map_table -- what tokens stand for, by the file of a `target = map:FILE`, which is read again
 * when it changes.
 *
 *      worker: map_lookup_start ── looked just now ─────────────────────→ answer
 *                    │                                                      ▲
 *                    └ stat: the file is another ──→ main: read, replace ───┘
 *
 * Whoever asks looks whether the file has changed: at most every MAP_TABLE_LOOK seconds for a token
 * that is known, and always before one is called unknown. So a new token works at once, also for
 * the first who uses it, and a removed one for MAP_TABLE_LOOK more at most. A file of 100,000
 * tokens takes tens of milliseconds to read, too long for a worker: main's thread reads it, once
 * for all who wait for that.
 *
 * A change shows in device, inode, size and times, so that renaming over the file and writing into
 * it are both seen. A file that has gone, cannot be read or has a mistake (it may be half written)
 * changes nothing: the targets of before stay, and a warning says why, once for each change.
 *
 * Thread:    made on main; lookups from any worker, each for its own loop. A lock guards the
 *            pointers, and is never held over reading, parsing or stat().
 * Lifetime:  counted; whoever looks up holds a reference until the answer.
 */
#ifndef CULVERT_TARGET_MAP_TABLE_H
#define CULVERT_TARGET_MAP_TABLE_H

struct conf_report;
struct conf_target;
struct loop;
struct map_lookup;
struct map_lookup_owner;
struct map_table;

#define MAP_TABLE_LOOK 0.1 /* seconds */

/* route stands in the log; both texts are copied. Reads the file; returns NULL with mistakes in
 * report, which is about the map itself. */
struct map_table *map_table_new(const char *route, const char *path, struct conf_report *report)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void map_table_unref(struct map_table *table);

enum map_lookup_result {
    MAP_LOOKUP_FOUND,
    MAP_LOOKUP_UNKNOWN,
    MAP_LOOKUP_FAILED, /* no memory */
};

/* On the asking loop's thread. target is the callee's to free(); NULL but for MAP_LOOKUP_FOUND. Never
 * called from within map_lookup_start(). */
typedef void map_lookup_cb(struct map_lookup_owner *owner, enum map_lookup_result result,
                           struct conf_target *target);

/* Embedded in who asks. */
struct map_lookup_owner {
    map_lookup_cb *call;
};

struct map_lookup_options {
    struct loop *loop;      /* of who asks */
    struct loop *main_loop; /* where the file is read */
    const char *token;      /* copied */
};

/* Returns NULL without memory. */
struct map_lookup *map_lookup_start(struct map_table *table,
                                    const struct map_lookup_options *options,
                                    struct map_lookup_owner *owner);

/* The callback will not come. NULL is fine. */
void map_lookup_cancel(struct map_lookup *lookup);

#endif
