/* SPDX-License-Identifier: BSD-2-Clause */
#include "target/target.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "bridge/endpoint.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proto/proxy_header.h"
#include "target/echo.h"
#include "target/mqtt.h"
#include "target/tcp.h"

struct target_opening {
    struct target_owner *owner;
    struct loop *loop;
    const struct conf_route *route;
    SSL *ssl; /* made early, so that a lack of memory shows early; the stream's later */
    struct dial_owner dial_owner;
    struct dial *dial;
    struct stream_owner stream_owner;
    struct stream *stream; /* while its TLS handshake runs */
    struct timer timer;    /* of the handshake; for echo, the callback's own turn */
    uint8_t *header;       /* the PROXY header; NULL: none is sent */
    size_t header_len;
    double due; /* connect_timeout is for name, connection and handshake together */
    struct loop_deferred free_later;
};

static void
free_opening(struct loop_deferred *deferred)
{
    struct target_opening *opening = container_of(deferred, struct target_opening, free_later);

    free(opening->header);
    free(opening);
}

void
target_cancel(struct target_opening *opening)
{
    if (opening == NULL)
        return;
    dial_cancel(opening->dial);
    stream_close(opening->stream);
    tls_free(opening->ssl);
    timer_deinit(&opening->timer);
    loop_defer(opening->loop, &opening->free_later, free_opening);
}

/* Frees the opening and tells its owner. */
static void
finish(struct target_opening *opening, enum dial_result result, struct endpoint *endpoint,
       const char *why)
{
    struct target_owner *owner = opening->owner;

    target_cancel(opening);
    owner->call(owner, result, endpoint, why);
}

static void
fail(struct target_opening *opening, enum dial_result result, const char *why)
{
    finish(opening, result, NULL, why);
}

/* Takes the endpoint; returns NULL without memory. */
static struct endpoint *
with_rules(const struct target_opening *opening, struct endpoint *endpoint)
{
    struct endpoint *around;

    if (!mqtt_has_rules(opening->route))
        return endpoint;
    around = mqtt_open(opening->loop, endpoint, opening->route);
    if (around == NULL)
        endpoint->ops->close(endpoint);
    return around;
}

static void
connected(struct target_opening *opening)
{
    struct endpoint *endpoint = tcp_open(opening->loop, opening->stream, opening->route);

    if (endpoint == NULL) {
        fail(opening, DIAL_FAILED, "out of memory");
        return;
    }
    stream_want_read(opening->stream, false);
    opening->stream = NULL;
    endpoint = with_rules(opening, endpoint);
    if (endpoint == NULL)
        fail(opening, DIAL_FAILED, "out of memory");
    else
        finish(opening, DIAL_OK, endpoint, "");
}

static void
handshake(struct target_opening *opening)
{
    int done = stream_handshake(opening->stream);

    if (done > 0)
        connected(opening);
    else if (done < 0)
        fail(opening, DIAL_FAILED, stream_why(opening->stream));
}

static void
on_stream_event(struct stream_owner *owner)
{
    handshake(container_of(owner, struct target_opening, stream_owner));
}

static void
on_handshake_timeout(struct timer *timer)
{
    fail(container_of(timer, struct target_opening, timer), DIAL_TIMEOUT,
         "no TLS handshake in time");
}

/* The first bytes on a fresh socket, whose buffer is empty: all are taken at once. */
static bool
send_header(const struct target_opening *opening, int fd)
{
    return opening->header == NULL || send(fd, opening->header, opening->header_len,
                                           MSG_NOSIGNAL) == (ssize_t)opening->header_len;
}

static void
on_dialled(struct dial_owner *owner, enum dial_result result, int fd, const char *why)
{
    static const struct stream_events events = {on_stream_event, on_stream_event};
    struct target_opening *opening = container_of(owner, struct target_opening, dial_owner);

    opening->dial = NULL;
    if (result != DIAL_OK) {
        fail(opening, result, why);
        return;
    }
    if (!send_header(opening, fd)) {
        close(fd);
        fail(opening, DIAL_FAILED, "the PROXY header cannot be sent");
        return;
    }
    opening->stream_owner.events = &events;
    opening->stream = stream_open(opening->loop, fd, opening->ssl, &opening->stream_owner);
    if (opening->stream == NULL) {
        close(fd);
        fail(opening, DIAL_FAILED, "out of memory");
        return;
    }
    if (opening->ssl == NULL) {
        connected(opening);
        return;
    }
    opening->ssl = NULL;
    timer_set(&opening->timer, opening->due);
    stream_want_read(opening->stream, true);
    handshake(opening);
}

static void
on_echo_turn(struct timer *timer)
{
    struct target_opening *opening = container_of(timer, struct target_opening, timer);
    struct endpoint *endpoint = echo_open(opening->loop);

    if (endpoint == NULL)
        fail(opening, DIAL_FAILED, "out of memory");
    else
        finish(opening, DIAL_OK, endpoint, "");
}

static int
make_header(struct target_opening *opening, const struct target_options *options)
{
    if (options->proxy_header == NULL)
        return 0;
    opening->header = malloc(PROXY_HEADER_V2_MAX);
    if (opening->header == NULL) {
        log_error(loop_log(options->loop), "target", "out of memory");
        return -1;
    }
    if (options->route->send_proxy == CONF_SEND_PROXY_V1)
        opening->header_len = proxy_header_build_v1(options->proxy_header, (char *)opening->header);
    else
        opening->header_len = proxy_header_build_v2(options->proxy_header, opening->header);
    return 0;
}

static int
start_dial(struct target_opening *opening, const struct target_options *options)
{
    const struct conf_target *target = options->target;
    struct dial_options dial = {
        .loop = options->loop,
        .resolver = options->resolver,
        .host = target->host,
        .path = target->path,
        .port = target->port,
        .timeout = options->route->connect_timeout,
    };

    timer_init(&opening->timer, options->loop, on_handshake_timeout);
    if (make_header(opening, options) != 0)
        return -1;
    if (target->kind == CONF_TARGET_TLS || target->kind == CONF_TARGET_MQTTS) {
        opening->ssl = options->route->target.kind == CONF_TARGET_MAP
                           ? tls_connect_to(options->tls, options->route_index, target->host)
                           : tls_connect(options->tls, options->route_index);
        if (opening->ssl == NULL) {
            log_error(loop_log(options->loop), "target", "out of memory");
            return -1;
        }
    }
    opening->dial_owner.call = on_dialled;
    opening->dial = dial_start(&dial, &opening->dial_owner);
    return opening->dial != NULL ? 0 : -1;
}

struct target_opening *
target_open(const struct target_options *options, struct target_owner *owner)
{
    struct target_opening *opening = calloc(1, sizeof *opening);

    if (opening == NULL) {
        log_error(loop_log(options->loop), "target", "out of memory");
        return NULL;
    }
    opening->owner = owner;
    opening->loop = options->loop;
    opening->route = options->route;
    opening->due = loop_now(options->loop) + options->route->connect_timeout;
    if (options->target->kind == CONF_TARGET_ECHO) {
        /* Not at once: no callback comes from within this function. */
        timer_init(&opening->timer, options->loop, on_echo_turn);
        timer_set(&opening->timer, loop_now(options->loop));
        return opening;
    }
    if (start_dial(opening, options) == 0)
        return opening;
    target_cancel(opening);
    return NULL;
}
