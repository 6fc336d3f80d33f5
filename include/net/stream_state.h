/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_state -- what a stream is made of, and what its parts (stream.c, stream_read.c, stream_piped.c,
 * stream_stall.c) share. Nobody else includes it.
 */
#ifndef CULVERT_NET_STREAM_STATE_H
#define CULVERT_NET_STREAM_STATE_H

#include <ev.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/pipes.h"
#include "event/loop.h"

struct stream_owner;

enum fin_state {
    FIN_NONE,
    FIN_WANTED, /* when what waits is sent */
    FIN_SENT,
};

/* In front what every read and every write looks at. */
struct stream {
    ev_io io; /* its data is the loop */
    struct stream_owner *owner;
    SSL *ssl;
    uint8_t fin : 2;        /* enum fin_state */
    uint8_t read_want : 2;  /* enum stream_want: what reading waits for, but for READ */
    uint8_t write_want : 2; /* the same for writing, but for WRITE */
    bool want_read : 1;
    bool read_over : 1;  /* its end or a failure was reported */
    bool write_over : 1; /* nothing more can be sent */
    bool reset : 1;      /* an error was told that reading will not be told again */
    bool closed : 1;
    bool held : 1;        /* what is written waits */
    uint32_t stalled_out; /* stream_unacknowledged() at the last look since stalled_since; 0: not
                             looked yet */
    struct pipe *piped;   /* in front of out: what the socket would not take yet; NULL: nothing */
    union {
        struct buf out;
        struct loop_deferred free_later; /* closed: nothing waits any more */
    };
    double stalled_since; /* when the socket last took anything while something waited; 0: nothing
                             waits */
    char *why;            /* allocated with the first failure */
};

/* Bytes that the socket has not taken yet. */
static inline size_t
stream_waiting(const struct stream *stream)
{
    return buf_len(&stream->out) + (stream->piped != NULL ? stream->piped->len : 0);
}

/* The one place that decides what the loop watches. */
void stream_watch(struct stream *stream);

/* Decrypted bytes do not wake the loop: this does. */
void stream_wake_for_decrypted(struct stream *stream);

/* The first failure is the reason. error: an errno, or 0 for OpenSSL's. */
void stream_remember_why(struct stream *stream, int error);

/* What sending on a plain socket has returned. Returns bytes taken, 0 if none now, -1 if sending is
 * over. */
ssize_t stream_sent(struct stream *stream, ssize_t n);

/* Nothing can be sent any more; what waits is dropped. error: an errno, or 0 for OpenSSL's. */
void stream_sending_broke(struct stream *stream, int error);

/* The socket took something, or something begins to wait. */
void stream_note_progress(struct stream *stream);

/* Sends from the pipe, and gives it back when it is empty. Returns whether anything moved, sending's
 * end included. */
bool stream_flush_piped(struct stream *stream);
void stream_drop_piped(struct stream *stream);

#endif
