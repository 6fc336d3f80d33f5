/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "dns_peer.h"
#include "net/dial.h"
#include "net/resolver.h"

/* ---- what the dialler connects to ---- */

static struct {
    bool own_port;   /* bind to the address that is connected to */
    bool fresh[256]; /* by descriptor: connect() was not called yet */
    unsigned n;
    char texts[32][ADDR_TEXT];
} connects;

/* These stand before the C library's, to see the order of attempts. */
int
socket(int family, int type, int protocol)
{
    int fd = (int)syscall(SYS_socket, family, type, protocol);

    if (fd >= 0 && fd < 256)
        connects.fresh[fd] = true;
    return fd;
}

int
connect(int fd, const struct sockaddr *to, socklen_t len)
{
    struct addr addr = {.len = len};
    int type = 0;

    memcpy(&addr.storage, to, len);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type});
    if (type != SOCK_STREAM) /* the resolver's */
        return (int)syscall(SYS_connect, fd, to, len);
    if (!connects.fresh[fd]) /* asks how the attempt goes */
        return (int)syscall(SYS_connect, fd, to, len);
    connects.fresh[fd] = false;
    if (connects.n < 32)
        addr_text(&addr, connects.texts[connects.n++]);
    if (connects.own_port)
        assert_int_equal(bind(fd, to, len), 0);
    return (int)syscall(SYS_connect, fd, to, len);
}

/* A listening socket whose backlog is full does not answer: Linux drops the SYN. */
struct silent {
    int fd;
    int fillers[3];
    uint16_t port;
};

static void
silent_init(struct silent *silent, const char *ip, uint16_t port)
{
    struct addr addr;

    silent->port = port;
    silent->fd = listening(ip, &silent->port, 0);
    assert_int_equal(addr_from_ip(&addr, ip, silent->port), 0);
    for (unsigned i = 0; i < 3; i++) {
        silent->fillers[i] =
            socket(addr.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        syscall(SYS_connect, silent->fillers[i], &addr.storage, addr.len);
        usleep(1000);
    }
}

static void
silent_deinit(struct silent *silent)
{
    for (unsigned i = 0; i < 3; i++)
        close(silent->fillers[i]);
    close(silent->fd);
}

/* ---- a world, and who dials ---- */

struct world {
    struct test_loop test;
    struct dns_peer peer;
    struct resolver *resolver;
    unsigned fds;
};

struct caller {
    struct dial_owner owner;
    unsigned calls;
    enum dial_result result;
    int fd;
    char why[128];
    double at; /* since the beginning */
};

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    world->fds = count_fds();
    test_loop_init(&world->test);
    dns_peer_init(&world->peer, &world->test);
    world->resolver = resolver_new(world->test.loop, world->peer.address);
    assert_non_null(world->resolver);
    memset(&connects, 0, sizeof connects);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    resolver_free(world->resolver);
    dns_peer_deinit(&world->peer);
    test_loop_deinit(&world->test);
    assert_int_equal(count_fds(), world->fds);
    free(world);
    return 0;
}

static void
done(struct dial_owner *owner, enum dial_result result, int fd, const char *why)
{
    struct caller *caller = container_of(owner, struct caller, owner);

    caller->calls++;
    caller->result = result;
    caller->fd = fd;
    caller->at = seconds() - caller->at;
    snprintf(caller->why, sizeof caller->why, "%s", why);
}

static struct dial *
begin(struct world *world, struct caller *caller, const struct dial_options *options)
{
    struct dial_options all = *options;
    struct dial *dial;

    all.loop = world->test.loop;
    all.resolver = world->resolver;
    if (all.timeout == 0)
        all.timeout = 5;
    *caller = (struct caller){.owner = {done}, .at = seconds()};
    dial = dial_start(&all, &caller->owner);
    assert_non_null(dial);
    assert_int_equal(caller->calls, 0);
    return dial;
}

/* The resolver may hold datagram sockets of its own as long as something is in flight. */
static unsigned
count_streams(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++) {
        int type = 0;

        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type});
        n += type == SOCK_STREAM;
    }
    return n;
}

static struct caller
dial_with(struct world *world, const struct dial_options *options)
{
    unsigned fds = count_streams();
    struct caller caller;

    begin(world, &caller, options);
    run_until(&world->test, &caller.calls, 1);
    run_for(&world->test, 0.01);
    assert_int_equal(caller.calls, 1);
    assert_int_equal(caller.fd >= 0, caller.result == DIAL_OK);
    assert_int_equal(count_streams(), fds + (caller.fd >= 0));
    return caller;
}

