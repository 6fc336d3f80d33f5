/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function, advance(), begins what may begin now. It is called at the start, when an answer came,
 * an attempt failed, or the timer `step` ended what held the next attempt back:
 *
 *      held for   50 ms  when only the IPv4 addresses are known
 *                 250 ms when an attempt has begun; its failure ends that
 *                 20 ms  when a unix socket has no room in its backlog
 *
 * However it ends, the owner is told at the end of the turn, so that nothing calls back from within
 * dial_start(). Most dials need one attempt and no name: those take no memory for more.
 */
#include "net/dial.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "event/timer.h"
#include "net/addr.h"
#include "net/dial_connect.h"
#include "net/resolver.h"
#include "net/tcp_options.h"

static const double RESOLUTION_DELAY = 0.050; /* RFC 8305 section 8 */
static const double ATTEMPT_DELAY = 0.250;
/* connect() to a unix socket does not wait for room in the backlog, and nothing tells of it. */
static const double BACKLOG_DELAY = 0.020;

enum {
    IPV6, /* the order of preference */
    IPV4,
    N_FAMILIES,
};

struct family {
    struct dial *dial;
    struct resolver_query query;
    bool pending;
    enum resolver_result result;
    unsigned n_addresses;
    unsigned next; /* to be tried */
    struct addr addresses[RESOLVER_ADDRESSES_MAX];
};

/* What a name has to have. */
struct names {
    struct family families[N_FAMILIES];
    unsigned turn; /* the family whose address comes next, if it has one */
};

struct attempt {
    ev_io io;
    struct dial *dial;
    int fd; /* -1: over */
};

enum state {
    DIALLING,
    OVER,      /* the owner is going to be told */
    CANCELLED, /* it is not */
};

struct dial {
    struct loop *loop;
    struct dial_owner *owner;
    struct names *names; /* NULL: the address was given */
    struct addr given;   /* len 0: it is no address, or there are names */
    uint16_t port;
    uint8_t state; /* enum state */
    bool held;
    bool backlog_full;
    struct timer deadline;
    struct timer step;
    unsigned n_attempts;
    unsigned n_in_flight;
    unsigned n_tried;         /* attempts, and addresses that failed at once */
    int connected;            /* the winner's descriptor, -1: none */
    enum dial_result result;  /* OVER: what to tell */
    enum dial_result failure; /* the last one */
    const char *why_told;
    char why[80];
    struct loop_deferred deferred;
    struct attempt attempts[]; /* 1, or DIAL_ATTEMPTS_MAX with names */
};

static void advance(struct dial *dial);

/* ---- ending ---- */

static void
free_dial(struct dial *dial)
{
    free(dial->names);
    free(dial);
}

static void
at_end_of_turn(struct loop_deferred *deferred)
{
    struct dial *dial = container_of(deferred, struct dial, deferred);

    if (dial->state == OVER)
        dial->owner->call(dial->owner, dial->result, dial->connected, dial->why_told);
    free_dial(dial);
}

static void
end_attempt(struct attempt *attempt)
{
    if (attempt->fd < 0)
        return;
    ev_io_stop(loop_ev(attempt->dial->loop), &attempt->io);
    close(attempt->fd);
    attempt->fd = -1;
    attempt->dial->n_in_flight--;
}

static void
stop(struct dial *dial, enum state state)
{
    dial->state = (uint8_t)state;
    for (unsigned i = 0; dial->names != NULL && i < N_FAMILIES; i++)
        resolver_cancel(&dial->names->families[i].query);
    for (unsigned i = 0; i < dial->n_attempts; i++)
        end_attempt(&dial->attempts[i]);
    timer_deinit(&dial->deadline);
    timer_deinit(&dial->step);
    loop_defer(dial->loop, &dial->deferred, at_end_of_turn);
}

void
dial_cancel(struct dial *dial)
{
    if (dial == NULL)
        return;
    if (dial->state == DIALLING) {
        stop(dial, CANCELLED);
        return;
    }
    dial->state = CANCELLED;
    if (dial->connected >= 0)
        close(dial->connected);
}

/* why: in the dial, or static. */
static void
finish(struct dial *dial, enum dial_result result, int fd, const char *why)
{
    dial->result = result;
    dial->connected = fd;
    dial->why_told = why;
    stop(dial, OVER);
}

