/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns_peer.h"
#include "net/resolver.h"

/* ---- a resolver with its peer, and who asks ---- */

struct world {
    struct test_loop test;
    struct dns_peer peer;
    struct resolver *resolver;
    unsigned fds;
    unsigned calls;
};

struct asker {
    struct resolver_query query;
    struct world *world;
    unsigned calls;
    unsigned order; /* the world's calls before this one */
    enum resolver_result result;
    unsigned n;
    char texts[RESOLVER_ADDRESSES_MAX][ADDR_TEXT];
    void (*then)(struct asker *asker);
    struct asker *other;
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
note(struct resolver_query *query, enum resolver_result result, const struct addr *addresses,
     unsigned n_addresses)
{
    struct asker *asker = container_of(query, struct asker, query);

    asker->calls++;
    asker->order = asker->world->calls++;
    asker->result = result;
    asker->n = n_addresses;
    assert_int_equal(n_addresses > 0, result == RESOLVER_OK);
    if (asker->then != NULL)
        asker->then(asker);
    /* Read after `then`, which may have asked for the same name again. */
    for (unsigned i = 0; i < n_addresses; i++)
        addr_text(&addresses[i], asker->texts[i]);
}

/* Prepares asker and asks; checks that nothing calls back at once. */
static void
ask(struct world *world, struct asker *asker, const char *name, int family)
{
    unsigned calls = world->calls;

    asker->world = world;
    asker->calls = 0;
    assert_int_equal(resolver_ask(world->resolver, &asker->query, name, family, note), 0);
    assert_int_equal(world->calls, calls);
    assert_int_equal(asker->calls, 0);
}

/* Asks and waits. */
static struct asker
answer(struct world *world, const char *name, int family)
{
    struct asker asker = {.then = NULL};

    ask(world, &asker, name, family);
    run_until(&world->test, &asker.calls, 1);
    assert_int_equal(asker.calls, 1);
    return asker;
}

/* ---- answers ---- */

static void
test_a_only(void **state)
{
    struct world *world = *state;
    struct asker a, aaaa;

    dns_peer_rule(&world->peer,
                  (struct dns_rule){"host.test", DNS_A, {"192.0.2.1", "192.0.2.2"}, .ttl = 60});
    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_AAAA, .ttl = 60});
    a = answer(world, "host.test", AF_INET);
    assert_int_equal(a.result, RESOLVER_OK);
    assert_int_equal(a.n, 2);
    assert_string_equal(a.texts[0], "192.0.2.1:0");
    assert_string_equal(a.texts[1], "192.0.2.2:0");
    aaaa = answer(world, "host.test", AF_INET6);
    assert_int_equal(aaaa.result, RESOLVER_NOT_FOUND);
}

static void
test_aaaa_only(void **state)
{
    struct world *world = *state;
    struct asker a, aaaa;

    dns_peer_rule(&world->peer,
                  (struct dns_rule){"host.test", DNS_AAAA, {"2001:db8::7"}, .ttl = 60});
    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, .ttl = 60});
    aaaa = answer(world, "host.test.", AF_INET6);
    assert_int_equal(aaaa.result, RESOLVER_OK);
    assert_string_equal(aaaa.texts[0], "[2001:db8::7]:0");
    a = answer(world, "host.test.", AF_INET);
    assert_int_equal(a.result, RESOLVER_NOT_FOUND);
}

/* One family's silence does not hold the other's answer back. */
static void
test_slow_aaaa(void **state)
{
    struct world *world = *state;
    struct asker a = {0}, aaaa = {0};
    double begin = seconds();

    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    dns_peer_rule(
        &world->peer,
        (struct dns_rule){"host.test", DNS_AAAA, {"2001:db8::7"}, .ttl = 60, .delay = 0.3});
    ask(world, &aaaa, "host.test", AF_INET6);
    ask(world, &a, "host.test", AF_INET);
    run_until(&world->test, &a.calls, 1);
    assert_true(seconds() - begin < 0.25);
    assert_int_equal(aaaa.calls, 0);
    run_until(&world->test, &aaaa.calls, 1);
    assert_true(seconds() - begin >= 0.29);
    assert_int_equal(aaaa.result, RESOLVER_OK);
}

static void
test_many_addresses(void **state)
{
    struct world *world = *state;
    struct dns_rule *rule =
        dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, .ttl = 60});
    static char texts[30][16];
    struct asker a;

    for (unsigned i = 0; i < 30; i++) {
        snprintf(texts[i], sizeof texts[i], "192.0.2.%u", i + 1);
        rule->addresses[i] = texts[i];
    }
    a = answer(world, "host.test", AF_INET);
    assert_int_equal(a.n, RESOLVER_ADDRESSES_MAX);
    assert_string_equal(a.texts[RESOLVER_ADDRESSES_MAX - 1], "192.0.2.16:0");
}

