/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * culvert -- signals, start, reload, drain and stop.
 *
 *      arguments → configuration → fleet: sockets, one loop, service and thread per worker
 *                                main's own loop: signals, until all workers have stopped
 *
 *      RUNNING ──TERM──→ DRAINING ──all have left, or drain_timeout──→ STOPPING ──→ the end
 *       └ HUP: reload                    └──── TERM once more: at once ────┘
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/arguments.h"
#include "admin/stats.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics_routes.h"
#include "bridge/fleet.h"
#include "bridge/service.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/signals.h"
#include "event/timer.h"
#include "guard/limits.h"
#include "net/addr.h"
#include "net/inherited.h"
#include "net/listen_set.h"
#include "net/tls.h"

enum phase {
    STARTING,
    RUNNING,
    DRAINING, /* clients are told to leave, one by one */
    STOPPING, /* what is left ends */
};

struct culvert {
    struct signals_owner signals_owner;
    struct fleet_owner fleet_owner;
    const struct arguments *arguments;
    struct log *log;
    struct conf *began_with; /* of the start, which keys that need another one are compared with */
    struct loop *loop;       /* main's */
    struct limits *limits;   /* of all workers, whatever the configuration */
    struct signals *signals;
    struct metrics_routes *routes; /* counters, by route, whatever the configuration */
    struct admin *admin;
    struct fleet *fleet;
    struct timer deadline; /* of the drain */
    enum phase phase;
    bool reload_again; /* asked for while one was under way */
    struct stats stats;
};

/* ---- configuration ---- */

/* Returns NULL with mistakes in report. */
static struct snapshot *
load(const struct arguments *arguments, struct conf_report *report)
{
    struct conf *conf =
        arguments->listen != NULL
            ? conf_from_arguments(arguments->listen, arguments->target, arguments->web, report)
            : conf_load(arguments->file, report);

    return conf != NULL ? snapshot_new(conf, report) : NULL;
}

static const char *
file_name(const struct arguments *arguments)
{
    return arguments->listen != NULL ? "command line" : arguments->file;
}

/* For the start: mistakes go to standard error. */
static struct snapshot *
load_first(const struct arguments *arguments)
{
    struct conf_report report;
    struct snapshot *snapshot;

    conf_report_init(&report, file_name(arguments));
    snapshot = load(arguments, &report);
    conf_report_print(&report, stderr);
    conf_report_deinit(&report);
    return snapshot;
}

static struct log_options
log_options(const struct conf *conf)
{
    return (struct log_options){
        .fd = STDERR_FILENO,
        .file = conf->log_file,
        .format = conf->log_format == CONF_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
        .level = conf->log_level,
    };
}

/* Returns NULL, said on standard error. */
static struct log *
open_log(const struct conf *conf)
{
    struct log_options options = log_options(conf);
    struct log *log = log_open(&options);
    struct conf_report report;

    if (log != NULL)
        return log;
    conf_report_init(&report, conf->file);
    conf_report_add(&report, conf->log_file_line, "[log] file: cannot open %s: %s",
                    conf->log_file != NULL ? conf->log_file : "-", strerror(errno));
    conf_report_print(&report, stderr);
    conf_report_deinit(&report);
    return NULL;
}

/* ---- reload ---- */

static void
announce(const struct culvert *culvert, const struct listen_set *set,
         const struct listen_set *previous)
{
    char text[ADDR_TEXT];
    size_t i;

    for (i = 0; i < listen_set_count(set); i++) {
        const struct conf_listen *listen = listen_set_conf(set, i);

        if (listen_set_shares(set, i, previous))
            continue;
        addr_text(listen_set_addr(set, i), text);
        log_info(culvert->log, "main", "listening on %s%s%s", text, listen->tls ? " tls" : "",
                 listen->proxy ? " proxy" : "");
    }
}

static void
log_mistakes(const struct culvert *culvert, const struct conf_report *report)
{
    size_t i;

    for (i = 0; i < report->n_mistakes; i++) {
        const struct conf_mistake *mistake = &report->mistakes[i];

        if (mistake->line == 0)
            log_error(culvert->log, "main", "%s: %s", report->file, mistake->text);
        else
            log_error(culvert->log, "main", "%s:%u: %s", report->file, mistake->line,
                      mistake->text);
    }
}

/* Keys that need another start are told, and stay as they are. */
static void
warn_of_restart(const struct culvert *culvert, const struct conf *conf)
{
    const struct conf_key *key = NULL;

    while ((key = conf_next_fixed(culvert->began_with, conf, key)) != NULL)
        log_warn(culvert->log, "main", "[%s] %s has changed: it takes effect at the next start",
                 key->section, key->name);
}

