/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http -- an accepted connection that speaks HTTP/1.1, and the exchanges (one request, its answer)
 * on it.
 *
 *      stream → head complete → handler->request(exchange) ─┬─ exchange_error()
 *         ▲                                                 ├─ exchange_begin(), _write()…, _end()
 *         └──── next request, if the connection is kept ────┤
 *                                                           └─ exchange_take(): it leaves HTTP
 *
 * While an exchange is open, what the client sends is held, HTTP_HELD_MAX bytes at most, and then
 * left in the kernel. Requests that were pipelined are served in order, one at a time. A body that
 * nobody asks for is read and dropped after the answer, within bounds, and the connection ends.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  http_accept() until the connection ends or its stream is taken; an exchange lives from
 *            request() until exchange_end(), exchange_error(), exchange_take(), or events->gone().
 *            It must not be touched after.
 * Errors:    requests that cannot be parsed are answered here, without the handler.
 */
#ifndef CULVERT_CLIENT_HTTP_H
#define CULVERT_CLIENT_HTTP_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/metrics.h"
#include "client/half_open.h"
#include "net/addr.h"
#include "proto/http1.h"

#define HTTP_LAST_CHANCE 1.0 /* seconds for a first request when we are leaving */

struct conf;
struct conf_route;
struct exchange;
struct exchange_owner;
struct http_handler;
struct linger_set;
struct loop;
struct stream;
struct stream_owner;

enum {
    HTTP_HELD_MAX = 16384, /* bytes after a head that are kept while its exchange is open */
    HTTP_HEADROOM = 16,
    EXCHANGE_HEADROOM = 20,
    EXCHANGE_TAILROOM = 2,
    HTTP_ANSWER_HIGH = 65536, /* of an answer's bytes waiting: the producer should pause at
                                 exchange_pending() above it */
};

/* Embedded in who answers requests. */
struct http_handler {
    /* A complete request. Answer now, or exchange_set_owner() and answer later. */
    void (*request)(struct http_handler *handler, struct exchange *exchange);
};

/* The connections of one worker. */
struct http_set {
    struct list members;
    size_t n_members;
    size_t n_open; /* with an exchange that is not answered yet, or whose answer is on its way */
    struct half_open half_open; /* of the members; its max is the owner's to set */
};

struct http_options {
    struct loop *loop;
    struct http_set *set;
    struct linger_set *lingers; /* closes connections gently */
    struct http_handler *handler;
    int fd;
    SSL *ssl;                       /* NULL: plain */
    const struct addr *peer;        /* the socket's, or who a PROXY header says it is */
    const struct addr *destination; /* where that one connected to; NULL: to the socket's own end */
    uint64_t number;                /* names the connection in logs: "WORKER-NUMBER" */
    double since;                   /* loop_now() when it was accepted */
    double header_timeout; /* from then, or from the end of an answer, to a complete head */
    size_t header_max;
    bool log_access;
    bool draining; /* as after http_drain_all() */
    char *held;    /* what it has sent before, of held_len bytes; taken; NULL: nothing */
    size_t held_len;
};

void http_set_init(struct http_set *set, struct loop *loop);
void http_set_deinit(struct http_set *set);

/* Takes fd, ssl and held in any case. If there are half_open.max half-open clients already, the longest
 * waiting is closed. Returns 0, or -1 without memory, logged. */
int http_accept(const struct http_options *options);

/*
 * Ends all connections: those that wait for another request now, those with an open exchange when
 * it is answered; one that has not asked anything yet has a moment left to do so.
 */
void http_drain_all(struct http_set *set);

/* Ends all connections now. */
void http_close_all(struct http_set *set);

/* ---- exchanges ---- */

struct exchange_events {
    /* Bytes of the answer left: look at exchange_pending(). May be NULL for who never writes in
     * pieces. */
    void (*progress)(struct exchange_owner *owner);
    /* The client has gone; the exchange is over. */
    void (*gone)(struct exchange_owner *owner);
    /* After exchange_read_body(): a piece of the request's body, decoded, writable, with
     * HTTP_HEADROOM writable bytes before it. The owner may answer. */
    void (*body)(struct exchange_owner *owner, uint8_t *data, size_t len);
    /* That was all of it; or, with error, it is malformed or late, and nothing more will come. Once. The
     * owner answers, now or later. */
    void (*body_end)(struct exchange_owner *owner, const struct http1_error *error);
    /* After exchange_call_at(): that time has come. */
    void (*due)(struct exchange_owner *owner);
};

/* Embedded in who answers later. */
struct exchange_owner {
    const struct exchange_events *events;
};

void exchange_set_owner(struct exchange *exchange, struct exchange_owner *owner);

/*
 * Reads the request's body, for an owner with these events; they begin when request() has returned.
 * The client is asked to go on if it waits to be. Between two pieces it has timeout seconds (0: any time). How long
 * the body may be is the owner's care: who answers before its end ends the connection.
 */
void exchange_read_body(struct exchange *exchange, double timeout);

/* The owner, whose events have it, is called once at that time on the clock of loop_now(), if the exchange is
 * still open; replaces an earlier one. 0: never. */
void exchange_call_at(struct exchange *exchange, double due);

