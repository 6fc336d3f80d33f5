/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection that leaves for another thread, between its request and the answer. */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/http_connection.h"
#include "net/tls.h"

void
exchange_give(struct exchange *exchange, struct http_moved *moved)
{
    struct http *http = exchange_connection(exchange);

    assert(exchange->open && exchange->status == 0 && stream_pending(http->stream) == 0);
    *moved = (struct http_moved){
        .held = http->held,
        .held_len = http->held_len,
        .peer = http->peer,
        .destination = http->destination,
    };
    moved->fd = stream_give(http->stream, &moved->ssl);
    http->stream = NULL;
    http->held = NULL;
    http->destination = NULL;
    http_close_exchange(http);
    http_end(http);
}

void
http_moved_close(struct http_moved *moved)
{
    tls_free(moved->ssl);
    close(moved->fd);
    free(moved->held);
    free(moved->destination);
}