/* Returns -1, logged, with everything as it was. */
static int
change_to(struct culvert *culvert, struct snapshot *snapshot)
{
    struct snapshot *old = fleet_snapshot(culvert->fleet);
    struct log_options options = log_options(snapshot->conf);
    struct log_options old_options = log_options(old->conf);

    snapshot_inherit(snapshot, old);
    if (snapshot_count(snapshot, culvert->routes) != 0 || log_apply(culvert->log, &options) != 0)
        return -1;
    if (fleet_configure(culvert->fleet, snapshot) == 0) {
        announce(culvert, fleet_listens(culvert->fleet), fleet_old_listens(culvert->fleet));
        admin_set_snapshot(culvert->admin, snapshot);
        tls_warn_expiry(snapshot->tls, snapshot->conf, culvert->log);
        return 0;
    }
    if (log_apply(culvert->log, &old_options) != 0)
        log_warn(culvert->log, "main", "the log stays as the new configuration has it");
    return -1;
}

static void
reload(struct culvert *culvert)
{
    struct conf_report report;
    struct snapshot *snapshot;
    bool good;

    if (culvert->arguments->listen != NULL || strcmp(culvert->arguments->file, "-") == 0) {
        log_warn(culvert->log, "main", "nothing to reload: there is no configuration file");
        return;
    }
    culvert->reload_again = fleet_is_changing(culvert->fleet);
    if (culvert->reload_again)
        return;
    log_info(culvert->log, "main", "reloading %s", culvert->arguments->file);
    conf_report_init(&report, culvert->arguments->file);
    snapshot = load(culvert->arguments, &report);
    if (snapshot != NULL)
        warn_of_restart(culvert, snapshot->conf);
    log_mistakes(culvert, &report);
    conf_report_deinit(&report);
    good = snapshot != NULL && change_to(culvert, snapshot) == 0;
    if (!good)
        log_info(culvert->log, "main", "not reloaded: nothing has changed");
    admin_note_reload(culvert->admin, good);
    snapshot_unref(snapshot);
}

static void
on_configured(struct fleet_owner *owner)
{
    struct culvert *culvert = container_of(owner, struct culvert, fleet_owner);

    log_info(culvert->log, "main", "reloaded");
    if (culvert->reload_again && culvert->phase == RUNNING)
        reload(culvert);
}

/* ---- stop ---- */

/* Clients have until then to leave and to say so; they are told to in the time before. */
static double
telling_time(const struct conf *conf)
{
    double answer = conf_longest_close_timeout(conf);

    return fmax(conf->drain_timeout - answer, conf->drain_timeout / 2);
}

static void
stop(struct culvert *culvert, bool at_once)
{
    culvert->phase = STOPPING;
    if (fleet_stop(culvert->fleet, at_once) != 0) {
        log_error(culvert->log, "main", "cannot stop in order");
        loop_stop(culvert->loop);
    }
}

static void
begin_drain(struct culvert *culvert)
{
    const struct conf *conf = fleet_snapshot(culvert->fleet)->conf;

    log_info(culvert->log, "main", "draining: stops when all clients have left, within %g s",
             conf->drain_timeout);
    culvert->phase = DRAINING;
    admin_set_draining(culvert->admin, true);
    timer_set(&culvert->deadline, loop_now(culvert->loop) + conf->drain_timeout);
    if (fleet_drain(culvert->fleet, telling_time(conf)) != 0)
        stop(culvert, false);
}

static void
on_drained(struct fleet_owner *owner)
{
    struct culvert *culvert = container_of(owner, struct culvert, fleet_owner);

    if (culvert->phase == DRAINING)
        stop(culvert, false);
}

static void
on_deadline(struct timer *timer)
{
    struct culvert *culvert = container_of(timer, struct culvert, deadline);

    log_info(culvert->log, "main", "drain_timeout is over: what is left is closed");
    stop(culvert, true);
}

static void
on_stopped(struct fleet_owner *owner)
{
    loop_stop(container_of(owner, struct culvert, fleet_owner)->loop);
}

/* ---- signals ---- */

static void
on_terminate(struct culvert *culvert)
{
    if (culvert->phase == RUNNING) {
        begin_drain(culvert);
        return;
    }
    log_info(culvert->log, "main", "stopping at once");
    stop(culvert, true);
}

static void
reopen_log(struct log *log)
{
    if (log_reopen(log) == 0)
        log_info(log, "main", "the log goes on");
}

static void
on_signal(struct signals_owner *owner, int number)
{
    struct culvert *culvert = container_of(owner, struct culvert, signals_owner);
    unsigned i;

    if (number == SIGTERM || number == SIGINT) {
        on_terminate(culvert);
    } else if (number == SIGUSR1) {
        reopen_log(culvert->log);
    } else if (culvert->phase != RUNNING) {
        log_info(culvert->log, "main", "signal %d is ignored while stopping", number);
    } else if (number == SIGHUP) {
        reload(culvert);
    } else if (number == SIGUSR2 && stats_begin(&culvert->stats)) {
        for (i = 0; i < fleet_size(culvert->fleet); i++)
            stats_ask(&culvert->stats, i, fleet_service(culvert->fleet, i));
    }
}

