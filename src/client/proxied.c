/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/proxied.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proto/proxy_header.h"

struct waiting {
    struct stream_owner stream_owner;
    struct stream *stream;
    struct list link;
    struct proxied_set *set;
    struct proxied_owner *owner;
    struct timer timer;
    struct proxy_header_parser parser;
    struct proxied proxied;
    struct loop_deferred free_later;
};

static void
free_waiting(struct loop_deferred *deferred)
{
    struct waiting *waiting = container_of(deferred, struct waiting, free_later);

    tls_unref(waiting->proxied.tls);
    free(waiting);
}

/* All but the stream. */
static void
release(struct waiting *waiting)
{
    timer_deinit(&waiting->timer);
    list_remove(&waiting->link);
    waiting->set->n_members--;
    loop_defer(waiting->set->loop, &waiting->free_later, free_waiting);
}

static void
refuse(struct waiting *waiting, const char *why)
{
    char text[ADDR_TEXT];

    addr_text(&waiting->proxied.peer, text);
    log_info(loop_log(waiting->set->loop), "listener", "closed: PROXY header from %s: %s", text,
             why);
    metrics_add(&loop_metrics(waiting->set->loop)->refusals[METRICS_REFUSED_PROXY_HEADER], 1);
    stream_close(waiting->stream);
    release(waiting);
}

static void
take_address(struct addr *addr, const struct sockaddr_storage *storage, socklen_t len)
{
    addr->storage = *storage;
    addr->len = len;
}

static void
finish(struct waiting *waiting)
{
    const struct proxy_header *header = &waiting->parser.header;

    if (!header->local) {
        take_address(&waiting->proxied.peer, &header->source, header->source_len);
        take_address(&waiting->proxied.destination, &header->destination, header->destination_len);
    }
    waiting->proxied.fd = stream_detach(waiting->stream);
    release(waiting);
    waiting->owner->ready(waiting->owner, &waiting->proxied);
}

static void
on_readable(struct stream_owner *owner)
{
    struct waiting *waiting = container_of(owner, struct waiting, stream_owner);
    uint8_t *scratch = loop_scratch(waiting->set->loop);
    ssize_t n = stream_peek(waiting->stream, scratch, PROXY_HEADER_READ_MAX);
    enum proxy_header_result result;
    size_t used;

    if (n == STREAM_AGAIN)
        return;
    if (n < 0 || n == STREAM_END) {
        refuse(waiting, n == STREAM_END ? "it ends before" : stream_why(waiting->stream));
        return;
    }
    result = proxy_header_parse(&waiting->parser, scratch, (size_t)n, &used);
    /* What has just been seen is there. */
    if (used > 0 && stream_read(waiting->stream, scratch, used) != (ssize_t)used)
        refuse(waiting, "the socket gives less than it showed");
    else if (result == PROXY_HEADER_ERROR)
        refuse(waiting, waiting->parser.why);
    else if (result == PROXY_HEADER_DONE)
        finish(waiting);
}

/* Nothing is sent here. */
static void
on_progress(struct stream_owner *owner)
{
    (void)owner;
}

static void
on_timeout(struct timer *timer)
{
    refuse(container_of(timer, struct waiting, timer), "not complete in time");
}

void
proxied_set_init(struct proxied_set *set, struct loop *loop)
{
    set->loop = loop;
    list_init(&set->members);
    set->n_members = 0;
}

void
proxied_start(struct proxied_set *set, int fd, const struct addr *peer, struct tls *tls,
              double timeout, struct proxied_owner *owner)
{
    static const struct stream_events events = {on_readable, on_progress};
    struct waiting *waiting = calloc(1, sizeof *waiting);

    if (waiting != NULL) {
        waiting->stream_owner.events = &events;
        waiting->stream = stream_open(set->loop, fd, NULL, &waiting->stream_owner);
    }
    if (waiting == NULL || waiting->stream == NULL) {
        log_error(loop_log(set->loop), "listener", "out of memory");
        close(fd);
        free(waiting);
        return;
    }
    waiting->set = set;
    waiting->owner = owner;
    waiting->proxied.tls = tls != NULL ? tls_ref(tls) : NULL;
    waiting->proxied.peer = *peer;
    proxy_header_init(&waiting->parser);
    list_add(&set->members, &waiting->link);
    set->n_members++;
    timer_init(&waiting->timer, set->loop, on_timeout);
    timer_set(&waiting->timer, loop_now(set->loop) + timeout);
    stream_want_read(waiting->stream, true);
}

void
proxied_drain_all(struct proxied_set *set, double due)
{
    struct list *at;

    for (at = set->members.next; at != &set->members; at = at->next) {
        struct waiting *waiting = container_of(at, struct waiting, link);

        if (waiting->timer.due > due)
            timer_set(&waiting->timer, due);
    }
}

void
proxied_close_all(struct proxied_set *set)
{
    while (!list_empty(&set->members)) {
        struct waiting *waiting = container_of(set->members.next, struct waiting, link);

        stream_close(waiting->stream);
        release(waiting);
    }
}
