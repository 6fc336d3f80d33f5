/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard -- memory between two inaccessible pages, so that a byte read or written outside faults, in
 * code that no sanitizer instruments too (vector loads, libraries).
 *
 * guard_end() places a copy of the input so that it ends at the upper page, guard_start() so that
 * it begins at the lower one. The copy is good until the next call on the same area.
 */
#ifndef CULVERT_TESTS_GUARD_H
#define CULVERT_TESTS_GUARD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    uint8_t *map;
    size_t page, room; /* room lies at map + page */
};

static inline struct guard
guard_open(size_t room)
{
    struct guard guard = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    void *map;

    guard.room = (room + guard.page) / guard.page * guard.page;
    map = mmap(NULL, guard.room + 2 * guard.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(map != MAP_FAILED);
    guard.map = map;
    assert(mprotect(guard.map + guard.page, guard.room, PROT_READ | PROT_WRITE) == 0);
    return guard;
}

static inline void
guard_close(struct guard *guard)
{
    munmap(guard->map, guard->room + 2 * guard->page);
}

static inline void *
guard_end(struct guard *guard, const void *data, size_t len)
{
    uint8_t *at = guard->map + guard->page + guard->room - len;

    assert(len <= guard->room);
    if (len > 0)
        memcpy(at, data, len);
    return at;
}

static inline void *
guard_start(struct guard *guard, const void *data, size_t len)
{
    uint8_t *at = guard->map + guard->page;

    assert(len <= guard->room);
    if (len > 0)
        memcpy(at, data, len);
    return at;
}

#endif
