/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz -- what the fuzz targets share: options taken off the front of the input, copies of exactly
 * their size (so that an over-read is seen), and checks.
 */
#ifndef CULVERT_TESTS_FUZZ_H
#define CULVERT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK(condition) fuzz_check((condition), #condition, __FILE__, __LINE__)

static inline void
fuzz_check(bool good, const char *what, const char *file, int line)
{
    if (good)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

struct fuzz {
    const uint8_t *at;
    size_t len;
};

/* The next byte, 0 at the end. */
static inline uint8_t
fuzz_byte(struct fuzz *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->at++;
}

static inline unsigned
fuzz_u16(struct fuzz *in)
{
    unsigned high = fuzz_byte(in);

    return high << 8 | fuzz_byte(in);
}

/* Memory of len bytes, not more; to be freed. */
static inline void *
fuzz_copy(const void *at, size_t len)
{
    void *copy = malloc(len ? len : 1);

    CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, at, len);
    return copy;
}

/* A log of what came out, to be compared. */
struct fuzz_log {
    size_t len, room;
    uint8_t *at;
};

static inline void
fuzz_log(struct fuzz_log *log, const void *at, size_t len)
{
    if (len == 0)
        return;
    if (log->len + len > log->room) {
        log->room = 2 * (log->len + len);
        log->at = realloc(log->at, log->room);
        CHECK(log->at != NULL);
    }
    memcpy(log->at + log->len, at, len);
    log->len += len;
}

static inline void
fuzz_log_number(struct fuzz_log *log, uint64_t number)
{
    fuzz_log(log, &number, sizeof number);
}

static inline bool
fuzz_log_same(const struct fuzz_log *a, const struct fuzz_log *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->at, b->at, a->len) == 0);
}

#endif
