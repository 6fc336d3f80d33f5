/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines -- what a paced source sends: lines that tell their number, so that a loss, a repetition or a
 * wrong byte is seen.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINE_LEN = 128, /* the newline counts */
    LINES_EVERY_MS = 5,
};

/* numbers begin with 1 */
void lines_make(char out[LINE_LEN], uint64_t number);

/* text is without the newline. */
bool lines_is(const char *text, size_t len, uint64_t number);

#endif