static void
note_text(struct dial *dial, const char *why)
{
    dial->failure = DIAL_FAILED;
    snprintf(dial->why, sizeof dial->why, "%s", why);
}

static void
note_failure(struct dial *dial, int error)
{
    note_text(dial, strerror(error)); /* safe with threads since glibc 2.32, and in musl */
    if (error == ETIMEDOUT)
        dial->failure = DIAL_TIMEOUT;
    dial->why[0] = (char)tolower((unsigned char)dial->why[0]);
}

static enum resolver_result
worse(enum resolver_result a, enum resolver_result b)
{
    return a > b ? a : b;
}

/* All has been tried. A failed attempt tells more than a name that has no address of one family. */
static void
give_up(struct dial *dial)
{
    if (dial->why[0] != '\0') {
        finish(dial, dial->failure, -1, dial->why);
        return;
    }
    switch (worse(dial->names->families[IPV6].result, dial->names->families[IPV4].result)) {
    case RESOLVER_TIMEOUT:
        finish(dial, DIAL_TIMEOUT, -1, "the name servers did not answer");
        return;
    case RESOLVER_FAILED:
        finish(dial, DIAL_FAILED, -1, "the name servers failed");
        return;
    default:
        finish(dial, DIAL_FAILED, -1, "no such host");
    }
}

static void
too_late(struct timer *timer)
{
    struct dial *dial = container_of(timer, struct dial, deadline);
    const char *why = "connection timed out";

    if (dial->n_tried == 0)
        why = "the name servers did not answer in time";
    if (dial->backlog_full)
        why = "timed out: the socket's backlog is full";
    finish(dial, DIAL_TIMEOUT, -1, why);
}

/* ---- one attempt ---- */

static void
attempt_ready(struct ev_loop *ev, ev_io *io, int events)
{
    struct attempt *attempt = container_of(io, struct attempt, io);
    struct dial *dial = attempt->dial;
    int error = dial_connect_outcome(attempt->fd);
    int fd;

    (void)events;
    if (error == EINPROGRESS)
        return;
    if (error == 0) {
        fd = attempt->fd;
        ev_io_stop(ev, io);
        attempt->fd = -1;
        finish(dial, DIAL_OK, fd, "");
        return;
    }
    end_attempt(attempt);
    note_failure(dial, error);
    dial->held = false;
    advance(dial);
}

static void
watch(struct dial *dial, int fd)
{
    struct attempt *attempt = &dial->attempts[dial->n_attempts++];

    attempt->dial = dial;
    attempt->fd = fd;
    dial->n_in_flight++;
    ev_io_init(&attempt->io, attempt_ready, fd, EV_WRITE);
    ev_io_start(loop_ev(dial->loop), &attempt->io);
}

/* 0 when it has succeeded, EINPROGRESS when it has begun, or why it failed. */
static int
begin_attempt(struct dial *dial, const struct addr *addr)
{
    int family = addr->storage.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return errno;
    if (family != AF_UNIX)
        tcp_options_set(fd);
    error = dial_connect(fd, addr);
    if (error == EINPROGRESS)
        watch(dial, fd);
    else if (error == 0)
        finish(dial, DIAL_OK, fd, "");
    else
        close(fd);
    return error;
}

/* ---- what is next ---- */

static void
hold(struct dial *dial, double seconds)
{
    dial->held = true;
    timer_set(&dial->step, loop_now(dial->loop) + seconds);
}

static void
step_due(struct timer *timer)
{
    struct dial *dial = container_of(timer, struct dial, step);

    dial->held = false;
    advance(dial);
}

/* The family whose address is to be tried next, NULL if none has one now. */
static struct family *
next_family(struct names *names)
{
    struct family *family = &names->families[names->turn];

    if (family->next == family->n_addresses)
        family = &names->families[!names->turn];
    return family->next < family->n_addresses ? family : NULL;
}

/* The address that is to be tried next, NULL if there is none now. */
static const struct addr *
next_address(const struct dial *dial)
{
    const struct family *family;

    if (dial->names == NULL)
        return dial->n_tried == 0 && dial->given.len > 0 ? &dial->given : NULL;
    if (dial->n_tried == DIAL_ATTEMPTS_MAX)
        return NULL;
    family = next_family(dial->names);
    return family != NULL ? &family->addresses[family->next] : NULL;
}

