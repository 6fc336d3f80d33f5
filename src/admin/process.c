/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double
seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void
read_memory(struct process_figures *figures)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t size, resident;

    if (file == NULL)
        return;
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) == 2) {
        figures->virtual_bytes = size * page;
        figures->resident_bytes = resident * page;
    }
    fclose(file);
}

static int
is_number(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

size_t
process_descriptors(void)
{
    struct dirent **entries;
    int n = scandir("/proc/self/fd", &entries, is_number, alphasort);
    int i;

    if (n < 0)
        return 0;
    for (i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return (size_t)n - 1; /* the directory itself */
}

void
process_read(struct process_figures *figures)
{
    struct rlimit limit;
    struct rusage usage;

    memset(figures, 0, sizeof *figures);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures->cpu_seconds = seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
    read_memory(figures);
    figures->open_fds = process_descriptors();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = limit.rlim_cur;
}