static struct caller
dial(struct world *world, const char *host, uint16_t port)
{
    return dial_with(world, &(struct dial_options){.host = host, .port = port});
}

/* Checks that fd is connected to text, and closes it. */
static void
expect_peer(struct caller *caller, const char *ip, uint16_t port)
{
    struct addr peer = {.len = sizeof peer.storage}, wanted;
    char text[ADDR_TEXT], wanted_text[ADDR_TEXT];

    if (caller->result != DIAL_OK)
        fail_msg("failed: %s", caller->why);
    assert_int_equal(getpeername(caller->fd, (struct sockaddr *)&peer.storage, &peer.len), 0);
    assert_int_equal(addr_from_ip(&wanted, ip, port), 0);
    addr_text(&peer, text);
    addr_text(&wanted, wanted_text);
    assert_string_equal(text, wanted_text);
    close(caller->fd);
}

static void
a(struct world *world, const char *name, const char *first, const char *second)
{
    dns_peer_rule(&world->peer, (struct dns_rule){name, DNS_A, {first, second}, .ttl = 60});
}

static void
aaaa(struct world *world, const char *name, const char *first, const char *second)
{
    dns_peer_rule(&world->peer, (struct dns_rule){name, DNS_AAAA, {first, second}, .ttl = 60});
}

/* ---- numeric addresses ---- */

