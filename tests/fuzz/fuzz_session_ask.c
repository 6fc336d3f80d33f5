/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a request says of a session: query, Culvert-Session, Last-Event-ID. Input: the query, a line end, and
 * then header lines.
 */
#include "bridge/session_ask.h"
#include "client/sessions.h"
#include "conf/conf.h"
#include "fuzz.h"
#include "proto/http1.h"
#include "proto/varint.h"

static void
check(const struct session_ask *ask)
{
    static const struct conf_route route = {.heartbeat = 25, .poll_wait = 30};
    static const struct conf_route never = {.poll_wait = 0.5};

    CHECK(strlen(ask->id) <= SESSION_ASK_ID_MAX);
    CHECK(ask->has_id || ask->id[0] == '\0');
    CHECK(ask->attach.ack < VARINT_VALUE_MAX && ask->attach.n < VARINT_VALUE_MAX);
    CHECK(!ask->attach.explicit_ack || (ask->attach.has_ack && !ask->by_event_id));
    CHECK(session_ask_heartbeat(ask, &route) >= 1 && session_ask_heartbeat(ask, &route) <= 25);
    CHECK(session_ask_heartbeat(ask, &never) == 0 || session_ask_heartbeat(ask, &never) >= 1);
    CHECK(session_ask_wait(ask, &never) == 0.5);
    CHECK(sessions_worker_of(ask->id) <= UINT16_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *end = len > 0 ? memchr(data, '\n', len) : NULL;
    size_t query = end != NULL ? (size_t)(end - data) : len;
    struct http1_request request;
    struct http1_error error;
    struct session_ask ask;
    struct fuzz_log head = {0};
    struct http1_scan scan;
    size_t used;

    fuzz_log(&head, "GET /x?", 7);
    fuzz_log(&head, data, query);
    fuzz_log(&head, " HTTP/1.1\r\nHost: a\r\n", 20);
    if (query < len)
        fuzz_log(&head, data + query + 1, len - query - 1);
    fuzz_log(&head, "\r\n\r\n", 4);
    http1_scan_init(&scan, HTTP1_HEAD_MAX);
    if (http1_scan(&scan, (char *)head.at, head.len, &used) == HTTP1_DONE &&
        http1_parse((char *)head.at, used, &request, &error) == HTTP1_DONE &&
        http1_query_valid(request.query)) {
        if (session_ask_read(&request, false, &ask) == NULL)
            check(&ask);
        if (session_ask_read(&request, true, &ask) == NULL)
            check(&ask);
    }
    free(head.at);
    return 0;
}