static void
test_nxdomain(void **state)
{
    struct world *world = *state;

    assert_int_equal(answer(world, "no.test", AF_INET).result, RESOLVER_NOT_FOUND);
    assert_int_equal(answer(world, "no.test", AF_INET6).result, RESOLVER_NOT_FOUND);
}

static void
test_server_failure(void **state)
{
    struct world *world = *state;

    dns_peer_rule(&world->peer, (struct dns_rule){"*", DNS_A, .rcode = 2});
    dns_peer_rule(&world->peer, (struct dns_rule){"*", DNS_AAAA, .rcode = 5});
    assert_int_equal(answer(world, "bad.test", AF_INET).result, RESOLVER_FAILED);
    assert_int_equal(answer(world, "bad.test", AF_INET6).result, RESOLVER_FAILED);
}

/* A silent server is given up after two tries, 2 s and 4 s. */
static void
test_silent_server(void **state)
{
    struct world *world = *state;
    double begin = seconds();
    struct dns_rule *rule =
        dns_peer_rule(&world->peer, (struct dns_rule){"silent.test", DNS_A, .delay = -1});

    assert_int_equal(answer(world, "silent.test", AF_INET).result, RESOLVER_TIMEOUT);
    assert_int_equal(rule->asked, 2);
    assert_true(seconds() - begin > 5 && seconds() - begin < 9);
}

/* Nobody listens there: the kernel says so, and there is nothing to wait for. */
static void
test_no_server(void **state)
{
    struct world *world = *state;
    struct resolver *resolver = world->resolver;
    double begin = seconds();

    world->resolver = resolver_new(world->test.loop, "127.0.0.1:1");
    assert_non_null(world->resolver);
    assert_int_equal(answer(world, "host.test", AF_INET).result, RESOLVER_FAILED);
    assert_true(seconds() - begin < 1);
    resolver_free(world->resolver);
    world->resolver = resolver;
}

static void
test_truncated(void **state)
{
    struct world *world = *state;
    struct dns_rule *rule = dns_peer_rule(
        &world->peer,
        (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60, .truncated = true});
    struct asker a = answer(world, "host.test", AF_INET);

    assert_int_equal(a.result, RESOLVER_OK);
    assert_string_equal(a.texts[0], "192.0.2.1:0");
    assert_int_equal(rule->asked, 2);
}

static void
test_localhost(void **state)
{
    struct world *world = *state;
    struct asker a = answer(world, "localhost", AF_INET);
    struct asker aaaa = answer(world, "localhost", AF_INET6);

    assert_int_equal(a.result, RESOLVER_OK);
    assert_string_equal(a.texts[0], "127.0.0.1:0");
    assert_int_equal(aaaa.result, RESOLVER_OK);
    assert_string_equal(aaaa.texts[0], "[::1]:0");
    assert_int_equal(world->peer.asked, 0);
}

/* A name of the hosts file that is not localhost, if there is one. */
static void
test_hosts_file(void **state)
{
    struct world *world = *state;
    FILE *file = fopen("/etc/hosts", "r");
    char line[1024], ip[64], name[256];
    struct addr addr;
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = sscanf(line, "%63s %255s", ip, name) == 2 && ip[0] != '#' &&
                strncmp(name, "localhost", 9) != 0 && strstr(name, "ip6") == NULL &&
                strchr(ip, '.') != NULL && addr_from_ip(&addr, ip, 0) == 0;
    if (file != NULL)
        fclose(file);
    if (!found)
        skip();
    assert_int_equal(answer(world, name, AF_INET).result, RESOLVER_OK);
    assert_int_equal(world->peer.asked, 0);
}

