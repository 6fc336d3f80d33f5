/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
log_sink_init(struct log_sink *sink, int given)
{
    struct stat status;

    memset(sink, 0, sizeof *sink);
    sink->given = given;
    sink->given_may_block = fstat(given, &status) != 0 || !S_ISREG(status.st_mode);
    sink->own = -1;
    atomic_init(&sink->fd, given);
    atomic_init(&sink->lost, 0);
    atomic_init(&sink->torn, false);
    pthread_mutex_init(&sink->lock, NULL);
}

void
log_sink_deinit(struct log_sink *sink)
{
    if (sink->own >= 0)
        close(sink->own);
    free(sink->path);
    pthread_mutex_destroy(&sink->lock);
}

/* ---- exchanging ---- */

/* Lets our number stand for what fd is. */
static int
replace_own(struct log_sink *sink, int fd)
{
    int result;

    do
        result = dup3(fd, sink->own, O_CLOEXEC);
    while (result < 0 && (errno == EINTR || errno == EBUSY));
    return result < 0 ? -1 : 0;
}

static bool
is_same(int a, int b)
{
    struct stat of_a, of_b;

    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/* Not to wait: for a reader of a FIFO, or for one that has stopped reading. */
static int
open_file(struct log_sink *sink, const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    int result;

    if (fd < 0)
        return -1;
    if (!is_same(fd, atomic_load(&sink->fd)))
        atomic_store(&sink->torn, false); /* half a line stays in the other one */
    if (sink->own < 0) {
        sink->own = fd;
        return 0;
    }
    result = replace_own(sink, fd);
    close(fd);
    return result;
}

int
log_sink_open(struct log_sink *sink, const char *path)
{
    char *copy = path != NULL ? strdup(path) : NULL;

    if (path != NULL && (copy == NULL || open_file(sink, path) != 0)) {
        free(copy);
        return -1;
    }
    atomic_store(&sink->fd, path != NULL ? sink->own : sink->given);
    /* For a writer that has read our number and not written yet. The number is never given back: it
     * could become a client's. */
    if (path == NULL && sink->own >= 0) {
        (void)replace_own(sink, sink->given);
        atomic_store(&sink->torn, false);
    }
    free(sink->path);
    sink->path = copy;
    return 0;
}

/* ---- writing ---- */

/* Workers do not wait for whoever reads the log. */
static bool
takes_more(const struct log_sink *sink, int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};

    return fd != sink->given || !sink->given_may_block ||
           (poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT) != 0);
}

/*
 * Half a line is ended by whoever writes next, who sees `lost`. (One that looked before we say so
 * has the same full disk before itself.)
 */
static bool
put(struct log_sink *sink, int fd, const char *text, size_t len)
{
    ssize_t n;

    if (!takes_more(sink, fd))
        return false;
    do
        n = write(fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n > 0 && (size_t)n < len)
        atomic_store(&sink->torn, true);
    return n == (ssize_t)len;
}

/* Tells what was lost; under the lock. */
static bool
mend(struct log_sink *sink, int fd, enum log_format format)
{
    unsigned long long lost = atomic_load(&sink->lost);
    struct log_entry entry;
    char text[64];
    bool torn;

    if (lost == 0)
        return true;
    snprintf(text, sizeof text, "%llu lines were lost", lost);
    log_entry_begin(&entry, format, log_level_name(LOG_LEVEL_WARN), "log");
    log_entry_message(&entry, text);
    log_entry_end(&entry);
    torn = atomic_exchange(&sink->torn, false);
    if (!put(sink, fd, torn ? entry.text : log_entry_line(&entry), entry.len + torn)) {
        if (torn)
            atomic_store(&sink->torn, true);
        return false;
    }
    atomic_fetch_sub(&sink->lost, lost);
    return true;
}

/* Whether the line was written. */
static bool
write_entry(struct log_sink *sink, const struct log_entry *entry)
{
    int fd = atomic_load(&sink->fd);
    bool written;

    if (fd == sink->given && sink->given_may_block)
        pthread_mutex_lock(&sink->lock);
    else if (atomic_load(&sink->lost) == 0)
        return put(sink, fd, log_entry_line(entry), entry->len);
    else if (pthread_mutex_trylock(&sink->lock) != 0)
        return false;
    written = mend(sink, fd, entry->format) && put(sink, fd, log_entry_line(entry), entry->len);
    pthread_mutex_unlock(&sink->lock);
    return written;
}

void
log_sink_write(struct log_sink *sink, const struct log_entry *entry)
{
    if (!write_entry(sink, entry))
        atomic_fetch_add(&sink->lost, 1);
}

void
log_sink_settle(struct log_sink *sink, enum log_format format)
{
    pthread_mutex_lock(&sink->lock);
    mend(sink, atomic_load(&sink->fd), format);
    pthread_mutex_unlock(&sink->lock);
}
