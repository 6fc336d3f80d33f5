/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_sink -- where lines of the log go: a descriptor that we were given, or a file of our own that
 * can be exchanged while others write.
 *
 * A file is exchanged by dup3(2) onto the same descriptor number: the kernel gives each write(2)
 * either the old file or the new one, never a closed or another's descriptor. So writers need no
 * lock, and a slow disk holds up nobody but those whose own lines it takes.
 *
 *      lost == 0:  write, one line
 *      lost > 0:   one writer at a time tries: "N lines were lost", its line; those that come in
 *                  the meantime do not wait, and are lost too
 *
 * What may block for longer (a pipe, a terminal, a socket, if it was given to us) is asked first
 * whether it takes a line, and written to under a lock, so that the answer still holds.
 *
 * Thread:    log_sink_write() any; the others one at a time, while others write.
 */
#ifndef CULVERT_BASE_LOG_SINK_H
#define CULVERT_BASE_LOG_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/log_entry.h"

struct log_sink {
    int given;
    bool given_may_block;
    int own;       /* our descriptor number for files; -1: none yet, then kept to the end */
    atomic_int fd; /* given or own */
    char *path;    /* NULL: given */
    pthread_mutex_t lock;
    atomic_ullong lost; /* lines, since the last that was written */
    atomic_bool torn;   /* the last bytes are half a line */
};

/* Begins with the descriptor that is given, borrowed. */
void log_sink_init(struct log_sink *sink, int given);
void log_sink_deinit(struct log_sink *sink);

/* Goes on with the file, opened (again), or with what was given if path is NULL. Returns -1 with
 * errno set: all is as before. path may be the sink's own. */
int log_sink_open(struct log_sink *sink, const char *path) __attribute__((warn_unused_result));

/* Writes an ended entry, or counts it as lost. */
void log_sink_write(struct log_sink *sink, const struct log_entry *entry);

/* Tells what was lost, as far as it is not told yet. */
void log_sink_settle(struct log_sink *sink, enum log_format format);

#endif