/* One more TERM on the way out must not make the end look like a crash. */
static void
block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

/* ---- start ---- */

/* Two descriptors a connection: take what the system allows. */
static void
raise_descriptor_limit(struct log *log)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn(log, "main", "cannot raise the limit of open files: %s", strerror(errno));
}

static int
open_admin(struct culvert *culvert)
{
    const struct metrics_worker **workers = calloc(fleet_size(culvert->fleet), sizeof *workers);
    struct admin_options options = {
        .loop = culvert->loop,
        .snapshot = fleet_snapshot(culvert->fleet),
        .routes = culvert->routes,
        .workers = workers,
        .n_workers = fleet_size(culvert->fleet),
    };
    unsigned i;
    int result;

    if (workers == NULL) {
        log_error(culvert->log, "main", "out of memory");
        return -1;
    }
    for (i = 0; i < fleet_size(culvert->fleet); i++)
        workers[i] = loop_metrics(service_loop(fleet_service(culvert->fleet, i)));
    result = admin_open(&options, &culvert->admin);
    free(workers);
    return result;
}

static int
start(struct culvert *culvert, struct snapshot *snapshot)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0};
    struct fleet_options options = {
        .snapshot = snapshot,
        .owner = &culvert->fleet_owner,
        .spare_descriptors = admin_descriptors(snapshot->conf),
    };

    culvert->signals_owner.caught = on_signal;
    culvert->fleet_owner = (struct fleet_owner){on_configured, on_drained, on_stopped};
    culvert->signals = signals_start(culvert->loop, numbers, &culvert->signals_owner);
    culvert->limits = limits_new();
    culvert->routes = metrics_routes_new(snapshot->conf->workers);
    if (culvert->limits == NULL || culvert->routes == NULL ||
        snapshot_count(snapshot, culvert->routes) != 0) {
        log_error(culvert->log, "main", "out of memory");
        return -1;
    }
    if (culvert->signals == NULL)
        return -1;
    options.loop = culvert->loop;
    options.limits = culvert->limits;
    culvert->fleet = fleet_start(&options);
    if (culvert->fleet == NULL || open_admin(culvert) != 0)
        return -1;
    tls_warn_expiry(snapshot->tls, snapshot->conf, culvert->log);
    return stats_init(&culvert->stats, culvert->loop, fleet_size(culvert->fleet));
}

static void
take_down(struct culvert *culvert)
{
    block_signals();
    signals_stop(culvert->signals);
    admin_close(culvert->admin);
    fleet_free(culvert->fleet);
    conf_unref(culvert->began_with);
    limits_free(culvert->limits);
    stats_deinit(&culvert->stats);
    timer_deinit(&culvert->deadline);
    loop_free(culvert->loop);
}

/* Takes snapshot. */
static enum status
run(struct culvert *culvert, struct snapshot *snapshot)
{
    enum status status = STATUS_FAILED;

    raise_descriptor_limit(culvert->log);
    inherited_warn(snapshot->conf, culvert->log);
    culvert->loop = loop_new(culvert->log, 0);
    if (culvert->loop == NULL) {
        snapshot_unref(snapshot);
        return STATUS_FAILED;
    }
    timer_init(&culvert->deadline, culvert->loop, on_deadline);
    if (start(culvert, snapshot) == 0) {
        status = STATUS_DONE;
        culvert->began_with = conf_ref(snapshot->conf);
        culvert->phase = RUNNING;
        announce(culvert, fleet_listens(culvert->fleet), NULL);
    }
    snapshot_unref(snapshot);
    if (status == STATUS_DONE)
        loop_run(culvert->loop);
    log_info(culvert->log, "main", "stopped");
    take_down(culvert);
    metrics_routes_free(culvert->routes);
    return status;
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct culvert culvert = {.arguments = &arguments};
    struct snapshot *snapshot;
    int status = arguments_parse(&arguments, argc, argv);

    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    signal(SIGXFSZ, SIG_IGN); /* a log at its limit loses lines, not the process */
    snapshot = load_first(&arguments);
    if (snapshot == NULL)
        return STATUS_CONFIGURATION;
    if (arguments.check || arguments.dump) {
        if (arguments.dump)
            conf_dump(snapshot->conf, stdout);
        snapshot_unref(snapshot);
        return STATUS_DONE;
    }
    culvert.log = open_log(snapshot->conf);
    if (culvert.log == NULL) {
        snapshot_unref(snapshot);
        return STATUS_CONFIGURATION;
    }
    status = (int)run(&culvert, snapshot);
    log_close(culvert.log);
    return status;
}
