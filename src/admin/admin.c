/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/admin.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/answer.h"
#include "admin/page.h"
#include "admin/text.h"
#include "admin/view.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "bridge/snapshot.h"
#include "client/http.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "net/linger.h"
#include "net/listener.h"

enum {
    BODY_MAX = 16 << 20,
    HEADER_MAX = 8192,
};

#define HEADER_TIMEOUT 10.0

struct admin {
    struct listener_owner listener_owner;
    struct http_handler handler;
    struct loop *loop;
    struct listen_socket socket;
    struct listener *listener;
    struct http_set https;
    struct linger_set lingers;
    struct snapshot *snapshot;
    uint64_t n_accepted;
    char own_name[HTTP1_HOST_NAME]; /* of this machine */
    struct view view;
    const struct metrics_worker *workers[];
};

static double
wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Host ---- */

/*
 * Whoever controls a name can let it point here, and their page then counts as ours in a browser
 * on this machine. An address cannot be made to point anywhere, and a browser always sends a Host.
 * It does not open unix sockets.
 */
static bool
is_own_host(const struct admin *admin, struct span host)
{
    char name[HTTP1_HOST_NAME];
    struct addr addr;

    if (host.len == 0 || admin->socket.path != NULL)
        return true;
    http1_host_name(host, name);
    return addr_from_ip(&addr, name, 0) == 0 || strcasecmp(name, "localhost") == 0 ||
           (admin->own_name[0] != '\0' && strcasecmp(name, admin->own_name) == 0);
}

/* ---- answers ---- */

#define NO_STORE "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

static void
answer_health(struct admin *admin, struct exchange *exchange)
{
    (void)admin;
    answer_static(exchange, "Content-Type: text/plain; charset=utf-8\r\n" NO_STORE, "ok\n");
}

static void
answer_readiness(struct admin *admin, struct exchange *exchange)
{
    const char *why = view_unready(&admin->view);

    if (why != NULL)
        exchange_error(exchange, 503, NO_STORE, why);
    else
        answer_static(exchange, "Content-Type: text/plain; charset=utf-8\r\n" NO_STORE, "ready\n");
}

static void
answer_metrics(struct admin *admin, struct exchange *exchange)
{
    struct text body;

    text_init(&body, BODY_MAX);
    view_write_metrics(&admin->view, &body);
    answer_text(exchange, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" NO_STORE,
                &body);
}

static void
answer_status(struct admin *admin, struct exchange *exchange)
{
    struct text body;

    text_init(&body, BODY_MAX);
    view_write_status(&admin->view, &body);
    answer_text(exchange, "Content-Type: application/json\r\n" NO_STORE, &body);
}

static void
answer_page(struct admin *admin, struct exchange *exchange)
{
    (void)admin;
    answer_html(exchange, NO_STORE);
}

static void
on_request(struct http_handler *handler, struct exchange *exchange)
{
    static const struct {
        const char *path;
        void (*answer)(struct admin *admin, struct exchange *exchange);
    } pages[] = {
        {"/healthz", answer_health},  {"/readyz", answer_readiness},
        {"/metrics", answer_metrics}, {"/status", answer_status},
        {"/", answer_page},
    };
    struct admin *admin = container_of(handler, struct admin, handler);
    const struct http1_request *request = exchange_request(exchange);
    size_t i;

    if (!is_own_host(admin, request->host)) {
        exchange_error(exchange, 403, "", "this Host is not served here: use the IP address");
        return;
    }
    if (request->method != HTTP1_GET && request->method != HTTP1_HEAD) {
        exchange_error(exchange, 405, "Allow: GET, HEAD\r\n", "use GET");
        return;
    }
    for (i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (span_is(request->path, pages[i].path)) {
            pages[i].answer(admin, exchange);
            return;
        }
    }
    exchange_error(exchange, 404, "", "there are /healthz, /readyz, /metrics, /status and /");
}

/* ---- connections ---- */

static bool
on_has_room(struct listener_owner *owner)
{
    (void)owner;
    return true;
}

static size_t
on_n_spare(struct listener_owner *owner)
{
    return container_of(owner, struct admin, listener_owner)->https.half_open.n_waiting;
}

static bool
on_make_room(struct listener_owner *owner)
{
    return half_open_evict(&container_of(owner, struct admin, listener_owner)->https.half_open,
                           "descriptors are short");
}

/* Whoever only holds a place must not keep a probe out, which would end this process. Where all are
 * served, one more is turned away at once: its scraper says so, and tries again. */
static bool
find_place(struct admin *admin)
{
    size_t looks = admin->https.half_open.n_waiting;

    while (admin->https.n_members + admin->lingers.n_members >= ADMIN_CONNECTIONS_MAX) {
        if (linger_close_idle(&admin->lingers))
            continue;
        if (looks-- == 0 || !half_open_evict(&admin->https.half_open, "all places are taken"))
            return false;
    }
    return true;
}

