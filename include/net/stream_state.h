/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_state -- what a stream is made of. Only for stream.c and stream_stall.c.
 */
#ifndef CULVERT_NET_STREAM_STATE_H
#define CULVERT_NET_STREAM_STATE_H

#include <ev.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
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
    uint8_t fin;        /* enum fin_state */
    uint8_t read_want;  /* enum stream_want: what reading waits for, but for READ */
    uint8_t write_want; /* the same for writing, but for WRITE */
    bool want_read;
    bool read_over;  /* its end or a failure was reported */
    bool write_over; /* nothing more can be sent */
    bool reset;      /* sending heard of a reset, of which reading will not be told again */
    bool closed;
    union {
        struct buf out;
        struct loop_deferred free_later; /* closed: nothing waits any more */
    };
    double stalled_since; /* when the socket last took anything while something waited; 0: nothing
                             waits */
    size_t stalled_out; /* stream_unacknowledged() at the last look since then; 0: not looked yet */
    char *why;          /* allocated with the first failure */
};

#endif
