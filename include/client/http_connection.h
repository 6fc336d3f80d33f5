/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_connection -- what http.c (reading requests), http_held.c (keeping their bytes), http_body.c (their
 * bodies), exchange.c (answering them), http_deadline.c and half_open.c (waiting for them) share. Nobody
 * else includes it.
 *
 *      held:  | head of the open exchange | what the client sent behind it |
 *             0                       head_len                          held_len
 *
 * While a body is read, nothing behind the head is held: each piece goes to the owner as it comes.
 *
 *      HEAD ──request──→ OPEN ──exchange_end──→ HEAD, or the end of the connection
 *                          └── exchange_take──→ the end, the stream goes on elsewhere
 */
#ifndef CULVERT_CLIENT_HTTP_CONNECTION_H
#define CULVERT_CLIENT_HTTP_CONNECTION_H

#include "client/http.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"

struct exchange {
    struct exchange_owner *owner;
    const struct http1_request *request; /* while request() runs */
    struct conf *conf;                   /* a reference, with the route */
    const struct conf_route *route;
    struct addr *client;           /* who is behind the peer; NULL: nobody else */
    char *lines;                   /* added to the answer's head; NULL: none */
    struct metrics_route *metrics; /* NULL: no route yet */
    enum metrics_refusal reason;
    double began;
    double write_timeout;
    struct http1_body body; /* while reads_body */
    double body_timeout;
    double body_due;     /* when the next piece must have come; 0: never */
    double call_at;      /* when the owner wants to be called; 0: never */
    int64_t length;      /* announced, -1 if not known */
    uint64_t body_bytes; /* written so far */
    size_t method_at;    /* of the method in held */
    size_t method_len;
    size_t path_at; /* of the raw path in held */
    size_t path_len;
    size_t query_at; /* of the raw query in held */
    size_t query_len;
    int status; /* 0: not answered yet */
    bool open;
    bool head;        /* the method is HEAD */
    bool talk;        /* the answer is to be a conversation */
    bool unread;      /* the request has a body, and not all of it was read */
    bool reads_body;  /* its owner is told what comes of it */
    bool json;        /* errors as JSON */
    bool close_after; /* the connection ends with this answer */
    bool http10;
    bool to_the_end; /* an answer of unknown length ends with the connection */
    bool chunked;    /* the answer is */
};

struct http {
    struct stream_owner stream_owner;
    struct list link;
    struct list waiting; /* in the set's half_open; empty: not waiting for a head */
    struct loop *loop;
    struct http_set *set;
    struct linger_set *lingers;
    struct http_handler *handler;
    struct stream *stream;
    char *held;
    size_t held_len;
    size_t held_size;
    size_t head_len;
    struct http1_scan scan;
    struct exchange exchange;
    struct timer timer;
    double header_timeout;
    double head_due;
    struct addr peer;
    struct addr *destination; /* where the peer connected to; NULL: to our end of the socket */
    struct loop_deferred free_later;
    struct loop_deferred process_later;
    uint64_t number;
    char name[LOOP_NAME]; /* empty until it is asked for: http_name() */
    bool log_access;
    bool client_ended; /* its FIN was read */
    bool draining;
    bool served;     /* a request has been answered */
    bool processing; /* process() is on the stack */
    bool deferred;   /* process_later is under way */
    bool over;
    bool greeting; /* a TLS handshake is under way */
};

/* As in logs. */
const char *http_name(struct http *http);

/* Writes the access line of the exchange. */
void http_log_exchange(struct http *http);

/* Counts the TLS handshake when it is over; one that is not when its connection ends, last, never will
 * be. */
void http_look_at_greeting(struct http *http, bool last);

/* The exchange has been answered: log it, then go on with the connection or end it. */
void http_exchange_over(struct http *http);

/* The exchange is no longer open, however it ended: counts it, and gives back what it holds. */
void http_close_exchange(struct http *http);

/* Keeps bytes that were read ahead. Returns 0, or -1 without memory, logged. */
int http_hold(struct http *http, const void *data, size_t len);

/* Forgets the head of an answered request; a connection that waits for the next holds no memory. */
void http_drop_head(struct http *http);

/* Of a request whose answer may take hours, what logs tell is enough: the line without its headers. */
void http_shed_headers(struct http *http);

/* Bytes that have come while a body is read: for its owner, and what is behind it is held. */
void http_take_body(struct http *http, uint8_t *data, size_t len);
/* Those that had come with the head. */
void http_take_held_body(struct http *http);
/* body_due has passed. */
void http_body_is_late(struct http *http);

/* The connection's exchange begins: its request is complete, or will never be. */
void http_begin_exchange(struct http *http);

/* The client went away; whoever is at work on an answer is told. */
void http_client_gone(struct http *http);

/* Ends a connection between two requests: where nothing is under way, nothing has to be waited for. */
void http_end_unasked(struct http *http);

/* A head is to come within header_timeout. */
void http_expect_head(struct http *http);

/* The timer's. */
timer_cb http_on_timeout;

/* Derives the next deadline from the state. */
void http_arm(struct http *http);

/* Reads what has come, as if the loop had said so. */
void http_read(struct http *http);

/* Ends a connection that has no exchange open, at once: its descriptor is free. */
void http_drop(struct http *http);

/* Ends the connection without further words; the stream, if it is still here, is closed. */
void http_end(struct http *http);

/* Whether the connection ends with this answer. */
static inline bool
exchange_closes(const struct exchange *exchange)
{
    return exchange->close_after || exchange->unread;
}

static inline struct http *
exchange_connection(const struct exchange *exchange)
{
    return container_of((struct exchange *)(uintptr_t)exchange, struct http, exchange);
}

#endif
