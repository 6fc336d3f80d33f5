/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session_post_open.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/gather.h"
#include "base/list.h"
#include "base/log.h"
#include "bridge/opening.h"
#include "bridge/route.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"

#define TOO_LONG "the body that opens a session is at most 4 KiB"

enum {
    BODY_MAX = 4096,    /* bytes */
    PROTOCOLS_MAX = 64, /* as many as a WebSocket may offer */
};

struct posting {
    struct exchange_owner owner;
    struct exchange *exchange; /* NULL: over */
    const struct conf_route *route;
    struct route_context context; /* its snapshot is ours */
    struct opening_request request;
    struct gather body;
    struct loop_deferred free_later;
};

static void
free_posting(struct loop_deferred *deferred)
{
    struct posting *posting = container_of(deferred, struct posting, free_later);

    gather_clear(&posting->body);
    snapshot_unref(posting->context.snapshot);
    free(posting);
}

/* Returns the exchange, which somebody else answers. */
static struct exchange *
release(struct posting *posting)
{
    struct exchange *exchange = posting->exchange;

    posting->exchange = NULL;
    loop_defer(posting->context.loop, &posting->free_later, free_posting);
    return exchange;
}

static void
refuse(struct posting *posting, int status, const char *why)
{
    exchange_error(release(posting), status, ROUTE_NO_CACHE, why);
}

/* ---- the body ---- */

static bool
is_listed(const char *protocol, char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(protocol, *list) == 0)
            return true;
    return false;
}

/* The first of the client's that the route lists. Returns NULL, or what is wrong. */
static const char *
choose(const json_t *protocols, char *const *listed, char chosen[WS_SUBPROTOCOL_MAX])
{
    size_t i;

    if (protocols == NULL)
        return NULL;
    if (!json_is_array(protocols) || json_array_size(protocols) > PROTOCOLS_MAX)
        return "protocols is a list of at most 64 names";
    for (i = json_array_size(protocols); i-- > 0;) {
        const char *name = json_string_value(json_array_get(protocols, i));

        if (name == NULL)
            return "protocols is a list of names";
        if (strlen(name) < WS_SUBPROTOCOL_MAX && is_listed(name, listed))
            strcpy(chosen, name);
    }
    return NULL;
}

static const char *
read_body(struct posting *posting)
{
    const struct gather *body = &posting->body;
    const char *why;
    json_t *json;

    if (gather_len(body) == 0)
        return NULL;
    json =
        json_loadb((const char *)gather_data(body), gather_len(body), JSON_REJECT_DUPLICATES, NULL);
    why = json_is_object(json)
              ? choose(json_object_get(json, "protocols"), posting->route->subprotocols,
                       posting->request.handshake.subprotocol)
              : "the body is no JSON object";
    json_decref(json);
    return why;
}

/* ---- events ---- */

static void
on_body(struct exchange_owner *owner, uint8_t *data, size_t len)
{
    struct posting *posting = container_of(owner, struct posting, owner);

    if (gather_len(&posting->body) + len > BODY_MAX)
        refuse(posting, 413, TOO_LONG);
    else if (gather_add(&posting->body, data, len) != 0)
        refuse(posting, 503, "out of memory");
}

static void
on_body_end(struct exchange_owner *owner, const struct http1_error *error)
{
    struct posting *posting = container_of(owner, struct posting, owner);
    const char *why = error == NULL ? read_body(posting) : error->why;

    if (why != NULL) {
        refuse(posting, error != NULL ? error->status : 400, why);
        return;
    }
    if (posting->route->subprotocols_required &&
        posting->request.handshake.subprotocol[0] == '\0') {
        refuse(posting, 400, "no subprotocol in common");
        return;
    }
    opening_choose(&posting->context, release(posting), posting->route, &posting->request);
}

static void
on_gone(struct exchange_owner *owner)
{
    (void)release(container_of(owner, struct posting, owner));
}

/* By its head; answered if not. */
static bool
is_acceptable(struct exchange *exchange)
{
    const struct http1_request *request = exchange_request(exchange);
    unsigned count;
    struct span type = http1_header(request, "Content-Type", &count);

    if (count > 0 && !http1_is_media_type(type, "application/json"))
        exchange_error(exchange, 415, ROUTE_NO_CACHE,
                       "the body that opens a session is application/json");
    else if (request->content_length > BODY_MAX)
        exchange_error(exchange, 413, ROUTE_NO_CACHE, TOO_LONG);
    else
        return true;
    return false;
}

void
session_post_open(const struct route_context *context, struct exchange *exchange,
                  const struct conf_route *route, const struct opening_request *request)
{
    static const struct exchange_events events = {
        .gone = on_gone, .body = on_body, .body_end = on_body_end};
    struct posting *posting;

    if (!is_acceptable(exchange))
        return;
    posting = calloc(1, sizeof *posting);
    if (posting == NULL) {
        log_error(loop_log(context->loop), exchange_name(exchange), "out of memory");
        exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "out of memory");
        return;
    }
    posting->owner.events = &events;
    posting->exchange = exchange;
    posting->route = route;
    posting->context = *context;
    snapshot_ref(context->snapshot);
    posting->request = *request;
    exchange_set_owner(exchange, &posting->owner);
    exchange_read_body(exchange, route->message_timeout);
}

const char *
session_post_open_json_version(void)
{
    return jansson_version_str();
}
