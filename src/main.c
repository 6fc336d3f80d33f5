/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * culvert -- arguments, signals, start and stop.
 *
 *      arguments → configuration → sockets → one loop and service per worker → threads
 *                                main's own loop: signals, until all workers have stopped
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/stats.h"
#include "admin/usage.h"
#include "base/list.h"
#include "base/log.h"
#include "bridge/service.h"
#include "bridge/snapshot.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "event/signals.h"
#include "event/worker.h"
#include "net/inherited.h"
#include "net/listener.h"

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_CONFIGURATION = 78, /* EX_CONFIG of sysexits.h */
};

#define DEFAULT_FILE CULVERT_SYSCONFDIR "/culvert.ini"

struct arguments {
    const char *file;
    const char *web;
    const char *listen; /* the short form; NULL: a file */
    const char *target;
    bool check;
    bool dump;
};

struct crew; /* one worker with what it serves */

struct culvert {
    struct signals_owner signals_owner;
    struct log *log;
    struct snapshot *snapshot;
    struct loop *loop; /* main's */
    struct signals *signals;
    struct listen_socket *sockets;
    size_t n_sockets;
    struct crew *crews;
    unsigned n_crews;
    unsigned n_running;
    bool stopping;
    struct stats stats;
};

struct crew {
    struct service_owner owner;
    struct culvert *culvert;
    struct loop *loop;
    struct service *service;
    struct worker *worker;
    struct loop_message stopped;
};

/* ---- arguments ---- */

/* Returns -1 to go on, or an exit status. */
static int
parse_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c':
        arguments->file = optarg;
        return -1;
    case 'C':
        arguments->check = true;
        return -1;
    case 'd':
        arguments->dump = true;
        return -1;
    case 'w':
        arguments->web = optarg;
        return -1;
    case 'V':
        usage_version(stdout);
        return STATUS_DONE;
    case 'h':
        usage_help(stdout);
        return STATUS_DONE;
    default: /* getopt has said what is wrong */
        fputs("Try 'culvert --help'.\n", stderr);
        return STATUS_USAGE;
    }
}

static int
bad_usage(const char *what)
{
    fprintf(stderr, "culvert: %s\nTry 'culvert --help'.\n", what);
    return STATUS_USAGE;
}

static int
parse_arguments(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'C'},
        {"dump", no_argument, NULL, 'd'},
        {"web", required_argument, NULL, 'w'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = parse_option(arguments, option);

        if (status >= 0)
            return status;
    }
    if (optind == argc) {
        if (arguments->web != NULL)
            return bad_usage("--web DIR is followed by LISTEN TARGET");
        if (arguments->file == NULL)
            arguments->file = DEFAULT_FILE;
        return -1;
    }
    if (optind + 2 != argc)
        return bad_usage("expected LISTEN TARGET, or -c FILE alone");
    if (arguments->file != NULL)
        return bad_usage("-c FILE and LISTEN TARGET exclude each other");
    arguments->listen = argv[optind];
    arguments->target = argv[optind + 1];
    return -1;
}

/* ---- configuration ---- */

