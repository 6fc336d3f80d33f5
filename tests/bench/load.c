/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load [options] PORT -- puts a server on 127.0.0.1 under load, and measures.
 *
 *      connect all → warm-up, WARM units → counting, UNITS units → one line of figures
 *
 * The line: units=N seconds=S cpu_ns=N connections=N; p50_us=N p99_us=N if one message is in flight; and
 * what the kernel counted on the sockets, up=N down=N bytes and segments_up=N segments_down=N, and the
 * same with post_ before it for the connections that lead up alone, if there are any.
 */
#include "client.h"

#include <fcntl.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cpu.h"
#include "session.h"
#include "swarm.h"

enum {
    EVENTS = 256,
    OPENING_MAX = 64, /* connections on their way at once */
    SLOW_BUFFER = 4096,
    SLOW_READ = 1024,
    SLOW_EVERY_MS = 5,
    LATENCIES_MAX = 4000000,
};

#define SETTLE_SECONDS 0.3 /* until all is acknowledged, and nothing is left to do */

struct load {
    struct crowd crowd;
    struct swarm swarm;
    const struct speech *speech;
    unsigned n_clients, n_started;
    uint64_t warm, units;
    double seconds; /* of counting, at most; of being idle */
    pid_t server;
    const volatile uint64_t *swallowed; /* bytes at the target, for UPLOAD */
    struct wire_options slow_options;
    struct wire slow; /* reads slowly what a source pours, if slow_options.path is set */
    uint64_t slow_at;
};

struct counts {
    struct traffic all, up;
    uint64_t units, cpu, at; /* ns */
};

static const char usage[] =
    "usage: load [options] PORT\n"
    "  -s echo|download|upload|churn|idle|lines|park   scenario\n"
    "  -m raw|upgrade|ws                    what is spoken; or a session's\n"
    "     session|session-sse|session-poll  carrier; or, for lines alone,\n"
    "     eventsource|longpoll|publish      what any server sends, or is sent\n"
    "  -T                                   over TLS\n"
    "  -P PATH                              of the request (/)\n"
    "  -c N  connections (1)      -k N  messages in flight on each (1)   -b N  bytes a message "
    "(128)\n"
    "  -w N  units to warm up     -u N  units to count                   -t S  seconds at most "
    "(10)\n"
    "  -p PID      whose CPU time is measured\n"
    "  -n FILE     where the target counts what it swallows (upload)\n"
    "  -U PATH     for lines that have to be published: each client posts its own there, every\n"
    "              tick; its number is added to both paths\n"
    "  -S PATH     one more connection, to a source, that reads slowly\n"
    "idle and park print their line after S seconds, units being PINGs that were answered, and "
    "hold\n"
    "what they have until their input ends.\n";

/* ---- arguments ---- */

static int
choose(const char *text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    fputs(usage, stderr);
    exit(2);
}

static const volatile uint64_t *
map_counter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);

    if (fd < 0 || map == MAP_FAILED)
        fail("cannot map the target's counter");
    close(fd);
    return map;
}

static SSL_CTX *
make_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (tls == NULL)
        fail("no TLS context");
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    return tls;
}

static bool
is_sensible(const struct load *load)
{
    const struct crowd *crowd = &load->crowd;

    if (load->speech == NULL || !swarm_can(load->speech, crowd))
        return false;
    if (crowd->scenario == UPLOAD && load->swallowed == NULL)
        return false;
    return crowd->size >= SESSION_MESSAGE_MIN && crowd->in_flight > 0 && load->n_clients > 0;
}

static void
parse(struct load *load, int argc, char **argv)
{
    static const char *const scenarios[] = {"echo", "download", "upload", "churn",
                                            "idle", "lines",    "park"};
    struct crowd *crowd = &load->crowd;
    int option;

    while ((option = getopt(argc, argv, "s:m:TP:U:c:k:b:w:u:t:p:n:S:")) != -1) {
        switch (option) {
        case 's':
            crowd->scenario = (enum scenario)choose(optarg, scenarios, 7);
            break;
        case 'm':
            load->speech = swarm_speech(optarg);
            break;
        case 'T':
            crowd->wire.tls = make_tls();
            break;
        case 'P':
            crowd->wire.path = optarg;
            break;
        case 'U':
            crowd->publish = optarg;
            break;
        case 'c':
            load->n_clients = (unsigned)atoi(optarg);
            break;
        case 'k':
            crowd->in_flight = (unsigned)atoi(optarg);
            break;
        case 'b':
            crowd->size = (size_t)atol(optarg);
            break;
        case 'w':
            load->warm = strtoull(optarg, NULL, 10);
            break;
        case 'u':
            load->units = strtoull(optarg, NULL, 10);
            break;
        case 't':
            load->seconds = atof(optarg);
            break;
        case 'p':
            load->server = atoi(optarg);
            break;
        case 'n':
            load->swallowed = map_counter(optarg);
            break;
        case 'S':
            load->slow_options.path = optarg;
            break;
        default:
            choose("", NULL, 0);
        }
    }
    if (optind + 1 != argc || !is_sensible(load))
        choose("", NULL, 0);
    crowd->wire.port = (uint16_t)atoi(argv[optind]);
}

/* ---- the slow reader ---- */

static void
open_slow(struct load *load)
{
    struct wire_options *options = &load->slow_options;
    const char *path = options->path;

    *options = load->crowd.wire;
    options->path = path;
    options->expected = NULL;
    options->receive_buffer = SLOW_BUFFER;
    if (wire_connect(&load->slow, options, 0) < 0)
        fail("the slow reader cannot connect");
}

