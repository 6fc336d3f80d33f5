/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
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

static void
count_descriptors(struct process_figures *figures)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    struct rlimit limit;

    if (directory != NULL) {
        while ((entry = readdir(directory)) != NULL)
            figures->open_fds += entry->d_name[0] != '.';
        figures->open_fds--; /* the directory itself */
        closedir(directory);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = limit.rlim_cur;
}

void
process_read(struct process_figures *figures)
{
    struct rusage usage;

    memset(figures, 0, sizeof *figures);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures->cpu_seconds = seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
    read_memory(figures);
    count_descriptors(figures);
}