static struct snapshot *
load(const struct arguments *arguments)
{
    struct conf_report report;
    struct snapshot *snapshot = NULL;
    struct conf *conf;

    conf_report_init(&report, arguments->listen != NULL ? "command line" : arguments->file);
    conf = arguments->listen != NULL
               ? conf_from_arguments(arguments->listen, arguments->target, arguments->web, &report)
               : conf_load(arguments->file, &report);
    if (conf != NULL)
        snapshot = snapshot_new(conf, &report);
    conf_report_print(&report, stderr);
    conf_report_deinit(&report);
    return snapshot;
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
open_sockets(struct culvert *culvert)
{
    const struct conf *conf = culvert->snapshot->conf;
    size_t i;

    culvert->sockets = calloc(conf->n_listens, sizeof *culvert->sockets);
    if (culvert->sockets == NULL)
        return -1;
    for (i = 0; i < conf->n_listens; i++) {
        if (listen_socket_open(&culvert->sockets[i], &conf->listens[i], conf->workers,
                               conf->socket_mode, culvert->log) != 0)
            return -1;
        culvert->n_sockets++;
    }
    return 0;
}

static void
deliver_stopped(struct loop_message *message)
{
    struct culvert *culvert = container_of(message, struct crew, stopped)->culvert;

    if (--culvert->n_running == 0)
        loop_stop(culvert->loop);
}

/* On the worker's thread. */
static void
on_stopped(struct service_owner *owner)
{
    struct crew *crew = container_of(owner, struct crew, owner);

    crew->stopped.deliver = deliver_stopped;
    loop_post(crew->culvert->loop, &crew->stopped);
}

/* What is left of the descriptors after those of the process itself, of the loops and of the
 * resolvers. */
static size_t
sockets_of_a_worker(const struct culvert *culvert)
{
    const struct conf *conf = culvert->snapshot->conf;
    size_t own = 4 + 3 * (conf->workers + 1) + conf->n_listens * conf->workers;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur > own ? (limit.rlim_cur - own) / conf->workers : 0;
}

static int
make_crew(struct culvert *culvert, struct crew *crew, unsigned id)
{
    const struct conf *conf = culvert->snapshot->conf;
    struct service_port *ports = calloc(culvert->n_sockets, sizeof *ports);
    struct service_options options = {
        .snapshot = culvert->snapshot,
        .ports = ports,
        .n_ports = culvert->n_sockets,
        .owner = &crew->owner,
        .sockets_max = sockets_of_a_worker(culvert),
    };
    size_t i;

    if (ports == NULL)
        return -1;
    for (i = 0; i < culvert->n_sockets; i++) {
        const struct listen_socket *socket = &culvert->sockets[i];

        ports[i].fd = socket->fds[id % socket->n_fds];
        ports[i].tls = conf->listens[i].tls;
    }
    crew->culvert = culvert;
    crew->owner.stopped = on_stopped;
    crew->loop = loop_new(culvert->log, id + 1);
    options.loop = crew->loop;
    if (crew->loop != NULL)
        crew->service = service_new(&options);
    free(ports);
    return crew->service != NULL ? 0 : -1;
}

static int
start_crews(struct culvert *culvert)
{
    unsigned n = culvert->snapshot->conf->workers;
    unsigned i;

    culvert->crews = calloc(n, sizeof *culvert->crews);
    if (culvert->crews == NULL)
        return -1;
    /* All are made before any runs: making shares libraries' state, running does not. */
    for (i = 0; i < n; i++) {
        culvert->n_crews++;
        if (make_crew(culvert, &culvert->crews[i], i) != 0)
            return -1;
    }
    for (i = 0; i < n; i++) {
        culvert->crews[i].worker = worker_start(culvert->crews[i].loop);
        if (culvert->crews[i].worker == NULL)
            return -1;
        culvert->n_running++;
    }
    return 0;
}

static void
announce(const struct culvert *culvert)
{
    const struct conf *conf = culvert->snapshot->conf;
    char text[ADDR_TEXT];
    size_t i;

    for (i = 0; i < culvert->n_sockets; i++) {
        addr_text(&culvert->sockets[i].addr, text);
        log_info(culvert->log, "main", "listening on %s%s", text,
                 conf->listens[i].tls ? " tls" : "");
    }
}

/* ---- stop ---- */

static void
stop(struct culvert *culvert)
{
    bool at_once = culvert->stopping;
    unsigned i;

    log_info(culvert->log, "main", at_once ? "stopping at once" : "stopping");
    culvert->stopping = true;
    for (i = 0; i < culvert->n_crews; i++)
        if (culvert->crews[i].worker != NULL && service_stop(culvert->crews[i].service, at_once))
            log_error(culvert->log, "main", "out of memory while stopping");
}

static void
on_signal(struct signals_owner *owner, int number)
{
    struct culvert *culvert = container_of(owner, struct culvert, signals_owner);
    unsigned i;

    if (number == SIGTERM || number == SIGINT) {
        stop(culvert);
        return;
    }
    if (number == SIGHUP || number == SIGUSR1) {
        log_warn(culvert->log, "main",
                 "signal %d is ignored: this version neither reloads nor reopens", number);
        return;
    }
    if (number == SIGUSR2 && !culvert->stopping && stats_begin(&culvert->stats)) {
        for (i = 0; i < culvert->n_crews; i++)
            stats_ask(&culvert->stats, i, culvert->crews[i].service);
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

static void
take_down(struct culvert *culvert)
{
    unsigned i;

    block_signals();
    signals_stop(culvert->signals);
    for (i = 0; i < culvert->n_crews; i++)
        worker_join(culvert->crews[i].worker);
    for (i = 0; i < culvert->n_crews; i++) {
        if (culvert->crews[i].loop != NULL)
            loop_deliver(
                culvert->crews[i].loop); /* a second order to stop may have come too late */
        service_free(culvert->crews[i].service);
        loop_free(culvert->crews[i].loop);
    }
    stats_deinit(&culvert->stats);
    loop_free(culvert->loop);
    while (culvert->n_sockets > 0)
        listen_socket_close(&culvert->sockets[--culvert->n_sockets]);
    free(culvert->sockets);
    free(culvert->crews);
}

/* Some workers may run when the start fails: they are stopped in order. */
static int
start(struct culvert *culvert)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, 0};

    culvert->loop = loop_new(culvert->log, 0);
    if (culvert->loop == NULL)
        return -1;
    culvert->signals_owner.caught = on_signal;
    culvert->signals = signals_start(culvert->loop, numbers, &culvert->signals_owner);
    if (culvert->signals == NULL || open_sockets(culvert) != 0 || start_crews(culvert) != 0)
        return -1;
    return stats_init(&culvert->stats, culvert->loop, culvert->n_crews);
}

static enum status
run(struct culvert *culvert)
{
    enum status status = STATUS_DONE;

    raise_descriptor_limit(culvert->log);
    inherited_warn(culvert->snapshot->conf, culvert->log);
    if (start(culvert) != 0) {
        status = STATUS_FAILED;
        if (culvert->n_running > 0)
            stop(culvert);
    } else {
        announce(culvert);
    }
    if (culvert->n_running > 0)
        loop_run(culvert->loop);
    log_info(culvert->log, "main", "stopped");
    take_down(culvert);
    return status;
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct culvert culvert = {0};
    int status = parse_arguments(&arguments, argc, argv);

    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    culvert.snapshot = load(&arguments);
    if (culvert.snapshot == NULL)
        return STATUS_CONFIGURATION;
    if (arguments.check || arguments.dump) {
        if (arguments.dump)
            conf_dump(culvert.snapshot->conf, stdout);
        snapshot_unref(culvert.snapshot);
        return STATUS_DONE;
    }
    culvert.log = log_open(STDERR_FILENO, culvert.snapshot->conf->log_level);
    if (culvert.log == NULL) {
        fputs("culvert: out of memory\n", stderr);
        snapshot_unref(culvert.snapshot);
        return STATUS_FAILED;
    }
    status = (int)run(&culvert);
    snapshot_unref(culvert.snapshot);
    log_close(culvert.log);
    return status;
}
