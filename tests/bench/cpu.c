/* SPDX-License-Identifier: BSD-2-Clause */
#include "cpu.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stat_line {
    pid_t parent;
    uint64_t own;   /* ticks */
    uint64_t ended; /* ticks of children that were waited for */
};

static bool
read_stat(const char *path, struct stat_line *stat)
{
    char line[1024], *rest;
    unsigned long user, system;
    long children_user, children_system;
    FILE *file = fopen(path, "r");
    bool good = false;

    if (file == NULL)
        return false;
    /* The name of the program may hold anything but ends with the last parenthesis. */
    if (fgets(line, sizeof line, file) != NULL && (rest = strrchr(line, ')')) != NULL)
        good = sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
                      &stat->parent, &user, &system, &children_user, &children_system) == 5;
    fclose(file);
    if (!good)
        return false;
    stat->own = user + system;
    stat->ended = (uint64_t)(children_user + children_system);
    return true;
}

static uint64_t
ticks_ns(uint64_t ticks)
{
    return ticks * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t
thread_ns(const char *pid, const char *tid)
{
    char path[600];
    unsigned long long ns;
    struct stat_line stat;
    FILE *file;
    bool good = false;

    snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, tid);
    file = fopen(path, "r");
    if (file != NULL) {
        good = fscanf(file, "%llu", &ns) == 1;
        fclose(file);
    }
    if (good)
        return ns;
    snprintf(path, sizeof path, "/proc/%s/task/%s/stat", pid, tid);
    return read_stat(path, &stat) ? ticks_ns(stat.own) : 0;
}

static uint64_t
process_ns(const char *pid)
{
    char path[600];
    uint64_t sum = 0;
    struct dirent *entry;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%s/task", pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return 0;
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] != '.')
            sum += thread_ns(pid, entry->d_name);
    }
    closedir(tasks);
    return sum;
}

uint64_t
cpu_ns(pid_t pid)
{
    char path[600], name[32];
    uint64_t sum = 0;
    struct stat_line stat;
    struct dirent *entry;
    DIR *processes;

    if (pid == 0)
        return 0;
    snprintf(name, sizeof name, "%d", pid);
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_stat(path, &stat))
        sum = process_ns(name) + ticks_ns(stat.ended);
    processes = opendir("/proc");
    if (processes == NULL)
        return sum;
    while ((entry = readdir(processes)) != NULL) {
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if (atoi(entry->d_name) > 0 && read_stat(path, &stat) && stat.parent == pid)
            sum += cpu_ns(atoi(entry->d_name));
    }
    closedir(processes);
    return sum;
}
