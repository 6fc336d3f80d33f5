/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "guard.h"
#include "guard/limits.h"

enum {
    THREADS = 4,
    ROUNDS = 4000,
    ADDRESSES = 5000,
};

/* Enters from an address against a guard page, as long as its family says. "unix" is a nameless
 * peer. */
static enum limits_result
enter(struct limits *limits, struct limits_rule rule, const char *ip, struct limits_pass *pass)
{
    struct guard guard = guard_open(128);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 80};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = 80, .sin6_scope_id = 1};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *address;
    enum limits_result result;

    if (strcmp(ip, "unix") == 0) {
        address = guard_end(&guard, &un, sizeof un.sun_family);
    } else if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        address = guard_end(&guard, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
        address = guard_end(&guard, &in6, sizeof in6);
    }
    result = limits_enter(limits, &rule, address, pass);
    guard_close(&guard);
    return result;
}

static void
assert_empty(struct limits *limits)
{
    assert_int_equal(limits_in_use(limits), 0);
    assert_int_equal(limits_counters(limits), 0);
}

static void
test_all_routes(void **state)
{
    struct limits *limits = limits_new();
    struct limits_rule a = {.route = "/a", .max_connections = 2};
    struct limits_rule b = {.route = "/b", .max_connections = 2};
    struct limits_pass passes[3];

    (void)state;
    assert_int_equal(enter(limits, a, "10.0.0.1", &passes[0]), LIMITS_OK);
    assert_int_equal(enter(limits, b, "10.0.0.1", &passes[1]), LIMITS_OK);
    assert_int_equal(enter(limits, b, "10.0.0.1", &passes[2]), LIMITS_FULL);
    assert_null(passes[2].route);
    assert_int_equal(limits_in_use(limits), 2);
    limits_leave(&passes[0]);
    assert_int_equal(enter(limits, b, "10.0.0.1", &passes[2]), LIMITS_OK);
    limits_leave(&passes[1]);
    limits_leave(&passes[2]);
    assert_empty(limits);
    limits_free(limits);
}

static void
test_route(void **state)
{
    struct limits *limits = limits_new();
    struct limits_rule a = {.route = "/a", .connections_max = 2};
    struct limits_rule b = {.route = "/b", .connections_max = 1};
    struct limits_pass passes[4];

    (void)state;
    assert_int_equal(enter(limits, a, "10.0.0.1", &passes[0]), LIMITS_OK);
    assert_int_equal(enter(limits, a, "10.0.0.2", &passes[1]), LIMITS_OK);
    assert_int_equal(enter(limits, a, "10.0.0.3", &passes[2]), LIMITS_ROUTE_FULL);
    assert_int_equal(enter(limits, b, "10.0.0.3", &passes[3]), LIMITS_OK);
    assert_int_equal(limits_in_use(limits), 3); /* a refused one is counted nowhere */
    limits_leave(&passes[2]);
    assert_int_equal(limits_in_use(limits), 3);
    limits_leave(&passes[0]);
    assert_int_equal(enter(limits, a, "10.0.0.3", &passes[2]), LIMITS_OK);
    limits_leave(&passes[1]);
    limits_leave(&passes[2]);
    limits_leave(&passes[3]);
    assert_empty(limits);
    limits_free(limits);
}

/* A new configuration is another rule for the same name: lower, higher, none. */
static void
test_counts_outlive_rules(void **state)
{
    struct limits *limits = limits_new();
    struct limits_rule rule = {.route = "/a", .connections_max = 3, .connections_per_ip = 3};
    struct limits_pass passes[5];
    char name[] = "/a"; /* another string with the same bytes */
    unsigned i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[i]), LIMITS_OK);
    rule = (struct limits_rule){.route = name, .connections_max = 2};
    assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[3]), LIMITS_ROUTE_FULL);
    rule = (struct limits_rule){.route = name, .connections_per_ip = 3};
    assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[3]), LIMITS_ADDRESS_FULL);
    rule = (struct limits_rule){.route = name, .connections_per_ip = 4};
    assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[3]), LIMITS_OK);
    rule = (struct limits_rule){.route = name};
    assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[4]), LIMITS_OK);
    for (i = 0; i < 5; i++)
        limits_leave(&passes[i]);
    assert_empty(limits);
    limits_free(limits);
}

