/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process -- what the kernel says of this process.
 */
#ifndef CULVERT_ADMIN_PROCESS_H
#define CULVERT_ADMIN_PROCESS_H

#include <stddef.h>
#include <stdint.h>

struct process_figures {
    double cpu_seconds; /* of all threads, user and system */
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    uint64_t open_fds;
    uint64_t max_fds; /* 0: no limit */
};

/* Open descriptors of this process; 0 if they cannot be counted. */
size_t process_descriptors(void);

/* What cannot be read is 0. */
void process_read(struct process_figures *figures);

#endif
