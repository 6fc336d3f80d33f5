/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session_ask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "proto/http1.h"
#include "proto/varint.h"

#define LEAST 1.0 /* second, of heartbeat and wait */

/* Returns 1 if it is there, 0 if not, -1 if it is no number. */
static int
read_number(struct span query, const char *key, uint64_t *number)
{
    char text[24], *end;
    int found = http1_query_get(query, key, text, sizeof text);

    if (found <= 0)
        return found;
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 19)
        return -1;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && *number < VARINT_VALUE_MAX ? 1 : -1;
}

/* Milliseconds, as seconds. */
static bool
read_time(struct span query, const char *key, double *seconds)
{
    uint64_t number;
    int found = read_number(query, key, &number);

    *seconds = found > 0 ? (double)number / 1000 : -1;
    return found >= 0;
}

static void
set_id(struct session_ask *ask, struct span id)
{
    ask->has_id = true;
    ask->id[0] = '\0';
    if (id.len > SESSION_ASK_ID_MAX)
        return;
    memcpy(ask->id, id.at, id.len);
    ask->id[id.len] = '\0';
}

/* By the query and by the header, which must be the same. */
static const char *
read_id(const struct http1_request *request, struct session_ask *ask)
{
    char value[HTTP1_TARGET_MAX + 1];
    unsigned count;
    struct span header = http1_header(request, "Culvert-Session", &count);
    int found = http1_query_get(request->query, "session", value, sizeof value);

    if (found < 0 || count > 1)
        return "the session is named twice";
    if (found > 0 && count > 0 && !span_is(header, value))
        return "Culvert-Session names another session than the query";
    if (found > 0)
        set_id(ask, (struct span){value, strlen(value)});
    else if (count > 0)
        set_id(ask, header);
    return NULL;
}

/* "SESSION.NUMBER", as we have sent it; anything else is nobody's. */
static void
read_event_id(const struct http1_request *request, struct session_ask *ask)
{
    unsigned count;
    struct span value = http1_header(request, "Last-Event-ID", &count);
    const char *dot = count > 0 ? memrchr(value.at, '.', value.len) : NULL;
    char number[24] = "", *end = NULL;
    uint64_t ack;
    size_t len;

    if (count == 0 || value.len == 0)
        return;
    memset(&ask->attach, 0, sizeof ask->attach);
    ask->by_event_id = true;
    set_id(ask, (struct span){value.at, 0});
    len = dot != NULL ? value.len - (size_t)(dot + 1 - value.at) : 0;
    if (count > 1 || len == 0 || len > 19 || dot[1] < '0' || dot[1] > '9')
        return;
    memcpy(number, dot + 1, len);
    ack = strtoull(number, &end, 10);
    if (*end != '\0' || ack >= VARINT_VALUE_MAX)
        return;
    ask->attach.ack = ack;
    ask->attach.has_ack = true;
    set_id(ask, (struct span){value.at, (size_t)(dot - value.at)});
}

const char *
session_ask_read(const struct http1_request *request, bool sse, struct session_ask *ask)
{
    const char *why;
    int has_ack, has_n;

    memset(ask, 0, sizeof *ask);
    why = read_id(request, ask);
    if (why != NULL)
        return why;
    has_ack = read_number(request->query, "ack", &ask->attach.ack);
    has_n = read_number(request->query, "n", &ask->attach.n);
    if (has_ack < 0 || has_n < 0)
        return "ack and n are numbers, and come once";
    if (!read_time(request->query, "heartbeat", &ask->heartbeat) ||
        !read_time(request->query, "wait", &ask->wait))
        return "heartbeat and wait are milliseconds, and come once";
    ask->attach.has_ack = ask->attach.explicit_ack = has_ack > 0;
    ask->attach.has_n = has_n > 0;
    if (sse)
        read_event_id(request, ask);
    return NULL;
}

/* configured 0: never. */
static double
less(double asked, double configured)
{
    if (asked < 0)
        return configured;
    asked = fmax(asked, LEAST);
    return configured == 0 ? asked : fmin(asked, configured);
}

double
session_ask_heartbeat(const struct session_ask *ask, const struct conf_route *route)
{
    return less(ask->heartbeat, route->heartbeat);
}

double
session_ask_wait(const struct session_ask *ask, const struct conf_route *route)
{
    return less(ask->wait, route->poll_wait);
}