static int
option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void
test_numeric(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);
    struct caller caller = dial(world, "127.0.0.1", port);
    char byte = 'x';
    int fd;

    assert_int_equal(caller.result, DIAL_OK);
    assert_true(fcntl(caller.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(caller.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option(caller.fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(caller.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(caller.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option(caller.fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    assert_int_equal(option(caller.fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(send(caller.fd, &byte, 1, 0), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    expect_peer(&caller, "127.0.0.1", port);
    close(listener);
    assert_int_equal(world->peer.asked, 0);
}

static void
test_numeric_ip6(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int listener = listening("::1", &port, 4);
    struct caller caller = dial(world, "::1", port);

    expect_peer(&caller, "::1", port);
    caller = dial(world, "::1%lo", port);
    expect_peer(&caller, "::1", port);
    close(listener);
}

static void
test_refused(void **state)
{
    struct world *world = *state;
    struct caller caller = dial(world, "127.0.0.1", 1);

    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "connection refused");
    assert_true(caller.at < 0.2);
}

/* A destination that the kernel refuses at once, without any packet. */
static void
test_unreachable(void **state)
{
    struct world *world = *state;
    struct caller caller = dial(world, "255.255.255.255", 80);

    assert_int_equal(caller.result, DIAL_FAILED);
    assert_true(caller.why[0] >= 'a' && caller.why[0] <= 'z');
}

static void
test_timeout(void **state)
{
    struct world *world = *state;
    struct silent silent;
    struct caller caller;

    silent_init(&silent, "127.0.0.3", 0);
    caller = dial_with(
        world, &(struct dial_options){.host = "127.0.0.3", .port = silent.port, .timeout = 0.3});
    assert_int_equal(caller.result, DIAL_TIMEOUT);
    assert_string_equal(caller.why, "connection timed out");
    assert_true(caller.at > 0.28 && caller.at < 1.2);
    silent_deinit(&silent);
}

/* The time is over when the dial is, too: nothing is to come of it. */
static void
test_timeout_after_end(void **state)
{
    struct world *world = *state;
    struct caller caller;

    begin(world, &caller, &(struct dial_options){.host = "127.0.0.1", .port = 1, .timeout = 0.1});
    run_for(&world->test, 0.2);
    assert_int_equal(caller.calls, 1);
    dial_cancel(begin(world, &caller,
                      &(struct dial_options){.host = "127.0.0.1", .port = 1, .timeout = 0.1}));
    run_for(&world->test, 0.2);
    assert_int_equal(caller.calls, 0);
}

static void
test_self_connect(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    struct caller caller;

    close(bound_socket("127.0.0.1", SOCK_STREAM, &port));
    connects.own_port = true;
    caller = dial(world, "127.0.0.1", port);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "connection refused");
    port = 0;
    close(bound_socket("::1", SOCK_STREAM, &port));
    caller = dial(world, "::1", port);
    assert_int_equal(caller.result, DIAL_FAILED);
}

static void
test_no_descriptors(void **state)
{
    struct world *world = *state;
    struct rlimit old, none;
    struct caller caller;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    begin(world, &caller, &(struct dial_options){.host = "127.0.0.1", .port = 1});
    run_until(&world->test, &caller.calls, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "too many open files");
}

/* ---- names ---- */

static void
test_name(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);
    struct caller caller;

    a(world, "v4.test", "127.0.0.1", NULL);
    caller = dial(world, "v4.test", port);
    expect_peer(&caller, "127.0.0.1", port);
    assert_true(caller.at < 0.2);
    caller = dial(world, "localhost", port);
    expect_peer(&caller, "127.0.0.1", port);
    close(listener);
    port = 0;
    listener = listening("::1", &port, 4);
    aaaa(world, "v6.test", "::1", NULL);
    caller = dial(world, "v6.test", port);
    expect_peer(&caller, "::1", port);
    close(listener);
}

static void
test_no_name(void **state)
{
    struct world *world = *state;
    struct caller caller = dial(world, "no.test", 80);

    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "no such host");
    caller = dial(world, "not a name", 80);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "the name cannot be asked for");
}

static void
test_name_servers_fail(void **state)
{
    struct world *world = *state;
    struct caller caller;

    dns_peer_rule(&world->peer, (struct dns_rule){"bad.test", DNS_A, .rcode = 2});
    dns_peer_rule(&world->peer, (struct dns_rule){"bad.test", DNS_AAAA, .rcode = 2});
    caller = dial(world, "bad.test", 80);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "the name servers failed");
    /* One family's failure is told rather than that the other has no address. */
    dns_peer_rule(&world->peer, (struct dns_rule){"half.test", DNS_A, .rcode = 2});
    dns_peer_rule(&world->peer, (struct dns_rule){"half.test", DNS_AAAA, .ttl = 60});
    caller = dial(world, "half.test", 80);
    assert_string_equal(caller.why, "the name servers failed");
}

static void
test_name_servers_silent(void **state)
{
    struct world *world = *state;
    struct caller caller;

    dns_peer_rule(&world->peer, (struct dns_rule){"silent.test", DNS_A, .delay = -1});
    dns_peer_rule(&world->peer, (struct dns_rule){"silent.test", DNS_AAAA, .delay = -1});
    caller =
        dial_with(world, &(struct dial_options){.host = "silent.test", .port = 80, .timeout = 0.2});
    assert_int_equal(caller.result, DIAL_TIMEOUT);
    assert_string_equal(caller.why, "the name servers did not answer in time");
    assert_true(caller.at > 0.18 && caller.at < 0.8);
    /* The resolver gives up before the dialler does: that is a timeout all the same. */
    caller =
        dial_with(world, &(struct dial_options){.host = "silent.test", .port = 80, .timeout = 9});
    assert_int_equal(caller.result, DIAL_TIMEOUT);
    assert_string_equal(caller.why, "the name servers did not answer");
}

/* ---- racing ---- */

static void
test_ip6_preferred(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int six = listening("::1", &port, 4);
    int four = listening("127.0.0.1", &port, 4);
    struct caller caller;

    a(world, "both.test", "127.0.0.1", NULL);
    aaaa(world, "both.test", "::1", NULL);
    for (unsigned cached = 0; cached < 2; cached++) {
        caller = dial(world, "both.test", port);
        expect_peer(&caller, "::1", port);
        assert_int_equal(connects.n, 1 + cached);
    }
    close(six);
    close(four);
}

static void
test_refused_then_next(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);
    struct caller caller;

    a(world, "two.test", "127.0.0.2", "127.0.0.1");
    aaaa(world, "two.test", "::1", NULL);
    caller = dial(world, "two.test", port);
    expect_peer(&caller, "127.0.0.1", port);
    assert_true(caller.at < 0.2);
    assert_int_equal(connects.n, 3);
    close(listener);
}

static void
test_all_refused(void **state)
{
    struct world *world = *state;
    struct caller caller;

    a(world, "two.test", "127.0.0.1", "127.0.0.2");
    aaaa(world, "two.test", "::1", NULL);
    caller = dial(world, "two.test", 1);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "connection refused");
    assert_int_equal(connects.n, 3);
}

/* The first address does not answer; the second is tried 250 ms later, and the first is closed. */
static void
test_silent_then_next(void **state)
{
    struct world *world = *state;
    struct silent silent;
    struct caller caller;
    int listener;

    silent_init(&silent, "127.0.0.3", 0);
    listener = listening("127.0.0.1", &silent.port, 4);
    a(world, "two.test", "127.0.0.3", "127.0.0.1");
    caller = dial(world, "two.test", silent.port);
    expect_peer(&caller, "127.0.0.1", silent.port);
    assert_true(caller.at > 0.24 && caller.at < 0.9);
    close(listener);
    silent_deinit(&silent);
}

/* The families take turns: with two dead IPv6 addresses the IPv4 one is the second. */
static void
test_interleaved(void **state)
{
    struct world *world = *state;
    struct silent silent;
    struct caller caller;
    int listener;
    char wanted[ADDR_TEXT];

    silent_init(&silent, "::1", 0);
    listener = listening("127.0.0.1", &silent.port, 4);
    a(world, "four.test", "127.0.0.2", "127.0.0.1");
    aaaa(world, "four.test", "::1", "::1");
    caller = dial(world, "four.test", silent.port);
    expect_peer(&caller, "127.0.0.1", silent.port);
    assert_int_equal(connects.n, 4);
    snprintf(wanted, sizeof wanted, "[::1]:%u", silent.port);
    assert_string_equal(connects.texts[0], wanted);
    assert_string_equal(connects.texts[2], wanted);
    snprintf(wanted, sizeof wanted, "127.0.0.2:%u", silent.port);
    assert_string_equal(connects.texts[1], wanted);
    snprintf(wanted, sizeof wanted, "127.0.0.1:%u", silent.port);
    assert_string_equal(connects.texts[3], wanted);
    /* 250 ms, then refused, at once the next, which is silent, 250 ms */
    assert_true(caller.at > 0.49 && caller.at < 1.5);
    close(listener);
    silent_deinit(&silent);
}

/* AAAA is waited for 50 ms, and preferred if it comes by then. */
static void
test_resolution_delay(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int six = listening("::1", &port, 4);
    int four = listening("127.0.0.1", &port, 4);
    struct caller caller;

    a(world, "late.test", "127.0.0.1", NULL);
    dns_peer_rule(&world->peer,
                  (struct dns_rule){"late.test", DNS_AAAA, {"::1"}, .ttl = 60, .delay = 0.4});
    caller = dial(world, "late.test", port);
    expect_peer(&caller, "127.0.0.1", port);
    assert_true(caller.at > 0.045 && caller.at < 0.3);
    close(six);
    close(four);
}

/* AAAA comes soon after A: it is used at once. A busy machine is given more than one chance. */
static void
test_soon_family(void **state)
{
    static const char *const names[] = {"a.test", "b.test", "c.test", "d.test"};
    struct world *world = *state;
    double fastest = 1;
    uint16_t port = 0;
    int listener = listening("::1", &port, 4);

    for (unsigned i = 0; i < 4; i++) {
        struct caller caller;

        a(world, names[i], "127.0.0.1", NULL);
        dns_peer_rule(&world->peer,
                      (struct dns_rule){names[i], DNS_AAAA, {"::1"}, .ttl = 60, .delay = 0.01});
        caller = dial(world, names[i], port);
        expect_peer(&caller, "::1", port);
        assert_int_equal(connects.n, i + 1);
        fastest = caller.at < fastest ? caller.at : fastest;
    }
    assert_true(fastest < 0.045);
    close(listener);
}

/* If there is no AAAA, nothing is waited for. */
static void
test_no_second_family(void **state)
{
    struct world *world = *state;
    double fastest = 1;
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);

    a(world, "only.test", "127.0.0.1", NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct caller caller = dial(world, "only.test", port);

        expect_peer(&caller, "127.0.0.1", port);
        fastest = caller.at < fastest ? caller.at : fastest;
    }
    assert_true(fastest < 0.045);
    close(listener);
}