static void
read_slowly(struct load *load)
{
    uint8_t scratch[SLOW_READ];
    uint64_t now = now_ns();
    int result = 0;

    if (load->slow_options.path == NULL || now < load->slow_at)
        return;
    load->slow_at = now + SLOW_EVERY_MS * 1000000ull;
    if (load->slow.state != WIRE_OPEN)
        result = wire_advance(&load->slow);
    else if (wire_receive(&load->slow, scratch, sizeof scratch) == WIRE_ENDED)
        result = WIRE_ENDED;
    if (result != 0)
        fail("the slow reader was thrown out");
}

/* ---- phases ---- */

static uint64_t
units(const struct load *load)
{
    return load->crowd.scenario == UPLOAD ? *load->swallowed : load->crowd.units;
}

static void
turn(struct load *load, int timeout)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(load->crowd.epoll, events, EVENTS,
                       load->slow_options.path != NULL ? SLOW_EVERY_MS : timeout);

    for (int i = 0; i < n; i++) {
        struct handler *handler = events[i].data.ptr;

        handler->event(handler, events[i].events);
    }
    read_slowly(load);
}

/* Until so many units more are done, or the time is over. */
static void
run(struct load *load, uint64_t count, double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    uint64_t goal = units(load) + count;

    while (units(load) < goal && now_ns() < end)
        turn(load, 50);
}

static void
connect_all(struct load *load)
{
    uint64_t end = now_ns() + 60000000000;

    while (load->crowd.n_open < load->n_clients) {
        while (load->n_started < load->n_clients &&
               load->n_started - load->crowd.n_open < OPENING_MAX)
            swarm_start(&load->swarm, load->n_started++);
        turn(load, 1000);
        if (now_ns() > end)
            fail("the server does not take all connections");
    }
    swarm_begin(&load->swarm);
    while (load->crowd.scenario == IDLE && load->crowd.n_settled < load->n_clients)
        turn(load, 1000);
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static bool
holds(const struct load *load)
{
    return load->crowd.scenario == IDLE || load->crowd.scenario == PARK;
}

static void
note_latencies(struct load *load)
{
    struct crowd *crowd = &load->crowd;

    if (crowd->in_flight > 1 || crowd->scenario != ECHO)
        return;
    crowd->max_latencies = load->units < LATENCIES_MAX ? load->units : LATENCIES_MAX;
    crowd->latencies = calloc(crowd->max_latencies, sizeof *crowd->latencies);
    if (crowd->latencies == NULL)
        crowd->max_latencies = 0;
}

static struct counts
count(const struct load *load)
{
    struct counts counts = {.units = units(load), .cpu = cpu_ns(load->server), .at = now_ns()};

    swarm_traffic(&load->swarm, &counts.all, &counts.up);
    return counts;
}

static void
print_traffic(const char *prefix, const struct traffic *before, const struct traffic *after)
{
    if (after->up == 0)
        return;
    printf(" %sup=%lu %sdown=%lu", prefix, after->up - before->up, prefix,
           after->down - before->down);
    printf(" %ssegments_up=%lu %ssegments_down=%lu", prefix,
           after->segments_up - before->segments_up, prefix,
           after->segments_down - before->segments_down);
}

static void
measure(struct load *load)
{
    struct crowd *crowd = &load->crowd;
    struct counts before, after;

    if (holds(load))
        run(load, UINT64_MAX / 2, SETTLE_SECONDS);
    else
        run(load, load->warm, load->seconds);
    note_latencies(load);
    before = count(load);
    run(load, holds(load) ? UINT64_MAX / 2 : load->units, load->seconds);
    after = count(load);
    printf("units=%lu seconds=%.6f cpu_ns=%lu connections=%u", after.units - before.units,
           (double)(after.at - before.at) / 1e9, after.cpu - before.cpu, crowd->n_open);
    if (crowd->n_latencies > 0) {
        qsort(crowd->latencies, crowd->n_latencies, sizeof *crowd->latencies, compare);
        printf(" p50_us=%.1f p99_us=%.1f", crowd->latencies[crowd->n_latencies / 2] / 1e3,
               crowd->latencies[crowd->n_latencies * 99 / 100] / 1e3);
    }
    print_traffic("", &before.all, &after.all);
    print_traffic("post_", &before.up, &after.up);
    printf("\n");
    fflush(stdout);
}

/* What is left behind would burden the next load. */
static void
leave(struct load *load)
{
    uint64_t end = now_ns() + 2000000000;

    swarm_leave(&load->swarm);
    while (load->crowd.n_left < load->n_clients && now_ns() < end)
        turn(load, 50);
    if (load->crowd.n_left < load->n_clients)
        fail("the server does not let all sessions go");
}

int
main(int argc, char **argv)
{
    static struct load load = {
        .crowd = {.wire = {.path = "/"}, .in_flight = 1, .size = 128},
        .n_clients = 1,
        .seconds = 10,
    };

    load.speech = swarm_speech("raw");
    parse(&load, argc, argv);
    load.crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.crowd.epoll < 0)
        fail("out of descriptors");
    swarm_init(&load.swarm, &load.crowd, load.speech, load.n_clients);
    if (load.slow_options.path != NULL)
        open_slow(&load);
    connect_all(&load);
    measure(&load);
    while (holds(&load) && getchar() != EOF)
        continue;
    if (!holds(&load))
        leave(&load);
    return 0;
}
