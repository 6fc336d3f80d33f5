/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream -- one connected, non-blocking socket, plain or TLS, with what it would not take yet.
 *
 *            stream_write()                          readable()
 *                 │  at once, if nothing waits           ▲
 *                 ▼                                      │ stream_read() into the owner's bytes
 *        [ buf, from the pool ] → progress()             │
 *                 │ when the socket takes more           │
 *                 └────────────→ socket ─────────────────┘
 *
 * Reading is by the owner, into memory that it chooses (so that a header fits in front); writing is
 * at once, and only what the socket would not take is copied. What the loop watches is derived from
 * the state by one function.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  stream_open() to stream_close(); memory goes at the end of the loop turn, so a
 *            callback may close its own stream, and must not touch it after.
 * Ownership: takes fd and ssl on success only; borrows loop and owner.
 * Errors:    a broken stream is told by stream_read(), after the bytes that came before;
 *            stream_why() says why.
 */
#ifndef CULVERT_NET_STREAM_H
#define CULVERT_NET_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct addr;
struct loop;
struct pipe;
struct stream;
struct stream_owner;

struct stream_events {
    /* Bytes, an ending or a failure can be read: call stream_read(). Level-triggered: comes again
     * while something is there. */
    void (*readable)(struct stream_owner *owner);
    /* The socket took bytes that waited, or it broke while they did: look at stream_pending(). */
    void (*progress)(struct stream_owner *owner);
};

/* Embedded in the owner. */
struct stream_owner {
    const struct stream_events *events;
};

enum {
    STREAM_END =
        0, /* the peer has shut down its side in order: FIN, and close_notify first on TLS */
    STREAM_AGAIN = -1,  /* nothing now */
    STREAM_BROKEN = -2, /* reset, timed out, TLS failure or truncation: stream_why() */
};

/* Reading is off at first. ssl may be NULL. Returns NULL without memory, logged. */
struct stream *stream_open(struct loop *loop, int fd, SSL *ssl, struct stream_owner *owner);

/* Closes at once; what waits is dropped. NULL is fine. */
void stream_close(struct stream *stream);

/* Ends it without closing: returns the descriptor of a plain stream on which nothing waits. */
int stream_detach(struct stream *stream);

/* The same with or without TLS: both are the caller's, also in another thread. *ssl NULL: plain. */
int stream_give(struct stream *stream, SSL **ssl);

struct loop *stream_loop(const struct stream *stream);

/* Another owner, e.g. when a request becomes a WebSocket. */
void stream_set_owner(struct stream *stream, struct stream_owner *owner);

/* Reads at most len bytes. Returns their number, or STREAM_END, STREAM_AGAIN, STREAM_BROKEN. */
ssize_t stream_read(struct stream *stream, void *data, size_t len);

/* The same, but the bytes stay to be read. Only for plain streams. */
ssize_t stream_peek(struct stream *stream, void *data, size_t len);

/* Whether readable() is called. Off is how a sender is slowed down. */
void stream_want_read(struct stream *stream, bool on);

/*
 * Sends data, keeping a copy of what the socket would not take; how much may wait is the caller's
 * care. Returns 0, or -1 if the stream can send no more (the data is dropped; reading will tell
 * why).
 */
int stream_write(struct stream *stream, const void *data, size_t len);

/*
 * Offers pieces to a plain stream on which nothing waits: nothing is kept. Returns how many bytes the socket
 * took, or -1 as stream_write(). To be called again when it takes more, the caller writes what is left of
 * a piece that was cut.
 */
ssize_t stream_offer(struct stream *stream, struct iovec *pieces, unsigned n);

/*
 * Bytes that stay in the kernel on their way from one plain stream to another, which costs the less
 * the more they are.
 *
 * stream_read_piped() fills an empty pipe. Returns how many bytes came; 0 for whatever is to be told
 * instead, which stream_read() will tell. stream_write_piped() is for when nothing waits: sends the header,
 * then what is in the pipe, which it takes; returns as stream_write().
 */
size_t stream_read_piped(struct stream *stream, struct pipe *pipe, size_t max);
int stream_write_piped(struct stream *stream, const void *header, size_t header_len,
                       struct pipe *pipe);

/* While on, what is written waits, to be sent together: for who writes several times in a row, and turns it
 * off before the loop goes on. */
void stream_hold(struct stream *stream, bool on);

/* Bytes that wait for the socket. */
size_t stream_pending(const struct stream *stream);

/*
 * A peer that takes nothing. Writability is a coarse sign of it: with a grown send buffer the
 * kernel wakes us only when a third of it is free, which a slow but steady reader may not reach for
 * minutes. So the bytes that the peer has not acknowledged are looked at half-way through the
 * timeout and at its end.
 *
 * stream_write_due() tells when to call stream_takes_nothing() next, 0 if nothing waits; the latter
 * tells whether the peer has taken nothing for so many seconds while something waited.
 */
size_t stream_unacknowledged(const struct stream *stream); /* with what waits here */
double stream_write_due(const struct stream *stream, double timeout);
bool stream_takes_nothing(struct stream *stream, double timeout);

/*
 * TCP_USER_TIMEOUT: how long bytes that were sent may stay unacknowledged. What the kernel has
 * taken waits nowhere that we could see, so this is for sides on which no heartbeat watches. No
 * effect on unix sockets.
 */
void stream_set_user_timeout(struct stream *stream, double seconds);

/* Sends FIN (close_notify first on TLS) when what waits is sent. Nothing may be written after. */
void stream_shutdown(struct stream *stream);

/* Nothing more can be sent: the peer has gone, or reset the connection. */
bool stream_is_broken(const struct stream *stream);

/* Nothing waits and, after stream_shutdown(), the FIN is sent too; or sending has become
 * impossible. */
bool stream_flushed(const struct stream *stream);

/* The peer's end, or a failure, has been read: nothing more will come. */
bool stream_read_over(const struct stream *stream);

/* Moves a TLS handshake on: 1 done (always, for plain), 0 call again when readable(), -1 failed. */
int stream_handshake(struct stream *stream);

/* The address of our end; len 0 if the kernel does not tell. */
void stream_local_addr(const struct stream *stream, struct addr *addr);

/* No TLS. */
bool stream_is_plain(const struct stream *stream);

/* TLS: the handshake is over, whoever moved it on. Always, for plain. */
bool stream_is_established(const struct stream *stream);

/* Why it broke, in a few words; never NULL. Lives to the end of the turn in which the stream is
 * closed. */
const char *stream_why(const struct stream *stream);

#endif