/* A late A is tried at once when the IPv6 address has had its 250 ms, and a late AAAA when the
 * IPv4 address was refused. */
static void
test_late_family(void **state)
{
    struct world *world = *state;
    struct silent silent;
    struct caller caller;
    int listener;

    silent_init(&silent, "::1", 0);
    listener = listening("127.0.0.1", &silent.port, 4);
    aaaa(world, "six.test", "::1", NULL);
    dns_peer_rule(&world->peer,
                  (struct dns_rule){"six.test", DNS_A, {"127.0.0.1"}, .ttl = 60, .delay = 0.35});
    caller = dial(world, "six.test", silent.port);
    expect_peer(&caller, "127.0.0.1", silent.port);
    assert_true(caller.at > 0.34 && caller.at < 0.55);
    silent_deinit(&silent);
    close(listener);

    silent.port = 0;
    listener = listening("::1", &silent.port, 4);
    a(world, "four.test", "127.0.0.1", NULL);
    dns_peer_rule(&world->peer,
                  (struct dns_rule){"four.test", DNS_AAAA, {"::1"}, .ttl = 60, .delay = 0.2});
    caller = dial(world, "four.test", silent.port);
    expect_peer(&caller, "::1", silent.port);
    assert_true(caller.at > 0.19 && caller.at < 0.5);
    close(listener);
}

