/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client has sent and nobody has taken yet. It costs memory for as long as a connection waits, so
 * it is given back as early as can be.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/http_connection.h"

enum {
    STEP = 512,     /* bytes by which it grows, where a head comes in pieces */
    WORTH_IT = 256, /* bytes that are given back: for fewer, cutting costs more than it saves */
};

int
http_hold(struct http *http, const void *data, size_t len)
{
    if (http->held_len + len > http->held_size) {
        size_t size = http->held_len + len + (http->held_len > 0 ? STEP : 0);
        char *held = realloc(http->held, size);

        if (held == NULL) {
            log_error(loop_log(http->loop), http_name(http), "out of memory");
            return -1;
        }
        http->held = held;
        http->held_size = size;
    }
    memcpy(http->held + http->held_len, data, len);
    http->held_len += len;
    return 0;
}

void
http_drop_head(struct http *http)
{
    http->held_len -= http->head_len;
    if (http->held_len > 0) {
        memmove(http->held, http->held + http->head_len, http->held_len);
    } else {
        free(http->held);
        http->held = NULL;
        http->held_size = 0;
    }
    http->head_len = 0;
}

void
http_shed_headers(struct http *http)
{
    const struct exchange *exchange = &http->exchange;
    size_t path_end = exchange->path_at + exchange->path_len;
    size_t query_end = exchange->query_at + exchange->query_len;
    size_t line = query_end > path_end ? query_end : path_end;
    size_t behind = http->held_len - http->head_len;
    char *held;

    memmove(http->held + line, http->held + http->head_len, behind);
    http->head_len = line;
    http->held_len = line + behind;
    if (http->held_size - http->held_len < WORTH_IT)
        return;
    held = realloc(http->held, http->held_len);
    if (held == NULL)
        return;
    http->held = held;
    http->held_size = http->held_len;
}