static void
test_names(void **state)
{
    static const char *const bad[] = {"",    ".",   "a..b",  ".a",         "a..", "a b",
                                      "a/b", "a:1", "[::1]", "fe80::1%lo", "a\n", "caf\xc3\xa9"};
    struct world *world = *state;
    struct asker asker = {0};
    char name[300];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (resolver_ask(world->resolver, &asker.query, bad[i], AF_INET, note) == 0)
            fail_msg("\"%s\" passed", bad[i]);
        resolver_cancel(&asker.query);
    }
    memset(name, 'x', sizeof name);
    strcpy(name + 63, ".test");
    assert_int_equal(answer(world, name, AF_INET).result, RESOLVER_NOT_FOUND);
    memset(name, 'x', sizeof name);
    strcpy(name + 64, ".test");
    assert_int_equal(resolver_ask(world->resolver, &asker.query, name, AF_INET, note), -1);
    for (unsigned i = 0; i < 254; i++)
        name[i] = i % 2 == 0 ? 'x' : '.';
    name[253] = '\0';
    assert_int_equal(answer(world, name, AF_INET).result, RESOLVER_NOT_FOUND);
    strcpy(name + 253, ".");
    assert_int_equal(answer(world, name, AF_INET).result, RESOLVER_NOT_FOUND);
    strcpy(name + 253, "x");
    assert_int_equal(resolver_ask(world->resolver, &asker.query, name, AF_INET, note), -1);
}

/* ---- the cache ---- */

static void
test_joined(void **state)
{
    struct world *world = *state;
    struct asker askers[50] = {0};
    struct dns_rule *rule = dns_peer_rule(
        &world->peer,
        (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60, .delay = 0.05});

    for (unsigned i = 0; i < 50; i++)
        ask(world, &askers[i], i % 2 == 0 ? "host.test" : "HOST.Test", AF_INET);
    run_until(&world->test, &world->calls, 50);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(askers[i].calls, 1);
        assert_int_equal(askers[i].order, i);
        assert_string_equal(askers[i].texts[0], "192.0.2.1:0");
    }
    assert_int_equal(rule->asked, 1);
}

static void
test_cached(void **state)
{
    struct world *world = *state;
    struct dns_rule *rule = dns_peer_rule(
        &world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    double begin;

    for (unsigned i = 0; i < 3; i++)
        answer(world, "host.test", AF_INET);
    assert_int_equal(rule->asked, 1);
    assert_string_equal(answer(world, "HOST.test", AF_INET).texts[0], "192.0.2.1:0");
    assert_int_equal(rule->asked, 1);
    begin = seconds();
    answer(world, "host.test", AF_INET);
    assert_true(seconds() - begin < 0.1);
}

/* TTL 1 expires, 60 does not; 0 counts as 1; a CNAME's counts for what it leads to. */
static void
test_expiry(void **state)
{
    struct world *world = *state;
    struct dns_rule *one =
        dns_peer_rule(&world->peer, (struct dns_rule){"one.test", DNS_A, {"192.0.2.1"}, .ttl = 1});
    struct dns_rule *zero =
        dns_peer_rule(&world->peer, (struct dns_rule){"zero.test", DNS_A, {"192.0.2.1"}, .ttl = 0});
    struct dns_rule *sixty = dns_peer_rule(
        &world->peer, (struct dns_rule){"sixty.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    struct dns_rule *alias = dns_peer_rule(
        &world->peer,
        (struct dns_rule){
            "alias.test", DNS_A, {"192.0.2.1"}, .ttl = 60, .alias = "real.test", .alias_ttl = 1});
    struct dns_rule *none =
        dns_peer_rule(&world->peer, (struct dns_rule){"none.test", DNS_A, .ttl = 60});

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            answer(world, "one.test", AF_INET);
            answer(world, "zero.test", AF_INET);
            answer(world, "sixty.test", AF_INET);
            assert_int_equal(answer(world, "alias.test", AF_INET).result, RESOLVER_OK);
            assert_int_equal(answer(world, "none.test", AF_INET).result, RESOLVER_NOT_FOUND);
        }
        assert_int_equal(one->asked, 1 + round);
        assert_int_equal(zero->asked, 1 + round);
        assert_int_equal(sixty->asked, 1);
        assert_int_equal(alias->asked, 1 + round);
        assert_int_equal(none->asked, 1 + round);
        run_for(&world->test, 1.2);
    }
}

/* The new address is told when the old one has expired. */
static void
test_changed(void **state)
{
    struct world *world = *state;
    struct dns_rule *rule =
        dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 1});

    assert_string_equal(answer(world, "host.test", AF_INET).texts[0], "192.0.2.1:0");
    rule->addresses[0] = "192.0.2.2";
    assert_string_equal(answer(world, "host.test", AF_INET).texts[0], "192.0.2.1:0");
    run_for(&world->test, 1.2);
    assert_string_equal(answer(world, "host.test", AF_INET).texts[0], "192.0.2.2:0");
}

