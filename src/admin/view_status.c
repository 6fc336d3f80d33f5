/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/process.h"
#include "admin/text.h"
#include "admin/view.h"
#include "base/buf.h"
#include "base/metrics.h"
#include "base/metrics_routes.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "net/tls.h"

static const char *
yes(bool value)
{
    return value ? "true" : "false";
}

static void
write_head(const struct view *view, struct text *out)
{
    const char *why = view_unready(view);
    struct process_figures process;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    process_read(&process);
    text_format(out, "{\"version\":\"%s\",\"pid\":%d,\"started\":%.3f,\"uptime\":%.3f,",
                CULVERT_VERSION, (int)getpid(), view->started,
                (double)now.tv_sec + (double)now.tv_nsec / 1e9 - view->started);
    text_format(out, "\"ready\":%s,\"draining\":%s,", yes(why == NULL), yes(view->draining));
    text_format(out, "\"reload\":{\"ok\":%s,\"at\":%.3f},", yes(view->reload_ok), view->reload_at);
    text_format(out,
                "\"process\":{\"cpu_seconds\":%.3f,\"resident_bytes\":%" PRIu64
                ",\"open_fds\":%" PRIu64 ",\"max_fds\":%" PRIu64 "},",
                process.cpu_seconds, process.resident_bytes, process.open_fds, process.max_fds);
}

static void
write_worker(struct text *out, size_t id, const struct metrics_worker *worker)
{
    uint64_t http = metrics_left(worker->http_opened, worker->http_ended);
    uint64_t active = metrics_left(worker->exchanges_begun, worker->exchanges_ended);
    uint64_t turns = 0;
    unsigned i;

    for (i = 0; i <= METRICS_BUCKETS; i++)
        turns += worker->turns.buckets[i];
    text_format(out,
                "{\"id\":%zu,\"accepting\":%s,\"accepted\":%" PRIu64 ",\"idle\":%" PRIu64
                ",\"active\":%" PRIu64 ",\"sockets\":%" PRIu64 ",\"pauses\":%" PRIu64,
                id, yes(worker->listening > 0), worker->accepted, metrics_left(http, active),
                active, worker->sockets, worker->pauses);
    text_format(out,
                ",\"buffer_blocks\":%" PRIu64 ",\"buffer_bytes\":%" PRIu64 ",\"turns\":%" PRIu64
                ",\"turn_seconds\":%.6f,\"turn_max_seconds\":%.6f}",
                worker->buffer_blocks, worker->buffer_bytes, turns,
                (double)worker->turns.nanoseconds / 1e9, (double)worker->turn_max / 1e9);
}

static void
write_workers(const struct view *view, struct text *out)
{
    size_t i;

    text_put(out, "\"workers\":[");
    for (i = 0; i < view->n_workers; i++) {
        struct metrics_worker copy;

        memset(&copy, 0, sizeof copy);
        metrics_sum_worker(&copy, view->workers[i]);
        text_put(out, i > 0 ? "," : "");
        write_worker(out, i + 1, &copy);
    }
    text_put(out, "],");
}

static void
write_route(struct text *out, const char *name, const struct metrics_route *route)
{
    struct metrics_flow all = {0};
    uint64_t refused = 0;
    unsigned i;

    for (i = 0; i < METRICS_TRANSPORTS; i++)
        metrics_sum((uint64_t *)&all, (const uint64_t *)&route->flows[i],
                    sizeof all / sizeof(uint64_t));
    for (i = 0; i < METRICS_REFUSALS; i++)
        refused += route->refusals[i];
    text_put(out, "{\"name\":");
    text_json(out, name);
    text_format(out, ",\"bridged\":%zu,\"opened\":%" PRIu64 ",\"refused\":%" PRIu64,
                view_bridged(route), all.opened, refused);
    text_format(out,
                ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"messages_in\":%" PRIu64
                ",\"messages_out\":%" PRIu64 "}",
                all.bytes[METRICS_IN], all.bytes[METRICS_OUT], all.messages[METRICS_IN],
                all.messages[METRICS_OUT]);
}

static void
write_routes(const struct view *view, struct text *out)
{
    struct metrics_entry *entry = NULL;
    const char *comma = "";

    text_put(out, "\"routes\":[");
    while ((entry = metrics_routes_next(view->routes, entry)) != NULL) {
        struct metrics_route sum;

        metrics_entry_sum(entry, &sum);
        text_put(out, comma);
        write_route(out, metrics_entry_name(entry), &sum);
        comma = ",";
    }
    text_put(out, "],");
}

static void
write_listeners(const struct conf *conf, struct text *out)
{
    size_t i;

    text_put(out, "\"listeners\":[");
    for (i = 0; i < conf->n_listens; i++) {
        text_put(out, i > 0 ? ",{\"address\":" : "{\"address\":");
        text_json(out, conf->listens[i].text);
        text_format(out, ",\"tls\":%s,\"proxy\":%s}", yes(conf->listens[i].tls),
                    yes(conf->listens[i].proxy));
    }
    text_put(out, "],");
}

static void
write_certificates(const struct snapshot *snapshot, struct text *out)
{
    const struct conf *conf = snapshot->conf;
    size_t i;

    text_put(out, "\"certificates\":[");
    for (i = 0; i < conf->n_tls; i++) {
        text_put(out, i > 0 ? ",{\"host\":" : "{\"host\":");
        text_json(out, conf->tls[i].host != NULL ? conf->tls[i].host : "default");
        text_format(out, ",\"expires\":%" PRId64 "}", (int64_t)tls_expiry(snapshot->tls, i));
    }
    text_put(out, "]}\n");
}

void
view_write_status(const struct view *view, struct text *out)
{
    write_head(view, out);
    write_workers(view, out);
    write_routes(view, out);
    write_listeners(view->snapshot->conf, out);
    write_certificates(view->snapshot, out);
}