static void
test_at_most(void **state)
{
    struct world *world = *state;
    struct dns_rule *four =
        dns_peer_rule(&world->peer, (struct dns_rule){"many.test", DNS_A, .ttl = 60});
    struct dns_rule *six =
        dns_peer_rule(&world->peer, (struct dns_rule){"many.test", DNS_AAAA, .ttl = 60});
    struct caller caller;

    /* More would not fit into a UDP answer, and the resolver would come by TCP. */
    for (unsigned i = 0; i < 16; i++) {
        four->addresses[i] = "127.0.0.1";
        six->addresses[i] = "::1";
    }
    caller = dial(world, "many.test", 1);
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_int_equal(connects.n, DIAL_ATTEMPTS_MAX);
}

/* ---- unix sockets ---- */

struct unix_target {
    char directory[32];
    char path[64];
    int fd;
};

static void
unix_init(struct unix_target *target, int backlog)
{
    struct addr addr;

    strcpy(target->directory, "/tmp/test_dial_XXXXXX");
    assert_non_null(mkdtemp(target->directory));
    snprintf(target->path, sizeof target->path, "%s/s", target->directory);
    assert_int_equal(addr_from_path(&addr, target->path), 0);
    target->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(target->fd, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(listen(target->fd, backlog), 0);
}

static void
unix_deinit(struct unix_target *target)
{
    close(target->fd);
    unlink(target->path);
    rmdir(target->directory);
}

static void
test_unix(void **state)
{
    struct world *world = *state;
    struct unix_target target;
    struct caller caller;
    char byte = 'x';
    int fd;

    unix_init(&target, 4);
    caller = dial_with(world, &(struct dial_options){.path = target.path});
    assert_int_equal(caller.result, DIAL_OK);
    assert_true(fcntl(caller.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(caller.fd, F_GETFD) & FD_CLOEXEC);
    fd = accept(target.fd, NULL, NULL);
    assert_int_equal(send(fd, &byte, 1, 0), 1);
    assert_int_equal(recv(caller.fd, &byte, 1, 0), 1);
    close(fd);
    close(caller.fd);
    unix_deinit(&target);
    caller = dial_with(world, &(struct dial_options){.path = target.path});
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "no such file or directory");
}

static void
test_unix_path(void **state)
{
    struct world *world = *state;
    char path[200];
    struct caller caller;

    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    caller = dial_with(world, &(struct dial_options){.path = path});
    assert_int_equal(caller.result, DIAL_FAILED);
    assert_string_equal(caller.why, "the socket's path is empty or too long");
}

/* A full backlog is waited for. */
static void
test_unix_full(void **state)
{
    struct world *world = *state;
    struct unix_target target;
    struct caller first, second, caller;

    unix_init(&target, 0);
    first = dial_with(world, &(struct dial_options){.path = target.path});
    assert_int_equal(first.result, DIAL_OK);
    second = dial_with(world, &(struct dial_options){.path = target.path, .timeout = 0.2});
    assert_int_equal(second.result, DIAL_TIMEOUT);
    assert_string_equal(second.why, "timed out: the socket's backlog is full");
    assert_true(second.at > 0.18 && second.at < 0.8);
    /* Tried more than DIAL_ATTEMPTS_MAX times, before there is room. */
    begin(world, &caller, &(struct dial_options){.path = target.path});
    run_for(&world->test, 0.5);
    assert_int_equal(caller.calls, 0);
    close(accept(target.fd, NULL, NULL));
    run_until(&world->test, &caller.calls, 1);
    assert_int_equal(caller.result, DIAL_OK);
    close(first.fd);
    close(caller.fd);
    unix_deinit(&target);
}

/* ---- cancelling ---- */

static void
test_cancel_at_once(void **state)
{
    struct world *world = *state;
    struct caller caller;

    dial_cancel(NULL);
    dial_cancel(begin(world, &caller, &(struct dial_options){.host = "127.0.0.1", .port = 1}));
    dial_cancel(begin(world, &caller, &(struct dial_options){.host = "x.test", .port = 1}));
    dial_cancel(begin(world, &caller, &(struct dial_options){.host = "not a name", .port = 1}));
    run_for(&world->test, 0.05);
    assert_int_equal(caller.calls, 0);
}

/* Cancelled in each stage: resolving, waiting for AAAA, with one attempt, with two, with three. */
static void
test_cancel_everywhere(void **state)
{
    struct world *world = *state;
    static const double moments[] = {0.001, 0.02, 0.05, 0.2, 0.35, 0.56};
    struct silent four, six;

    silent_init(&four, "127.0.0.3", 0);
    silent_init(&six, "::1", four.port);
    for (unsigned i = 0; i < 6; i++) {
        unsigned fds = count_streams();
        struct caller caller;
        struct dial *dial;

        dns_peer_rule(&world->peer,
                      (struct dns_rule){
                          "race.test", DNS_A, {"127.0.0.3", "127.0.0.3"}, .ttl = 1, .delay = 0.01});
        dns_peer_rule(&world->peer,
                      (struct dns_rule){"race.test", DNS_AAAA, {"::1"}, .ttl = 1, .delay = 0.03});
        dial = begin(world, &caller,
                     &(struct dial_options){.host = "race.test", .port = four.port, .timeout = 5});
        run_for(&world->test, moments[i]);
        assert_int_equal(caller.calls, 0);
        dial_cancel(dial);
        run_for(&world->test, 0.002);
        world->peer.n_rules = 0;
        assert_int_equal(count_streams(), fds);
        assert_int_equal(caller.calls, 0);
    }
    silent_deinit(&four);
    silent_deinit(&six);
}

/* A dial that is over may begin the next one from its callback. */
struct redial {
    struct dial_owner owner;
    struct world *world;
    uint16_t port;
    unsigned calls;
};

static void
again(struct dial_owner *owner, enum dial_result result, int fd, const char *why)
{
    struct redial *redial = container_of(owner, struct redial, owner);

    (void)why;
    if (result == DIAL_OK)
        close(fd);
    if (++redial->calls == 20)
        return;
    assert_non_null(dial_start(&(struct dial_options){.loop = redial->world->test.loop,
                                                      .resolver = redial->world->resolver,
                                                      .host = redial->calls % 2 ? "::1" : "v4.test",
                                                      .port = redial->port,
                                                      .timeout = 5},
                               owner));
}

static void
test_redial(void **state)
{
    struct world *world = *state;
    struct redial redial = {.owner = {again}, .world = world};
    int listener = listening("127.0.0.1", &redial.port, 64);

    a(world, "v4.test", "127.0.0.1", NULL);
    again(&redial.owner, DIAL_FAILED, -1, "");
    run_until(&world->test, &redial.calls, 20);
    close(listener);
}

/* The names in the options need not outlive dial_start(). */
static void
test_copied(void **state)
{
    struct world *world = *state;
    uint16_t port = 0;
    int listener = listening("127.0.0.1", &port, 4);
    char *host = strdup("v4.test");
    struct caller caller;

    a(world, "v4.test", "127.0.0.1", NULL);
    begin(world, &caller, &(struct dial_options){.host = host, .port = port});
    free(host);
    run_until(&world->test, &caller.calls, 1);
    expect_peer(&caller, "127.0.0.1", port);
    close(listener);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(test_numeric),
        with_world(test_numeric_ip6),
        with_world(test_refused),
        with_world(test_unreachable),
        with_world(test_timeout),
        with_world(test_timeout_after_end),
        with_world(test_self_connect),
        with_world(test_no_descriptors),
        with_world(test_name),
        with_world(test_no_name),
        with_world(test_name_servers_fail),
        with_world(test_name_servers_silent),
        with_world(test_ip6_preferred),
        with_world(test_refused_then_next),
        with_world(test_all_refused),
        with_world(test_silent_then_next),
        with_world(test_interleaved),
        with_world(test_resolution_delay),
        with_world(test_soon_family),
        with_world(test_no_second_family),
        with_world(test_late_family),
        with_world(test_at_most),
        with_world(test_unix),
        with_world(test_unix_path),
        with_world(test_unix_full),
        with_world(test_cancel_at_once),
        with_world(test_cancel_everywhere),
        with_world(test_redial),
        with_world(test_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