/* The least recently used one goes. */
static void
test_full_cache(void **state)
{
    struct world *world = *state;
    struct dns_rule *first = dns_peer_rule(
        &world->peer, (struct dns_rule){"first.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    struct dns_rule *second = dns_peer_rule(
        &world->peer, (struct dns_rule){"second.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    char name[32];

    dns_peer_rule(&world->peer, (struct dns_rule){"*", DNS_A, {"192.0.2.9"}, .ttl = 60});
    answer(world, "first.test", AF_INET);
    answer(world, "second.test", AF_INET);
    for (unsigned i = 0; i < RESOLVER_CACHE_MAX - 2; i++) {
        snprintf(name, sizeof name, "n%u.test", i);
        answer(world, name, AF_INET);
    }
    answer(world, "first.test", AF_INET);
    assert_int_equal(first->asked, 1);
    answer(world, "one-more.test", AF_INET);
    answer(world, "first.test", AF_INET);
    assert_int_equal(first->asked, 1);
    answer(world, "second.test", AF_INET);
    assert_int_equal(second->asked, 2);
}

static void
test_full_of_questions(void **state)
{
    struct world *world = *state;
    struct asker *askers = calloc(RESOLVER_CACHE_MAX + 1, sizeof *askers);
    char name[32];

    dns_peer_rule(&world->peer, (struct dns_rule){"*", DNS_A, .delay = -1});
    for (unsigned i = 0; i < RESOLVER_CACHE_MAX; i++) {
        snprintf(name, sizeof name, "n%u.test", i);
        ask(world, &askers[i], name, AF_INET);
    }
    assert_int_equal(resolver_ask(world->resolver, &askers[RESOLVER_CACHE_MAX].query, "more.test",
                                  AF_INET, note),
                     -1);
    ask(world, &askers[RESOLVER_CACHE_MAX], "n7.test", AF_INET); /* joins */
    for (unsigned i = 0; i <= RESOLVER_CACHE_MAX; i++)
        resolver_cancel(&askers[i].query);
    run_for(&world->test, 0.05);
    assert_int_equal(world->calls, 0);
    free(askers);
}

/* ---- cancelling, and callbacks that do things ---- */

static void
test_cancel(void **state)
{
    struct world *world = *state;
    struct asker a = {0}, b = {0};
    struct dns_rule *rule = dns_peer_rule(
        &world->peer,
        (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60, .delay = 0.05});

    resolver_cancel(&a.query); /* never asked */
    ask(world, &a, "host.test", AF_INET);
    ask(world, &b, "host.test", AF_INET);
    resolver_cancel(&a.query);
    resolver_cancel(&a.query);
    run_until(&world->test, &b.calls, 1);
    run_for(&world->test, 0.05);
    assert_int_equal(a.calls, 0);
    resolver_cancel(&b.query); /* answered */
    ask(world, &a, "host.test", AF_INET);
    resolver_cancel(&a.query); /* of the cache, not delivered yet */
    run_for(&world->test, 0.05);
    assert_int_equal(a.calls, 0);
    /* All have lost interest; the answer is cached nevertheless. */
    rule->name = "late.test";
    ask(world, &a, "late.test", AF_INET);
    resolver_cancel(&a.query);
    run_for(&world->test, 0.2);
    assert_int_equal(rule->asked, 2);
    answer(world, "late.test", AF_INET);
    assert_int_equal(rule->asked, 2);
}

static void
cancel_other(struct asker *asker)
{
    resolver_cancel(&asker->other->query);
}

static void
test_cancel_in_callback(void **state)
{
    struct world *world = *state;
    struct asker a = {.then = cancel_other}, b = {0}, c = {0};

    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    a.other = &b;
    for (unsigned cached = 0; cached < 2; cached++) {
        b.calls = 0;
        ask(world, &a, "host.test", AF_INET);
        ask(world, &b, "host.test", AF_INET);
        ask(world, &c, "host.test", AF_INET);
        run_until(&world->test, &c.calls, 1);
        run_for(&world->test, 0.02);
        assert_int_equal(a.calls, 1);
        assert_int_equal(b.calls, 0);
    }
}

static void
ask_again(struct asker *asker)
{
    asker->then = NULL;
    ask(asker->world, asker, "host.test", AF_INET);
    ask(asker->world, asker->other, "other.test", AF_INET6);
}

static void
test_ask_in_callback(void **state)
{
    struct world *world = *state;
    struct asker a = {.then = ask_again}, b = {0};

    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    dns_peer_rule(&world->peer, (struct dns_rule){"other.test", DNS_AAAA, {"::2"}, .ttl = 60});
    a.other = &b;
    ask(world, &a, "host.test", AF_INET);
    run_until(&world->test, &world->calls, 3);
    assert_int_equal(a.calls, 1); /* since it was asked again */
    assert_int_equal(b.calls, 1);
    assert_string_equal(b.texts[0], "[::2]:0");
}

/* Who asked may be gone when the callback returns. */
static void
free_asker(struct resolver_query *query, enum resolver_result result, const struct addr *addresses,
           unsigned n_addresses)
{
    struct asker *asker = container_of(query, struct asker, query);

    (void)result;
    (void)addresses;
    (void)n_addresses;
    asker->world->calls++;
    free(asker);
}

static void
test_free_in_callback(void **state)
{
    struct world *world = *state;

    dns_peer_rule(&world->peer, (struct dns_rule){"host.test", DNS_A, {"192.0.2.1"}, .ttl = 60});
    for (unsigned i = 0; i < 10; i++) {
        struct asker *asker = calloc(1, sizeof *asker);

        asker->world = world;
        assert_int_equal(
            resolver_ask(world->resolver, &asker->query, "host.test", AF_INET, free_asker), 0);
    }
    run_until(&world->test, &world->calls, 10);
}

/* What was asked before is answered by whom it was asked; what is asked after, by the new servers;
 * nothing cached outlives it. */
static void
test_reload(void **state)
{
    struct world *world = *state;
    struct asker slow = {0}, late = {0};
    struct dns_rule *silent;
    unsigned asked;

    dns_peer_rule(&world->peer, (struct dns_rule){"slow.test", DNS_A, .delay = 0.2});
    answer(world, "host.test", AF_INET);
    asked = world->peer.asked;
    answer(world, "host.test", AF_INET);
    assert_int_equal(world->peer.asked, asked);
    ask(world, &slow, "slow.test", AF_INET);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(resolver_reload(world->resolver), 0);
    answer(world, "host.test", AF_INET);
    assert_true(world->peer.asked > asked + 1);
    run_until(&world->test, &slow.calls, 1);
    assert_int_equal(slow.calls, 1);
    /* Nobody joins a question that old servers may never answer. */
    silent = dns_peer_rule(&world->peer, (struct dns_rule){"silent.test", DNS_A, .delay = -1});
    ask(world, &slow, "silent.test", AF_INET);
    run_until(&world->test, &silent->asked, 1);
    assert_int_equal(resolver_reload(world->resolver), 0);
    ask(world, &late, "silent.test", AF_INET);
    for (unsigned i = 0; i < 50 && silent->asked < 2; i++) /* c-ares asks again after 2 s */
        run_for(&world->test, 0.02);
    assert_int_equal(silent->asked, 2);
    resolver_cancel(&slow.query);
    resolver_cancel(&late.query);
    ask(world, &slow, "again.test", AF_INET); /* still in flight at the end */
    assert_int_equal(resolver_reload(world->resolver), 0);
    resolver_cancel(&slow.query);
}

/* Freed with questions in flight, some cancelled before, some never. */
static void
test_free_in_flight(void **state)
{
    struct world *world = *state;
    struct asker a = {0};

    dns_peer_rule(&world->peer, (struct dns_rule){"*", DNS_A, .delay = -1});
    ask(world, &a, "host.test", AF_INET);
    run_for(&world->test, 0.02);
    assert_true(world->peer.asked > 0);
    resolver_cancel(&a.query);
    /* teardown() frees the resolver and counts descriptors */
}

static void
test_bad_servers(void **state)
{
    struct world *world = *state;

    log_set_level(world->test.log, LOG_LEVEL_ERROR);
    assert_null(resolver_new(world->test.loop, "not an address"));
    resolver_free(NULL);
}

/* No socket is kept when there is nothing to wait for. */
static void
test_idle_descriptors(void **state)
{
    struct world *world = *state;
    unsigned before = count_fds();

    answer(world, "no.test", AF_INET);
    assert_int_equal(count_fds(), before);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        with_world(test_a_only),          with_world(test_aaaa_only),
        with_world(test_slow_aaaa),       with_world(test_many_addresses),
        with_world(test_nxdomain),        with_world(test_server_failure),
        with_world(test_silent_server),   with_world(test_no_server),
        with_world(test_truncated),       with_world(test_localhost),
        with_world(test_hosts_file),      with_world(test_names),
        with_world(test_joined),          with_world(test_cached),
        with_world(test_expiry),          with_world(test_changed),
        with_world(test_full_cache),      with_world(test_full_of_questions),
        with_world(test_cancel),          with_world(test_cancel_in_callback),
        with_world(test_ask_in_callback), with_world(test_free_in_callback),
        with_world(test_free_in_flight),  with_world(test_bad_servers),
        with_world(test_reload),          with_world(test_idle_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
