/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/map.h"

enum {
    MANY = 5000,
};

struct member {
    struct map_entry entry;
    char key[32];
};

static struct member *
member_of(struct map_entry *entry)
{
    return entry != NULL ? container_of(entry, struct member, entry) : NULL;
}

static void
add(struct map *map, struct member *member, const char *key)
{
    snprintf(member->key, sizeof member->key, "%s", key);
    map_add(map, &member->entry, member->key);
}

static void
test_empty(void **state)
{
    struct map map;

    (void)state;
    assert_int_equal(map_init(&map), 0);
    assert_null(map_find(&map, "a"));
    assert_null(map_find(&map, ""));
    map_deinit(&map);
}

static void
test_add_find_remove(void **state)
{
    struct map map;
    struct member a, b, none;

    (void)state;
    assert_int_equal(map_init(&map), 0);
    add(&map, &a, "a");
    add(&map, &b, "a longer key than a");
    add(&map, &none, "");
    assert_int_equal(map.count, 3);
    assert_ptr_equal(member_of(map_find(&map, "a")), &a);
    assert_ptr_equal(member_of(map_find(&map, "a longer key than a")), &b);
    assert_ptr_equal(member_of(map_find(&map, "")), &none);
    assert_null(map_find(&map, "A"));
    assert_null(map_find(&map, "a longer key than b"));
    map_remove(&map, &a.entry);
    assert_null(map_find(&map, "a"));
    assert_int_equal(map.count, 2);
    add(&map, &a, "a");
    assert_ptr_equal(member_of(map_find(&map, "a")), &a);
    map_deinit(&map);
}

/* Every member is found before and after the table has grown, and after half of them have gone. */
static void
test_many(void **state)
{
    struct member *members = calloc(MANY, sizeof *members);
    struct map map;
    char key[32];

    (void)state;
    assert_int_equal(map_init(&map), 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "host-%u.example.org", i);
        add(&map, &members[i], key);
        assert_ptr_equal(member_of(map_find(&map, key)), &members[i]);
    }
    assert_int_equal(map.count, MANY);
    for (unsigned i = 0; i < MANY; i += 2)
        map_remove(&map, &members[i].entry);
    assert_int_equal(map.count, MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "host-%u.example.org", i);
        assert_ptr_equal(member_of(map_find(&map, key)), i % 2 == 0 ? NULL : &members[i]);
    }
    map_deinit(&map);
    free(members);
}

/* Names spread over the buckets, at every length around that of a word. */
static void
test_spread(void **state)
{
    struct member *members = calloc(MANY, sizeof *members);
    struct map map;
    size_t longest = 0;
    char key[32];

    (void)state;
    assert_int_equal(map_init(&map), 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "%0*u", 4 + (int)(i % 16), i);
        add(&map, &members[i], key);
    }
    for (size_t i = 0; i < map.n_buckets; i++) {
        size_t length = 0;

        for (struct map_entry *entry = map.buckets[i]; entry != NULL; entry = entry->next)
            length++;
        longest = length > longest ? length : longest;
    }
    assert_in_range(map.n_buckets, MANY, 2 * MANY);
    assert_in_range(longest, 1, 12);
    map_deinit(&map);
    free(members);
}

/* Two tables do not put the same keys into the same chains. */
static void
test_seeded(void **state)
{
    struct map one, other;
    struct member a, b;

    (void)state;
    assert_int_equal(map_init(&one), 0);
    assert_int_equal(map_init(&other), 0);
    add(&one, &a, "example.org");
    add(&other, &b, "example.org");
    assert_true(a.entry.hash != b.entry.hash);
    map_deinit(&one);
    map_deinit(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),  cmocka_unit_test(test_add_find_remove),
        cmocka_unit_test(test_many),   cmocka_unit_test(test_spread),
        cmocka_unit_test(test_seeded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
