/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics, metrics_routes: counting, adding up, names, and entries that outlive a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "base/metrics_routes.h"

static void
test_histogram(void **state)
{
    struct metrics_histogram histogram = {0};
    unsigned i;

    (void)state;
    for (i = 0; i < METRICS_BUCKETS; i++) {
        assert_true(i == 0 || metrics_bound(i) > metrics_bound(i - 1));
        metrics_observe(&histogram, metrics_bound(i)); /* a bound belongs to its bucket */
    }
    metrics_observe(&histogram, 1000);
    for (i = 0; i <= METRICS_BUCKETS; i++)
        assert_int_equal(histogram.buckets[i], 1);
    metrics_observe(&histogram, -1);
    metrics_observe(&histogram, 0);
    metrics_observe(&histogram, metrics_bound(0) * 1.01);
    assert_int_equal(histogram.buckets[0], 3);
    assert_int_equal(histogram.buckets[1], 2);
}

static void
test_histogram_sum(void **state)
{
    struct metrics_histogram histogram = {0};

    (void)state;
    metrics_observe(&histogram, 1.5);
    metrics_observe(&histogram, 0.25);
    metrics_observe(&histogram, -5);
    assert_int_equal(histogram.nanoseconds, 1750000000);
}

static void
test_codes(void **state)
{
    static const struct {
        unsigned code;
        const char *name;
    } cases[] = {
        {0, "other"},   {999, "other"}, {1000, "1000"},  {1004, "other"}, {1005, "1005"},
        {1006, "1006"}, {1015, "1015"}, {1016, "other"}, {2999, "other"}, {3000, "3xxx"},
        {3999, "3xxx"}, {4000, "4xxx"}, {4999, "4xxx"},  {5000, "other"}, {65535, "other"},
    };
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(metrics_code_name(metrics_code_of(cases[i].code)), cases[i].name);
}

static void
test_refusals(void **state)
{
    unsigned a, b;
    int status;

    (void)state;
    for (a = 0; a < METRICS_REFUSALS; a++)
        for (b = 0; b < a; b++)
            assert_string_not_equal(metrics_refusal_name(a), metrics_refusal_name(b));
    for (status = 400; status < 600; status++)
        assert_int_not_equal(metrics_refusal_of(status, true), METRICS_REFUSED_BY_STATUS);
    assert_int_equal(metrics_refusal_of(404, true), METRICS_REFUSED_NO_FILE);
    assert_int_equal(metrics_refusal_of(404, false), METRICS_REFUSED_NO_ROUTE);
    assert_int_equal(metrics_refusal_of(504, true), METRICS_REFUSED_TARGET_TIMEOUT);
}

static void
test_workers_are_added_up(void **state)
{
    struct metrics_routes *routes = metrics_routes_new(3);
    struct metrics_entry *entry = metrics_routes_get(routes, "/x");
    struct metrics_route sum;
    unsigned i;

    (void)state;
    for (i = 0; i <= 3; i++) {
        struct metrics_route *route = metrics_entry_worker(entry, i);

        assert_int_equal((uintptr_t)route % METRICS_LINE, 0);
        metrics_add(&route->flows[METRICS_SSE].bytes[METRICS_OUT], 10 + i);
        metrics_add(&route->closes[METRICS_BY_CULVERT][METRICS_CODES - 1], 1);
        metrics_observe(&route->heartbeat, 1000);
    }
    metrics_entry_sum(entry, &sum);
    assert_int_equal(sum.flows[METRICS_SSE].bytes[METRICS_OUT], 46);
    assert_int_equal(sum.flows[METRICS_SSE].bytes[METRICS_IN], 0);
    assert_int_equal(sum.closes[METRICS_BY_CULVERT][METRICS_CODES - 1], 4);
    assert_int_equal(sum.heartbeat.buckets[METRICS_BUCKETS], 4);
    metrics_entry_put(entry);
    metrics_routes_free(routes);
}

/* As a reload does it: the new snapshot takes its references before the old one's are put. */
static void
test_a_name_goes_on_counting(void **state)
{
    struct metrics_routes *routes = metrics_routes_new(1);
    struct metrics_entry *kept = metrics_routes_get(routes, "/kept");
    struct metrics_entry *gone = metrics_routes_get(routes, "/gone");
    struct metrics_entry *again;

    (void)state;
    metrics_add(&metrics_entry_worker(kept, 1)->flows[0].opened, 5);
    metrics_routes_prune(routes);
    again = metrics_routes_get(routes, "/kept");
    assert_ptr_equal(again, kept);
    metrics_entry_put(kept);
    metrics_entry_put(gone);
    assert_ptr_equal(metrics_routes_next(routes, again), gone); /* shown until the next reload */
    metrics_routes_prune(routes);
    assert_null(metrics_routes_next(routes, again));
    assert_int_equal(metrics_entry_worker(again, 1)->flows[0].opened, 5);
    metrics_entry_put(again);
    metrics_routes_free(routes);
}

static void
test_names_are_bounded(void **state)
{
    static struct metrics_entry *entries[METRICS_ROUTES_MAX + 3];
    struct metrics_routes *routes = metrics_routes_new(1);
    struct metrics_entry *at = NULL;
    unsigned i, n = 0;
    char name[16];

    (void)state;
    for (i = 0; i < METRICS_ROUTES_MAX + 3; i++) {
        snprintf(name, sizeof name, "/%u", i);
        entries[i] = metrics_routes_get(routes, name);
    }
    assert_string_equal(metrics_entry_name(entries[METRICS_ROUTES_MAX - 1]), "/999");
    assert_string_equal(metrics_entry_name(entries[METRICS_ROUTES_MAX]), "other");
    assert_ptr_equal(entries[METRICS_ROUTES_MAX], entries[METRICS_ROUTES_MAX + 2]);
    while ((at = metrics_routes_next(routes, at)) != NULL)
        n++;
    assert_int_equal(n, METRICS_ROUTES_MAX + 1);
    for (i = 0; i < METRICS_ROUTES_MAX + 3; i++)
        metrics_entry_put(entries[i]);
    metrics_routes_prune(routes);
    assert_null(metrics_routes_next(routes, NULL));
    at = metrics_routes_get(routes, "/1001");
    assert_string_equal(metrics_entry_name(at), "/1001");
    metrics_entry_put(at);
    metrics_routes_free(routes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_histogram_sum),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_workers_are_added_up),
        cmocka_unit_test(test_a_name_goes_on_counting),
        cmocka_unit_test(test_names_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
