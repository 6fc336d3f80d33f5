/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topics [options] PORT -- subscribers to one topic of a server on 127.0.0.1, and publishers to it.
 *
 *      connect all → "connections=N" → a line "ROUNDS SECONDS" comes → rounds → one line of figures → …
 *
 * In a round each publisher sends its burst; the next one begins when each subscriber has all of it. The
 * line: units=N (messages that came) rounds=N seconds=S lost=N odd=N (not the one that was next);
 * cpu0_ns=N and so on for each process of the server, cpu_ns=N of all; the time from a round's beginning to
 * each message, p50_us=N p99_us=N, and to the last one, last50_us=N last99_us=N. It ends with its input.
 *
 * Connections stay from line to line: so servers are measured in turns without connecting anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "audience.h"
#include "base/list.h"
#include "client.h"
#include "cpu.h"
#include "publisher.h"

enum {
    EVENTS = 512,
    OPENING_MAX = 64, /* connections on their way at once */
    SERVERS_MAX = 8,
    SIZE_MAX_BYTES = 1000,
    LATENCIES_MAX = 4000000,
    ROUNDS_MAX = 100000,
};

#define ROUND_SECONDS 5.0 /* what has not come by then is lost */

struct topics {
    struct audience audience;
    struct press press;
    unsigned n_subscribers;
    pid_t servers[SERVERS_MAX];
    unsigned n_servers;
    struct handler input; /* of standard input */
    char line[64];
    size_t line_len;
    bool has_line, ended;
    uint32_t *lasts; /* ns, one for each round */
    uint64_t n_lasts;
    uint64_t lost;
};

static const char usage[] = "usage: topics [options] PORT\n"
                            "  -s raw|ask|ws|sse|poll|mqtt|mqtt-ws  what subscribers are\n"
                            "  -P PATH   that they ask for (/)\n"
                            "  -H LINE   a header more of SSE and polls\n"
                            "  -c N      subscribers (1)\n"
                            "  -m raw|post|grip|ws|mqtt|mqtt-ws     what publishers are\n"
                            "  -U PATH   that they ask for (/)\n"
                            "  -q PORT   that they connect to (PORT)\n"
                            "  -j N      publishers (1)\n"
                            "  -k N      messages of each in a round (1)\n"
                            "  -b N      bytes of a message (100)\n"
                            "  -t TOPIC  of MQTT, or Pushpin's channel (bench)\n"
                            "  -p PID    whose CPU time is measured; may be repeated\n";

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

static const char *
header_line(const char *text)
{
    static char line[512];

    snprintf(line, sizeof line, "%s\r\n", text);
    return line;
}

static void
set_option(struct topics *topics, int option, const char *text)
{
    static const char *const listeners[] = {"raw", "ask", "ws", "sse", "poll", "mqtt", "mqtt-ws"};
    static const char *const publishers[] = {"raw", "post", "grip", "ws", "mqtt", "mqtt-ws"};

    switch (option) {
    case 's':
        topics->audience.listening = (enum listening)choose(text, listeners, 7);
        break;
    case 'P':
        topics->audience.wire.path = text;
        break;
    case 'H':
        topics->audience.headers = header_line(text);
        break;
    case 'c':
        topics->n_subscribers = (unsigned)atoi(text);
        break;
    case 'm':
        topics->press.publishing = (enum publishing)choose(text, publishers, 6);
        break;
    case 'U':
        topics->press.wire.path = text;
        break;
    case 'q':
        topics->press.wire.port = (uint16_t)atoi(text);
        break;
    case 'j':
        topics->press.count = (unsigned)atoi(text);
        break;
    case 'k':
        topics->press.burst = (unsigned)atoi(text);
        break;
    case 'b':
        topics->press.size = (size_t)atol(text);
        break;
    case 't':
        topics->audience.topic = topics->press.topic = text;
        break;
    case 'p':
        if (topics->n_servers < SERVERS_MAX)
            topics->servers[topics->n_servers++] = atoi(text);
        break;
    default:
        choose("", NULL, 0);
    }
}

static bool
is_sensible(const struct topics *topics)
{
    const struct press *press = &topics->press;
    bool posts = press->publishing == PUBLISH_POST;

    return topics->n_subscribers > 0 && press->count > 0 && press->burst > 0 && press->size >= 2 &&
           press->size <= SIZE_MAX_BYTES && (!posts || press->burst == 1);
}

static void
parse(struct topics *topics, int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "s:P:H:c:m:U:q:j:k:b:t:p:")) != -1)
        set_option(topics, option, optarg);
    if (optind + 1 != argc || !is_sensible(topics))
        choose("", NULL, 0);
    topics->audience.wire.port = (uint16_t)atoi(argv[optind]);
    if (topics->press.wire.port == 0)
        topics->press.wire.port = topics->audience.wire.port;
    topics->audience.ordered = topics->press.count == 1;
}

/* ---- events ---- */

static void
on_input(struct handler *handler, uint32_t events)
{
    struct topics *topics = container_of(handler, struct topics, input);
    ssize_t n = read(STDIN_FILENO, topics->line + topics->line_len,
                     sizeof topics->line - 1 - topics->line_len);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        topics->ended = true;
        return;
    }
    topics->line_len += (size_t)n;
    topics->line[topics->line_len] = '\0';
    topics->has_line = topics->line[topics->line_len - 1] == '\n';
}

