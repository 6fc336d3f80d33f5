/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpu -- how much CPU time a server has used.
 *
 * Thread: any.
 * Errors: what cannot be read counts as nothing.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Nanoseconds of user and system time of the process, all its threads, and its descendants,
 * those that have ended and were waited for included (these in clock ticks). 0 for pid 0.
 */
uint64_t cpu_ns(pid_t pid);

#endif
