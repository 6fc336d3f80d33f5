/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prometheus text format 0.0.4: a family's HELP and TYPE, then its samples. Families follow the
 * order of culvert(1), where each has its row.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "admin/process.h"
#include "admin/text.h"
#include "admin/view.h"
#include "admin/view_writer.h"
#include "base/metrics.h"
#include "base/metrics_routes.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "net/tls.h"

/* ---- lines ---- */

void
writer_family(const struct writer *writer, const char *name, const char *type, const char *help)
{
    text_format(writer->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
whole(const struct writer *writer, const char *name, const char *type, const char *help,
      uint64_t value)
{
    writer_family(writer, name, type, help);
    text_format(writer->out, "%s %" PRIu64 "\n", name, value);
}

static void
seconds(const struct writer *writer, const char *name, const char *type, const char *help,
        double value)
{
    writer_family(writer, name, type, help);
    text_format(writer->out, "%s %.3f\n", name, value);
}

/* name{label="value" and, with more, a comma: the caller goes on with what is between the braces.
 */
static void
open_labels(const struct writer *writer, const char *name, const char *label, const char *value)
{
    text_format(writer->out, "%s{%s=\"", name, label);
    text_label(writer->out, value);
    text_put(writer->out, "\"");
}

void
writer_one_label(const struct writer *writer, const char *name, const char *label,
                 const char *value, uint64_t n)
{
    open_labels(writer, name, label, value);
    text_format(writer->out, "} %" PRIu64 "\n", n);
}

/* label: of whom it is, "route" or "worker". Buckets are cumulative here. */
static void
histogram(const struct writer *writer, const char *name, const char *label, const char *value,
          const struct metrics_histogram *histogram)
{
    char series[80];
    uint64_t n = 0;
    unsigned i;

    snprintf(series, sizeof series, "%s_bucket", name);
    for (i = 0; i <= METRICS_BUCKETS; i++) {
        n += metrics_read(&histogram->buckets[i]);
        open_labels(writer, series, label, value);
        if (i < METRICS_BUCKETS)
            text_format(writer->out, ",le=\"%g\"} %" PRIu64 "\n", metrics_bound(i), n);
        else
            text_format(writer->out, ",le=\"+Inf\"} %" PRIu64 "\n", n);
    }
    snprintf(series, sizeof series, "%s_sum", name);
    open_labels(writer, series, label, value);
    text_format(writer->out, "} %.9f\n", (double)metrics_read(&histogram->nanoseconds) / 1e9);
    snprintf(series, sizeof series, "%s_count", name);
    writer_one_label(writer, series, label, value, n);
}

/* ---- the process ---- */

static void
write_process(const struct writer *writer)
{
    struct process_figures figures;

    process_read(&figures);
    seconds(writer, "process_cpu_seconds_total", "counter", "CPU time of all threads.",
            figures.cpu_seconds);
    whole(writer, "process_open_fds", "gauge", "Open file descriptors.", figures.open_fds);
    whole(writer, "process_max_fds", "gauge", "Limit of open file descriptors, 0 for none.",
          figures.max_fds);
    whole(writer, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
          figures.virtual_bytes);
    whole(writer, "process_resident_memory_bytes", "gauge", "Resident memory.",
          figures.resident_bytes);
    seconds(writer, "process_start_time_seconds", "gauge", "When it started, as Unix time.",
            writer->view->started);
}

static void
write_state(const struct writer *writer)
{
    const struct view *view = writer->view;

    writer_family(writer, "culvert_build_info", "gauge", "Always 1; the version is a label.");
    writer_one_label(writer, "culvert_build_info", "version", CULVERT_VERSION, 1);
    whole(writer, "culvert_ready", "gauge", "1 while /readyz says ready.",
          view_unready(view) == NULL);
    whole(writer, "culvert_draining", "gauge", "1 while it is stopping.", view->draining);
    whole(writer, "culvert_config_last_reload_successful", "gauge",
          "Whether the configuration was good when it was last read.", view->reload_ok);
    seconds(writer, "culvert_config_last_reload_success_timestamp_seconds", "gauge",
            "When a good configuration was last read, as Unix time.", view->reload_at);
}

static void
write_certificates(const struct writer *writer)
{
    const char *name = "culvert_tls_certificate_expiry_timestamp_seconds";
    const struct snapshot *snapshot = writer->view->snapshot;
    size_t i;

    writer_family(writer, name, "gauge",
                  "When the certificate of a [tls] section ends, as Unix time.");
    for (i = 0; i < snapshot->conf->n_tls; i++) {
        const char *host = snapshot->conf->tls[i].host;
        time_t end = tls_expiry(snapshot->tls, i);

        if (end > 0)
            writer_one_label(writer, name, "host", host != NULL ? host : "default", (uint64_t)end);
    }
}

/* ---- connections ---- */

static uint64_t
bridged(const struct writer *writer)
{
    uint64_t n = 0;
    size_t i;

    for (i = 0; i < writer->n_sums; i++)
        n += view_bridged(&writer->sums[i].of);
    return n;
}

static void
write_connections(const struct writer *writer)
{
    static const char *const kinds[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct metrics_worker *all = &writer->all;
    uint64_t http = metrics_left(all->http_opened, all->http_ended);
    uint64_t active = metrics_left(all->exchanges_begun, all->exchanges_ended);
    const char *name = "culvert_connections";
    unsigned i;

    whole(writer, "culvert_connections_accepted_total", "counter", "Accepted connections.",
          all->accepted);
    writer_family(
        writer, name, "gauge",
        "Clients' connections: idle between requests, active with one, bridged to a target.");
    writer_one_label(writer, name, "state", "idle", metrics_left(http, active));
    writer_one_label(writer, name, "state", "active", active);
    writer_one_label(writer, name, "state", "bridged", bridged(writer));
    name = "culvert_http_answers_total";
    writer_family(writer, name, "counter",
                  "Answered requests by kind of status; 1xx are upgrades.");
    for (i = 1; i < 6; i++)
        writer_one_label(writer, name, "code", kinds[i], all->answers[i]);
    whole(writer, "culvert_tls_handshakes_total", "counter", "TLS handshakes with clients.",
          all->tls_done);
    whole(writer, "culvert_tls_handshake_failures_total", "counter",
          "TLS handshakes with clients that failed or were broken off.", all->tls_failed);
    whole(writer, "culvert_dns_queries_total", "counter",
          "Names looked up that were not in the cache, IPv4 and IPv6 apart.", all->dns_queries);
    whole(writer, "culvert_dns_failures_total", "counter",
          "Lookups that got no answer, or a failure.", all->dns_failed);
}

/* ---- routes ---- */

/* WebSocket always, so that a route is there from the start; others when they are used: a session may
 * have been opened otherwise than it is carried. */
static bool
is_shown(const struct sum *sum, unsigned transport)
{
    const struct metrics_flow *flow = &sum->of.flows[transport];

    return transport == METRICS_WEBSOCKET || flow->opened > 0 || flow->messages[METRICS_IN] > 0 ||
           flow->messages[METRICS_OUT] > 0;
}

static void
transport_line(const struct writer *writer, const char *name, const struct sum *sum,
               unsigned transport, uint64_t value)
{
    open_labels(writer, name, "route", sum->name);
    text_format(writer->out, ",transport=\"%s\"} %" PRIu64 "\n", metrics_transport_name(transport),
                value);
}

static void
write_bridges(const struct writer *writer)
{
    const char *name = "culvert_bridges";
    size_t i;
    unsigned t;

    writer_family(writer, name, "gauge", "Clients joined to a target now.");
    for (i = 0; i < writer->n_sums; i++)
        for (t = 0; t < METRICS_TRANSPORTS; t++) {
            const struct metrics_flow *flow = &writer->sums[i].of.flows[t];

            if (is_shown(&writer->sums[i], t))
                transport_line(writer, name, &writer->sums[i], t,
                               metrics_left(flow->opened, flow->ended));
        }
    name = "culvert_bridges_opened_total";
    writer_family(writer, name, "counter", "Clients that were joined to a target.");
    for (i = 0; i < writer->n_sums; i++)
        for (t = 0; t < METRICS_TRANSPORTS; t++)
            if (is_shown(&writer->sums[i], t))
                transport_line(writer, name, &writer->sums[i], t,
                               writer->sums[i].of.flows[t].opened);
}

static void
flow_lines(const struct writer *writer, const char *name, const struct sum *sum, unsigned transport,
           const uint64_t *values)
{
    unsigned direction;

    for (direction = 0; direction < METRICS_DIRECTIONS; direction++) {
        open_labels(writer, name, "route", sum->name);
        text_format(writer->out, ",transport=\"%s\",direction=\"%s\"} %" PRIu64 "\n",
                    metrics_transport_name(transport), metrics_direction_name(direction),
                    values[direction]);
    }
}

static void
write_flows(const struct writer *writer)
{
    size_t i;
    unsigned t;

    writer_family(writer, "culvert_bytes_total", "counter",
                  "Payload bytes of messages as the client sees them; in is client to target.");
    for (i = 0; i < writer->n_sums; i++)
        for (t = 0; t < METRICS_TRANSPORTS; t++)
            if (is_shown(&writer->sums[i], t))
                flow_lines(writer, "culvert_bytes_total", &writer->sums[i], t,
                           writer->sums[i].of.flows[t].bytes);
    writer_family(writer, "culvert_messages_total", "counter",
                  "Complete messages as the client sees them; in is client to target.");
    for (i = 0; i < writer->n_sums; i++)
        for (t = 0; t < METRICS_TRANSPORTS; t++)
            if (is_shown(&writer->sums[i], t))
                flow_lines(writer, "culvert_messages_total", &writer->sums[i], t,
                           writer->sums[i].of.flows[t].messages);
}

/* Codes and reasons that have not come up are left out: most never do. */
static void
write_closes(const struct writer *writer)
{
    const char *name = "culvert_closes_total";
    size_t i;
    unsigned by, code;

    writer_family(writer, name, "counter", "Ended conversations by who ended them and close code.");
    for (i = 0; i < writer->n_sums; i++)
        for (by = 0; by < METRICS_INITIATORS; by++)
            for (code = 0; code < METRICS_CODES; code++) {
                uint64_t n = writer->sums[i].of.closes[by][code];

                if (n == 0)
                    continue;
                open_labels(writer, name, "route", writer->sums[i].name);
                text_format(writer->out, ",initiator=\"%s\",code=\"%s\"} %" PRIu64 "\n",
                            metrics_initiator_name(by), metrics_code_name(code), n);
            }
}

static void
refusal_lines(const struct writer *writer, const char *name, const char *route,
              const uint64_t *refusals)
{
    unsigned i;

    for (i = 0; i < METRICS_REFUSALS; i++) {
        if (refusals[i] == 0)
            continue;
        open_labels(writer, name, "route", route);
        text_format(writer->out, ",reason=\"%s\"} %" PRIu64 "\n", metrics_refusal_name(i),
                    refusals[i]);
    }
}

static void
write_refusals(const struct writer *writer)
{
    const char *name = "culvert_refusals_total";
    size_t i;

    writer_family(
        writer, name, "counter",
        "Refused requests and connections by reason; without a route where none was found.");
    refusal_lines(writer, name, "", writer->all.refusals);
    for (i = 0; i < writer->n_sums; i++)
        refusal_lines(writer, name, writer->sums[i].name, writer->sums[i].of.refusals);
}

static void
write_route_times(const struct writer *writer)
{
    size_t i;

    writer_family(writer, "culvert_target_connect_seconds", "histogram",
                  "Time to connect a target: name, connection and TLS handshake.");
    for (i = 0; i < writer->n_sums; i++)
        histogram(writer, "culvert_target_connect_seconds", "route", writer->sums[i].name,
                  &writer->sums[i].of.connect);
    writer_family(writer, "culvert_heartbeat_seconds", "histogram",
                  "Time from a heartbeat's PING to the client's PONG.");
    for (i = 0; i < writer->n_sums; i++)
        histogram(writer, "culvert_heartbeat_seconds", "route", writer->sums[i].name,
                  &writer->sums[i].of.heartbeat);
}

/* ---- workers ---- */

static void
worker_family(const struct writer *writer, const char *name, const char *type, const char *help,
              size_t offset)
{
    size_t i;

    writer_family(writer, name, type, help);
    for (i = 0; i < writer->view->n_workers; i++) {
        const char *base = (const char *)writer->view->workers[i];
        char id[24];

        snprintf(id, sizeof id, "%zu", i + 1);
        writer_one_label(writer, name, "worker", id,
                         metrics_read((const uint64_t *)(const void *)(base + offset)));
    }
}

static void
write_turns(const struct writer *writer)
{
    const char *name = "culvert_loop_turn_max_seconds";
    char id[24];
    size_t i;

    writer_family(writer, name, "gauge", "The longest turn of a worker's loop since the start.");
    for (i = 0; i < writer->view->n_workers; i++) {
        snprintf(id, sizeof id, "%zu", i + 1);
        open_labels(writer, name, "worker", id);
        text_format(writer->out, "} %.9f\n",
                    (double)metrics_read(&writer->view->workers[i]->turn_max) / 1e9);
    }
    name = "culvert_loop_turn_seconds";
    writer_family(writer, name, "histogram",
                  "Length of a turn of a worker's loop, for which its other events wait.");
    for (i = 0; i < writer->view->n_workers; i++) {
        snprintf(id, sizeof id, "%zu", i + 1);
        histogram(writer, name, "worker", id, &writer->view->workers[i]->turns);
    }
}

static void
write_workers(const struct writer *writer)
{
    worker_family(writer, "culvert_worker_listeners", "gauge",
                  "Listeners on which a worker accepts; 0 while it lacks descriptors or memory.",
                  offsetof(struct metrics_worker, listening));
    worker_family(writer, "culvert_worker_sockets", "gauge", "Sockets of clients and targets.",
                  offsetof(struct metrics_worker, sockets));
    worker_family(writer, "culvert_worker_buffer_blocks", "gauge",
                  "Blocks of 16 KiB that hold bytes which a socket has not taken yet.",
                  offsetof(struct metrics_worker, buffer_blocks));
    worker_family(writer, "culvert_worker_buffer_bytes", "gauge",
                  "Bytes that wait for a socket, in blocks and in pipes.",
                  offsetof(struct metrics_worker, buffer_bytes));
    worker_family(writer, "culvert_worker_pipes", "gauge",
                  "Pipes that hold bytes which wait for a socket.",
                  offsetof(struct metrics_worker, pipes));
    worker_family(writer, "culvert_listener_pauses_total", "counter",
                  "Times that a listener stopped accepting for want of descriptors or memory.",
                  offsetof(struct metrics_worker, pauses));
    write_turns(writer);
}

/* ---- all ---- */

/* Each route is added up once, as every family shows some of it. */
static int
add_up(struct writer *writer)
{
    struct metrics_entry *entry = NULL;
    size_t n = 0;

    while ((entry = metrics_routes_next(writer->view->routes, entry)) != NULL)
        n++;
    writer->sums = aligned_alloc(METRICS_LINE, (n + 1) * sizeof *writer->sums);
    if (writer->sums == NULL)
        return -1;
    while ((entry = metrics_routes_next(writer->view->routes, entry)) != NULL) {
        struct sum *sum = &writer->sums[writer->n_sums++];

        sum->name = metrics_entry_name(entry);
        metrics_entry_sum(entry, &sum->of);
    }
    view_sum_workers(writer->view, &writer->all);
    return 0;
}

void
view_write_metrics(const struct view *view, struct text *out)
{
    struct writer writer = {.out = out, .view = view};

    if (add_up(&writer) != 0) {
        out->failed = true;
        return;
    }
    write_state(&writer);
    write_connections(&writer);
    write_bridges(&writer);
    writer_sessions(&writer);
    writer_topics(&writer);
    write_flows(&writer);
    write_closes(&writer);
    write_refusals(&writer);
    write_route_times(&writer);
    write_workers(&writer);
    write_certificates(&writer);
    write_process(&writer);
    free(writer.sums);
}
