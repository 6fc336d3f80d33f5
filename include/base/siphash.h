/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * siphash -- SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): where a table is
 * keyed by what others choose, they cannot choose what falls together.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_BASE_SIPHASH_H
#define CULVERT_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* seed: random, and told to nobody. */
uint64_t siphash(const uint64_t seed[2], const void *bytes, size_t len);

#endif
