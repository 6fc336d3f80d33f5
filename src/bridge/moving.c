/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *      this worker                                       the other one
 *      request → what waits is sent → exchange_give ──→ service_adopt → the same request
 */
#include "bridge/moving.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/route.h"
#include "bridge/service.h"
#include "client/http.h"
#include "event/loop.h"

struct moving {
    struct exchange_owner owner;
    struct exchange *exchange;
    struct loop *loop;
    struct service *to;
    struct http_moved moved;
    struct loop_message message;
    struct loop_deferred free_later;
};

static void
deliver(struct loop_message *message)
{
    struct moving *moving = container_of(message, struct moving, message);

    service_adopt(moving->to, &moving->moved);
    free(moving);
}

static void
leave(struct moving *moving)
{
    log_debug(loop_log(moving->loop), exchange_name(moving->exchange), "moves to worker %u",
              loop_id(service_loop(moving->to)));
    exchange_give(moving->exchange, &moving->moved);
    moving->message.deliver = deliver;
    loop_post(service_loop(moving->to), &moving->message);
}

/* ---- while an earlier answer is on its way ---- */

static void
free_moving(struct loop_deferred *deferred)
{
    free(container_of(deferred, struct moving, free_later));
}

static void
on_progress(struct exchange_owner *owner)
{
    struct moving *moving = container_of(owner, struct moving, owner);

    if (exchange_pending(moving->exchange) == 0)
        leave(moving);
}

static void
on_gone(struct exchange_owner *owner)
{
    struct moving *moving = container_of(owner, struct moving, owner);

    loop_defer(moving->loop, &moving->free_later, free_moving);
}

bool
moving_start(const struct route_context *context, struct exchange *exchange, unsigned worker)
{
    static const struct exchange_events events = {.progress = on_progress, .gone = on_gone};
    struct service *to = service_peer(context->service, worker);
    struct moving *moving;

    if (to == NULL)
        return false;
    moving = calloc(1, sizeof *moving);
    if (moving == NULL) {
        log_error(loop_log(context->loop), exchange_name(exchange), "out of memory");
        exchange_error(exchange, 503, "Retry-After: 1\r\n" ROUTE_NO_CACHE, "out of memory");
        return true;
    }
    moving->owner.events = &events;
    moving->exchange = exchange;
    moving->loop = context->loop;
    moving->to = to;
    if (exchange_pending(exchange) > 0)
        exchange_set_owner(exchange, &moving->owner);
    else
        leave(moving);
    return true;
}