/* next_address() has been. */
static void
count_tried(struct dial *dial)
{
    struct family *family;

    dial->n_tried++;
    if (dial->names == NULL)
        return;
    family = next_family(dial->names);
    family->next++;
    dial->names->turn = family == &dial->names->families[IPV6] ? IPV4 : IPV6;
}

static bool
resolving(const struct dial *dial)
{
    const struct names *names = dial->names;

    return names != NULL && (names->families[IPV6].pending || names->families[IPV4].pending);
}

static void
advance(struct dial *dial)
{
    const struct addr *addr;
    int error;

    if (dial->held)
        return;
    while ((addr = next_address(dial)) != NULL) {
        error = begin_attempt(dial, addr);
        dial->backlog_full = error == EAGAIN && addr->storage.ss_family == AF_UNIX;
        if (dial->backlog_full) {
            hold(dial, BACKLOG_DELAY);
            return;
        }
        count_tried(dial);
        if (error == 0)
            return;
        if (error == EINPROGRESS) {
            hold(dial, ATTEMPT_DELAY);
            return;
        }
        note_failure(dial, error);
    }
    if (dial->n_in_flight == 0 && !resolving(dial))
        give_up(dial);
}

/* ---- addresses ---- */

static void
set_port(struct addr *addr, uint16_t port)
{
    if (addr->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
}

static void
resolved(struct resolver_query *query, enum resolver_result result, const struct addr *addresses,
         unsigned n_addresses)
{
    struct family *family = container_of(query, struct family, query);
    struct dial *dial = family->dial;

    family->pending = false;
    family->result = result;
    family->n_addresses = n_addresses;
    for (unsigned i = 0; i < n_addresses; i++) {
        family->addresses[i] = addresses[i];
        set_port(&family->addresses[i], dial->port);
    }
    if (dial->n_in_flight == 0)
        dial->held = false;
    if (dial->n_tried == 0 && n_addresses > 0 && dial->names->families[IPV6].pending)
        hold(dial, RESOLUTION_DELAY);
    advance(dial);
}

/* AAAA first, so that it comes first when both are cached. */
static void
resolve(struct dial *dial, struct resolver *resolver, const char *host)
{
    static const int numbers[N_FAMILIES] = {[IPV6] = AF_INET6, [IPV4] = AF_INET};

    for (unsigned i = 0; i < N_FAMILIES; i++) {
        struct family *family = &dial->names->families[i];

        family->dial = dial;
        family->pending = resolver_ask(resolver, &family->query, host, numbers[i], resolved) == 0;
        if (!family->pending)
            note_text(dial, "the name cannot be asked for");
    }
}

/* Whether the address is known without asking; one that is none has len 0. */
static bool
is_given(const struct dial_options *options, struct addr *given)
{
    if (options->path == NULL)
        return addr_from_ip(given, options->host, options->port) == 0;
    (void)addr_from_path(given, options->path);
    return true;
}

static struct dial *
make(bool is_name)
{
    unsigned n_attempts = is_name ? DIAL_ATTEMPTS_MAX : 1;
    struct dial *dial = calloc(1, sizeof *dial + n_attempts * sizeof dial->attempts[0]);

    if (dial == NULL || !is_name)
        return dial;
    dial->names = calloc(1, sizeof *dial->names);
    if (dial->names != NULL)
        return dial;
    free(dial);
    return NULL;
}

struct dial *
dial_start(const struct dial_options *options, struct dial_owner *owner)
{
    struct addr given;
    bool is_name = !is_given(options, &given);
    struct dial *dial = make(is_name);

    if (dial == NULL) {
        log_error(loop_log(options->loop), "dial", "out of memory");
        return NULL;
    }
    dial->loop = options->loop;
    dial->owner = owner;
    dial->port = options->port;
    dial->connected = -1;
    timer_init(&dial->deadline, dial->loop, too_late);
    timer_init(&dial->step, dial->loop, step_due);
    if (is_name)
        resolve(dial, options->resolver, options->host);
    else if (given.len == 0)
        note_text(dial, "the socket's path is empty or too long");
    else
        dial->given = given;
    advance(dial);
    if (dial->state == DIALLING)
        timer_set(&dial->deadline, loop_now(dial->loop) + options->timeout);
    return dial;
}