static void
on_accepted(struct listener_owner *owner, int fd, const struct addr *peer)
{
    struct admin *admin = container_of(owner, struct admin, listener_owner);
    struct http_options options = {
        .loop = admin->loop,
        .set = &admin->https,
        .lingers = &admin->lingers,
        .handler = &admin->handler,
        .fd = fd,
        .peer = peer,
        .number = ++admin->n_accepted,
        .since = loop_now(admin->loop),
        .header_timeout = HEADER_TIMEOUT,
        .header_max = HEADER_MAX,
    };

    if (!find_place(admin)) {
        log_debug(loop_log(admin->loop), "admin", "too many connections: one is turned away");
        close(fd);
        return;
    }
    /* Without memory this connection is lost, which is logged. */
    (void)http_accept(&options);
}

/* ---- lifetime ---- */

/* Returns 0, 1 if the default address cannot be had, -1 if a configured one cannot, logged. */
static int
listen_where_configured(struct admin *admin)
{
    const struct conf *conf = admin->snapshot->conf;
    const struct conf_listen *where = &conf->admin;
    struct log *log = loop_log(admin->loop);
    char text[ADDR_TEXT];

    if (listen_socket_open(&admin->socket, where, 1, conf->socket_mode,
                           where->line > 0 ? log : NULL) != 0) {
        if (where->line > 0)
            return -1;
        log_warn(log, "admin", "no admin listener: cannot listen on %s, the default: %s",
                 where->text, strerror(errno));
        return 1;
    }
    admin->listener = listener_start(admin->loop, admin->socket.fds[0], &admin->listener_owner);
    if (admin->listener == NULL)
        return -1;
    addr_text(&admin->socket.addr, text);
    log_info(log, "admin", "metrics, status and health on %s", text);
    return 0;
}

static struct admin *
make(const struct admin_options *options)
{
    struct admin *admin = calloc(1, sizeof *admin + options->n_workers * sizeof admin->workers[0]);

    if (admin == NULL) {
        log_error(loop_log(options->loop), "admin", "out of memory");
        return NULL;
    }
    memcpy(admin->workers, options->workers, options->n_workers * sizeof admin->workers[0]);
    admin->listener_owner.has_room = on_has_room;
    admin->listener_owner.n_spare = on_n_spare;
    admin->listener_owner.make_room = on_make_room;
    admin->listener_owner.accepted = on_accepted;
    admin->handler.request = on_request;
    admin->loop = options->loop;
    admin->snapshot = snapshot_ref(options->snapshot);
    http_set_init(&admin->https, options->loop);
    admin->https.half_open.max = ADMIN_CONNECTIONS_MAX;
    linger_init(&admin->lingers, admin->loop);
    if (gethostname(admin->own_name, sizeof admin->own_name - 1) != 0)
        admin->own_name[0] = '\0';
    admin->view = (struct view){
        .snapshot = admin->snapshot,
        .routes = options->routes,
        .workers = admin->workers,
        .n_workers = options->n_workers,
        .reload_ok = true,
        .reload_at = wall_clock(),
        .started = wall_clock(),
    };
    return admin;
}

int
admin_open(const struct admin_options *options, struct admin **admin)
{
    int result;

    *admin = NULL;
    if (options->snapshot->conf->admin.text == NULL)
        return 0;
    *admin = make(options);
    if (*admin == NULL)
        return -1;
    result = listen_where_configured(*admin);
    if (result == 0)
        return 0;
    admin_close(*admin);
    *admin = NULL;
    return result > 0 ? 0 : -1;
}

void
admin_close(struct admin *admin)
{
    if (admin == NULL)
        return;
    listener_stop(admin->listener);
    http_close_all(&admin->https);
    http_set_deinit(&admin->https);
    linger_close_all(&admin->lingers);
    if (admin->socket.fds != NULL)
        listen_socket_close(&admin->socket);
    snapshot_unref(admin->snapshot);
    free(admin);
}

size_t
admin_descriptors(const struct conf *conf)
{
    /* With its listening socket and what /proc takes for a moment. */
    return conf->admin.text != NULL ? ADMIN_CONNECTIONS_MAX + 3 : 0;
}

void
admin_set_draining(struct admin *admin, bool draining)
{
    if (admin != NULL)
        admin->view.draining = draining;
}

void
admin_set_snapshot(struct admin *admin, struct snapshot *snapshot)
{
    if (admin == NULL)
        return;
    snapshot_ref(snapshot);
    snapshot_unref(admin->snapshot);
    admin->snapshot = snapshot;
    admin->view.snapshot = snapshot;
}

void
admin_note_reload(struct admin *admin, bool ok)
{
    if (admin == NULL)
        return;
    admin->view.reload_ok = ok;
    if (ok)
        admin->view.reload_at = wall_clock();
}