static void
turn(struct topics *topics, int timeout)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(topics->audience.epoll, events, EVENTS, timeout);

    for (int i = 0; i < n; i++) {
        struct handler *handler = events[i].data.ptr;

        handler->event(handler, events[i].events);
    }
}

static void
connect_all(struct topics *topics)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &topics->input}};
    struct audience *audience = &topics->audience;
    uint64_t end = now_ns() + 60000000000;
    unsigned started = 0;

    press_start(&topics->press);
    while (audience->n_ready < topics->n_subscribers ||
           topics->press.n_ready < topics->press.count) {
        while (started < topics->n_subscribers && started - audience->n_ready < OPENING_MAX)
            audience_start(audience, started++);
        turn(topics, 1000);
        if (now_ns() > end)
            fail("the server does not take all subscribers");
    }
    topics->input.event = on_input;
    if (epoll_ctl(audience->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        fail("standard input cannot be watched");
    printf("connections=%u\n", topics->n_subscribers);
    fflush(stdout);
}

/* ---- rounds ---- */

static void
run_round(struct topics *topics)
{
    struct audience *audience = &topics->audience;
    struct press *press = &topics->press;
    uint64_t end = now_ns() + (uint64_t)(ROUND_SECONDS * 1e9);

    while (press->n_ready < press->count && now_ns() < end)
        turn(topics, 100);
    audience_round(audience, press_round_size(press), press->number);
    press_publish(press);
    while ((audience->n_done < audience->count || press->pending > 0) && now_ns() < end)
        turn(topics, 100);
    if (press->pending > 0)
        fail("a publication is not answered");
    topics->lost += audience_lacks(audience);
    if (audience->n_done == audience->count)
        topics->lasts[topics->n_lasts++] = (uint32_t)(audience->last - audience->began);
}

static void
read_servers(const struct topics *topics, uint64_t ns[SERVERS_MAX])
{
    for (unsigned i = 0; i < topics->n_servers; i++)
        ns[i] = cpu_ns(topics->servers[i]);
}

static void
print_servers(const struct topics *topics, const uint64_t before[SERVERS_MAX],
              const uint64_t after[SERVERS_MAX])
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < topics->n_servers; i++) {
        printf(" cpu%u_ns=%lu", i, after[i] - before[i]);
        sum += after[i] - before[i];
    }
    printf(" cpu_ns=%lu", sum);
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void
print_latencies(const char *prefix, uint32_t *ns, uint64_t count)
{
    if (count == 0)
        return;
    qsort(ns, count, sizeof *ns, compare);
    printf(" %s50_us=%.1f %s99_us=%.1f", prefix, ns[count / 2] / 1e3, prefix,
           ns[count * 99 / 100] / 1e3);
}

static void
measure(struct topics *topics, uint64_t rounds, double seconds)
{
    struct audience *audience = &topics->audience;
    uint64_t before[SERVERS_MAX], after[SERVERS_MAX], units = audience->delivered;
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9), done = 0;

    audience->odd = topics->lost = audience->n_latencies = topics->n_lasts = 0;
    read_servers(topics, before);
    while (done < rounds && now_ns() < end) {
        run_round(topics);
        done++;
    }
    read_servers(topics, after);
    printf("units=%lu rounds=%lu seconds=%.6f lost=%lu odd=%lu", audience->delivered - units, done,
           (double)(now_ns() - began) / 1e9, topics->lost, audience->odd);
    print_servers(topics, before, after);
    print_latencies("p", audience->latencies, audience->n_latencies);
    print_latencies("last", topics->lasts, topics->n_lasts);
    printf("\n");
    fflush(stdout);
}

static void
obey(struct topics *topics)
{
    unsigned long rounds;
    double seconds;

    if (sscanf(topics->line, "%lu %lf", &rounds, &seconds) != 2 || rounds > ROUNDS_MAX)
        fail("a line that is not ROUNDS SECONDS");
    topics->has_line = false;
    topics->line_len = 0;
    measure(topics, rounds, seconds);
}

int
main(int argc, char **argv)
{
    static struct topics topics = {
        .audience = {.wire = {.path = "/"}, .topic = "bench", .headers = ""},
        .press = {.wire = {.path = "/"}, .topic = "bench", .count = 1, .burst = 1, .size = 100},
        .n_subscribers = 1,
    };
    struct audience *audience = &topics.audience;

    parse(&topics, argc, argv);
    audience->epoll = topics.press.epoll = epoll_create1(EPOLL_CLOEXEC);
    audience->latencies = calloc(LATENCIES_MAX, sizeof *audience->latencies);
    audience->max_latencies = LATENCIES_MAX;
    topics.lasts = calloc(ROUNDS_MAX, sizeof *topics.lasts);
    if (audience->epoll < 0 || audience->latencies == NULL || topics.lasts == NULL ||
        audience_init(audience, topics.n_subscribers) < 0)
        fail("out of memory");
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    connect_all(&topics);
    while (!topics.ended) {
        turn(&topics, -1);
        if (topics.has_line)
            obey(&topics);
    }
    return 0;
}