/* talk: the answer is to be a conversation, and a client that ends its side before it is over has gone. */
void exchange_expect_talk(struct exchange *exchange, bool talk);

/* Valid until request() returns. */
const struct http1_request *exchange_request(const struct exchange *exchange);

/* Whether Accept names a media type (parameters are ignored, ranges name nothing). Valid until
 * request() returns. */
bool exchange_accepts(const struct exchange *exchange, const char *media_type);
/* Of several types, NULL-terminated, the one that Accept names first: its index; -1: none. */
int exchange_accepts_which(const struct exchange *exchange, const char *const *media_types);

struct loop *exchange_loop(const struct exchange *exchange);

/* "1-42": lives as long as the connection. The number is what http_accept() was told. */
const char *exchange_name(const struct exchange *exchange);
uint64_t exchange_number(const struct exchange *exchange);
/* Logs that something for it could not be had. */
void exchange_lacks_memory(const struct exchange *exchange);
const struct addr *exchange_peer(const struct exchange *exchange);

/* Whom the exchange is for: the peer, unless exchange_set_client() has told who is behind it. Logs
 * name this one. */
const struct addr *exchange_client(const struct exchange *exchange);
/* Once, copied. */
void exchange_set_client(struct exchange *exchange, const struct addr *client);
/* Where the client has connected to; len 0 if it is not known. */
void exchange_destination(const struct exchange *exchange, struct addr *destination);

/* The connection ends after this answer, because culvert does: begin nothing long. */
bool exchange_is_draining(const struct exchange *exchange);

/* Which route of conf it takes: for the access log, and for write_timeout. The exchange holds a
 * reference to conf, which may be replaced while an answer is on its way. */
void exchange_set_route(struct exchange *exchange, struct conf *conf,
                        const struct conf_route *route);

/* Where refusals are counted once the route is known; outlives the exchange. */
void exchange_set_metrics(struct exchange *exchange, struct metrics_route *metrics);

/* What the next exchange_error() is counted as; without it, its status alone tells. */
void exchange_set_reason(struct exchange *exchange, enum metrics_refusal reason);

/* ---- answering ---- */

/*
 * headers: complete lines ("Allow: GET\r\n"), perhaps "". length: of the body, or -1 if not known
 * (chunked, or until the connection's end on HTTP/1.0). Date, Content-Length or Transfer-Encoding
 * and Connection are added. 204 and 304 have no body. To HEAD no body is sent, whatever is written.
 */
void exchange_begin(struct exchange *exchange, int status, const char *headers, int64_t length);
void exchange_write(struct exchange *exchange, const void *data, size_t len);
/* The same with one call to the kernel, however the body is framed: before the data there are
 * EXCHANGE_HEADROOM writable bytes, behind it EXCHANGE_TAILROOM. */
void exchange_write_framed(struct exchange *exchange, char *data, size_t len);
size_t exchange_pending(const struct exchange *exchange);
/* Nothing that is written arrives any more: end it. */
bool exchange_is_lost(const struct exchange *exchange);
/* The answer is complete. If length was given and not all of it written, the connection is broken
 * off so that the client sees it. */
void exchange_end(struct exchange *exchange);

/* The whole answer, head and body in one piece: for short ones. */
void exchange_answer(struct exchange *exchange, int status, const char *headers, const void *body,
                     size_t len);

/*
 * The whole answer: one line of text, or {"status":…,"error":"…"} for `Accept: application/json`.
 * why: a sentence without a newline. headers as above. Statuses that leave the framing in doubt
 * (400, 408, 413, 414, 417, 431, 501, 505) close the connection. May be called after request() has
 * returned.
 */
void exchange_error(struct exchange *exchange, int status, const char *headers, const char *why);

/* Complete lines that the answer carries, whichever it is going to be. Once for an exchange. */
void exchange_add_lines(struct exchange *exchange, const char *lines);

/* Ends the connection at once, whatever waits; the owner is not told. */
void exchange_break(struct exchange *exchange);

/* The next answer closes the connection. */
void exchange_close_after(struct exchange *exchange);

/* A connection between two threads, with all that it has sent and nobody has answered. */
struct http_moved {
    int fd;
    SSL *ssl; /* NULL: plain */
    char *held;
    size_t held_len;
    struct addr peer;
    struct addr *destination; /* NULL: to the socket's own end */
};

/* Takes the connection away, its request unanswered; the exchange ends, without a line in the access
 * log. Nothing may wait: exchange_pending(). */
void exchange_give(struct exchange *exchange, struct http_moved *moved);

/* Nobody takes it. */
void http_moved_close(struct http_moved *moved);

/* What a client had sent behind the head, and its stream. */
struct exchange_taken {
    struct stream *stream;
    char *early; /* bytes after the head, or NULL; the taker frees */
    size_t early_len;
    bool ended; /* the client's FIN was seen already */
};

/* An answer of unknown length ends with the connection, and is not chunked: what is written on it may be
 * the same bytes for many. */
void exchange_frame_by_end(struct exchange *exchange);

/* Takes the stream, for another protocol or for an answer that has begun; owner gets its events, reading is off. The http and the
 * exchange end, without a line in the access log. */
void exchange_take(struct exchange *exchange, struct stream_owner *owner,
                   struct exchange_taken *taken);

#endif