/* Whether the two count as one address. */
static bool
same(const char *one, const char *other)
{
    struct limits *limits = limits_new();
    struct limits_rule rule = {.route = "/a", .connections_per_ip = 1};
    struct limits_pass passes[2];
    enum limits_result result;

    assert_int_equal(enter(limits, rule, one, &passes[0]), LIMITS_OK);
    assert_int_equal(enter(limits, rule, one, &passes[1]), LIMITS_ADDRESS_FULL);
    result = enter(limits, rule, other, &passes[1]);
    assert_true(result == LIMITS_OK || result == LIMITS_ADDRESS_FULL);
    limits_leave(&passes[0]);
    limits_leave(&passes[1]);
    assert_empty(limits);
    limits_free(limits);
    return result == LIMITS_ADDRESS_FULL;
}

static void
test_addresses(void **state)
{
    (void)state;
    assert_false(same("10.0.0.1", "10.0.0.2"));
    assert_false(same("10.0.0.1", "11.0.0.1"));
    assert_true(same("10.0.0.1", "::ffff:10.0.0.1"));
    assert_true(same("::ffff:10.0.0.1", "10.0.0.1"));
    assert_false(same("::ffff:10.0.0.1", "::ffff:10.0.0.2"));
    assert_false(same("::ffff:10.0.0.1", "::10.0.0.1"));
    assert_true(same("2001:db8::1", "2001:db8::2"));
    assert_true(same("2001:db8:1:2::", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_false(same("2001:db8:1:2::1", "2001:db8:2:2::1"));
    assert_false(same("::1", "0.0.0.1"));
    assert_true(same("unix", "unix"));
    assert_false(same("unix", "127.0.0.1"));
    assert_false(same("unix", "::1"));
}

/* The same address on two routes is two counts; no name of a route runs into an address. */
static void
test_addresses_are_of_a_route(void **state)
{
    static const char *const routes[] = {"/a", "0/a", "a.example/a", "/", "*/a", "u/a"};
    struct limits *limits = limits_new();
    struct limits_pass passes[6], refused;
    unsigned i;

    (void)state;
    for (i = 0; i < 6; i++) {
        struct limits_rule rule = {.route = routes[i], .connections_per_ip = 1};

        assert_int_equal(enter(limits, rule, "10.0.0.1", &passes[i]), LIMITS_OK);
        assert_int_equal(enter(limits, rule, "10.0.0.1", &refused), LIMITS_ADDRESS_FULL);
    }
    assert_int_equal(limits_counters(limits), 12);
    for (i = 0; i < 6; i++)
        limits_leave(&passes[i]);
    assert_empty(limits);
    limits_free(limits);
}

static void
test_many_addresses_leave_nothing(void **state)
{
    struct limits *limits = limits_new();
    struct limits_rule rule = {.route = "/a", .connections_per_ip = 1};
    struct limits_pass *passes = calloc(ADDRESSES, sizeof *passes);
    struct limits_pass refused;
    char ip[32];
    unsigned i;

    (void)state;
    for (i = 0; i < ADDRESSES; i++) {
        snprintf(ip, sizeof ip, "10.1.%u.%u", i / 256, i % 256);
        assert_int_equal(enter(limits, rule, ip, &passes[i]), LIMITS_OK);
        assert_int_equal(enter(limits, rule, ip, &refused), LIMITS_ADDRESS_FULL);
    }
    assert_int_equal(limits_in_use(limits), ADDRESSES);
    assert_int_equal(limits_counters(limits), ADDRESSES + 1);
    for (i = 0; i < ADDRESSES; i++)
        limits_leave(&passes[i]);
    assert_empty(limits);
    free(passes);
    limits_free(limits);
}

static void
test_a_pass_is_given_back_once(void **state)
{
    struct limits *limits = limits_new();
    struct limits_rule rule = {.route = "/a", .connections_per_ip = 2};
    struct limits_pass first, second, moved, empty = {NULL, NULL};

    (void)state;
    limits_leave(&empty);
    assert_int_equal(enter(limits, rule, "10.0.0.1", &first), LIMITS_OK);
    assert_int_equal(enter(limits, rule, "10.0.0.1", &second), LIMITS_OK);
    limits_leave(&first);
    limits_leave(&first);
    assert_int_equal(limits_in_use(limits), 1);
    moved = second;
    second = empty;
    limits_leave(&second);
    assert_int_equal(limits_in_use(limits), 1);
    limits_leave(&moved);
    assert_empty(limits);
    limits_free(limits);
    limits_free(NULL);
}

/* The highest limits there can be are limits still, and names may have any length. */
static void
test_extremes(void **state)
{
    struct limits *limits = limits_new();
    char name[10000];
    struct limits_rule rule = {name, UINT_MAX, UINT_MAX, UINT_MAX};
    struct limits_pass passes[3];
    unsigned i;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (i = 0; i < 3; i++)
        assert_int_equal(enter(limits, rule, "2001:db8::1", &passes[i]), LIMITS_OK);
    for (i = 0; i < 3; i++)
        limits_leave(&passes[i]);
    assert_empty(limits);
    limits_free(limits);
}

/* ---- threads ---- */

struct storm {
    struct limits *limits;
    struct limits_rule rule;
    pthread_barrier_t barrier;
    unsigned inside;  /* atomic; of this storm */
    unsigned over;    /* times that more were inside than may be */
    unsigned n_taken; /* in the first rush */
};

static void *
rush(void *argument)
{
    struct storm *storm = argument;
    struct limits_pass passes[100], pass;
    unsigned i, n = 0;

    pthread_barrier_wait(&storm->barrier);
    for (i = 0; i < 100; i++)
        if (enter(storm->limits, storm->rule, "10.0.0.1", &passes[n]) == LIMITS_OK)
            n++;
    __atomic_fetch_add(&storm->n_taken, n, __ATOMIC_RELAXED);
    pthread_barrier_wait(&storm->barrier);
    while (n > 0)
        limits_leave(&passes[--n]);
    pthread_barrier_wait(&storm->barrier);
    for (i = 0; i < ROUNDS; i++) {
        if (enter(storm->limits, storm->rule, "10.0.0.1", &pass) != LIMITS_OK)
            continue;
        if (__atomic_add_fetch(&storm->inside, 1, __ATOMIC_SEQ_CST) > 3)
            __atomic_fetch_add(&storm->over, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&storm->inside, 1, __ATOMIC_SEQ_CST);
        limits_leave(&pass);
    }
    return NULL;
}

static void
check_storm(struct limits_rule rule)
{
    struct storm storm = {.limits = limits_new(), .rule = rule};
    pthread_t threads[THREADS];
    unsigned i;

    pthread_barrier_init(&storm.barrier, NULL, THREADS);
    for (i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rush, &storm), 0);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&storm.barrier);
    assert_int_equal(storm.n_taken, 3); /* neither one more nor one less */
    assert_int_equal(storm.over, 0);
    assert_empty(storm.limits);
    limits_free(storm.limits);
}

static void
test_threads(void **state)
{
    (void)state;
    check_storm((struct limits_rule){"/a", 3, 0, 0});
    check_storm((struct limits_rule){"/a", 0, 3, 0});
    check_storm((struct limits_rule){"/a", 0, 0, 3});
    check_storm((struct limits_rule){"/a", 3, 3, 3});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_routes),
        cmocka_unit_test(test_route),
        cmocka_unit_test(test_counts_outlive_rules),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_addresses_are_of_a_route),
        cmocka_unit_test(test_many_addresses_leave_nothing),
        cmocka_unit_test(test_a_pass_is_given_back_once),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
