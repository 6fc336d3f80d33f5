/* SPDX-License-Identifier: BSD-2-Clause */
/* Both loops on one thread, delivered by hand: every order of events is ours to choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "conf/conf.h"
#include "event/loop.h"
#include "target/map_table.h"

struct world {
    char path[64];
    FILE *log_file;
    struct log *log;
    struct loop *main_loop;
    struct loop *loop;
    struct map_table *table;
};

struct asker {
    struct map_lookup_owner owner;
    struct map_lookup *lookup;
    unsigned answers;
    enum map_lookup_result result;
    unsigned port;
};

/* Renamed over the old one. It was always modified at the same time: not that alone may tell. */
static void
replace(const struct world *world, const char *text)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    char path[80];
    FILE *out;

    snprintf(path, sizeof path, "%s.new", world->path);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(rename(path, world->path), 0);
}

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct conf_report report;
    int fd;

    snprintf(world->path, sizeof world->path, "/tmp/test_map_table.XXXXXX");
    fd = mkstemp(world->path);
    assert_true(fd >= 0);
    close(fd);
    replace(world, "a: host:1\n");
    world->log_file = tmpfile();
    world->log =
        log_open(&(struct log_options){.fd = fileno(world->log_file), .level = LOG_LEVEL_DEBUG});
    world->main_loop = loop_new(world->log, 0);
    world->loop = loop_new(world->log, 1);
    conf_report_init(&report, world->path);
    world->table = map_table_new("/x", world->path, &report);
    assert_non_null(world->table);
    conf_report_deinit(&report);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;

    loop_free(world->loop);
    loop_free(world->main_loop);
    map_table_unref(world->table);
    log_close(world->log);
    fclose(world->log_file);
    unlink(world->path);
    free(world);
    return 0;
}

static void
on_answer(struct map_lookup_owner *owner, enum map_lookup_result result, struct conf_target *target)
{
    struct asker *asker = container_of(owner, struct asker, owner);

    asker->lookup = NULL;
    asker->answers++;
    asker->result = result;
    asker->port = target != NULL ? target->port : 0;
    assert_int_equal(target != NULL, result == MAP_LOOKUP_FOUND);
    free(target);
}

static void
ask(const struct world *world, struct asker *asker, const char *token)
{
    struct map_lookup_options options = {world->loop, world->main_loop, token};

    *asker = (struct asker){.owner.call = on_answer};
    asker->lookup = map_lookup_start(world->table, &options, &asker->owner);
    assert_non_null(asker->lookup);
    assert_int_equal(asker->answers, 0);
}

/* port 0: it is unknown. */
static void
expect(const struct asker *asker, unsigned port)
{
    assert_int_equal(asker->answers, 1);
    assert_int_equal(asker->result, port != 0 ? MAP_LOOKUP_FOUND : MAP_LOOKUP_UNKNOWN);
    assert_int_equal(asker->port, port);
}

/* What was asked goes to main and back. */
static void
go_round(const struct world *world)
{
    loop_deliver(world->main_loop);
    loop_deliver(world->loop);
}

static unsigned
log_count(const struct world *world, const char *text)
{
    char line[2000];
    unsigned n = 0;

    rewind(world->log_file);
    while (fgets(line, sizeof line, world->log_file) != NULL)
        n += strstr(line, text) != NULL;
    return n;
}

/* What was changed a moment ago is read again each time: ask until that is over. */
static void
settle(const struct world *world)
{
    struct asker asker;

    for (unsigned i = 0; i < 3000; i++) {
        ask(world, &asker, "nobody");
        loop_deliver(world->loop);
        if (asker.answers == 1)
            return;
        go_round(world);
        usleep(10000);
    }
    fail_msg("the file is read again and again");
}

static void
known_and_unknown(void **state)
{
    struct world *world = *state;
    struct asker a, b;

    settle(world);
    ask(world, &a, "a");
    ask(world, &b, "b");
    loop_deliver(world->loop); /* without main: nothing has changed */
    expect(&a, 1);
    expect(&b, 0);
}

static void
a_change_is_waited_for(void **state)
{
    struct world *world = *state;
    struct asker b, c;

    replace(world, "b: host:2\n");
    ask(world, &b, "b");
    ask(world, &c, "c");
    loop_deliver(world->loop);
    assert_int_equal(b.answers + c.answers, 0);
    go_round(world);
    expect(&b, 2);
    expect(&c, 0);
    assert_int_equal(log_count(world, "1 targets"), 1);
}

/* The loop's clock stands still here: it is the same moment. */
static void
a_known_token_is_not_looked_after_each_time(void **state)
{
    struct world *world = *state;
    struct asker a, b;

    settle(world);
    replace(world, "b: host:2\n");
    ask(world, &a, "a");
    loop_deliver(world->loop);
    expect(&a, 1);
    ask(world, &b, "b");
    go_round(world);
    expect(&b, 2);
    ask(world, &a, "a");
    go_round(world);
    expect(&a, 0);
}

/* Of the same size, in the same file, and within one tick of the clock that files have. */
static void
changes_within_one_tick(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < 200; i++) {
        FILE *out = fopen(world->path, "w");
        struct asker asker;

        assert_non_null(out);
        fprintf(out, "%c: host:1\n", 'b' + i % 2);
        fclose(out);
        ask(world, &asker, i % 2 == 0 ? "b" : "c");
        go_round(world);
        expect(&asker, 1);
    }
}

/* One that comes while the file is being read may have seen a later change. */
static void
who_comes_later_has_it_read_again(void **state)
{
    struct world *world = *state;
    struct asker b, c;

    replace(world, "b: host:2\n");
    ask(world, &b, "b");
    loop_deliver(world->main_loop);
    replace(world, "c: host:3\n");
    ask(world, &c, "c");
    loop_deliver(world->loop);
    expect(&b, 2);
    assert_int_equal(c.answers, 0);
    go_round(world);
    expect(&c, 3);
}

static void
cancelled_at_every_point(void **state)
{
    struct world *world = *state;
    struct asker before, between, other, posted;

    replace(world, "b: host:2\n");
    ask(world, &before, "b");
    ask(world, &between, "b");
    ask(world, &other, "b");
    map_lookup_cancel(before.lookup);
    loop_deliver(world->main_loop);
    map_lookup_cancel(between.lookup);
    loop_deliver(world->loop);
    expect(&other, 2);
    settle(world);
    ask(world, &posted, "b");
    map_lookup_cancel(posted.lookup);
    map_lookup_cancel(NULL);
    go_round(world);
    assert_int_equal(before.answers + between.answers + posted.answers, 0);
}

/* As when culvert stops: the message to main outlives who sent it. */
static void
the_table_waits_for_its_message(void **state)
{
    struct world *world = *state;
    struct asker b;

    replace(world, "b: host:2\n");
    ask(world, &b, "b");
    map_lookup_cancel(b.lookup);
    map_table_unref(world->table);
    world->table = NULL;
    go_round(world);
    assert_int_equal(b.answers, 0);
}

static void
a_broken_file_is_told_once(void **state)
{
    struct world *world = *state;
    struct asker a;

    replace(world, "a: host:9\nsecret\nb: host:2\nb: host:2\n");
    for (unsigned i = 0; i < 3; i++) {
        ask(world, &a, "b");
        go_round(world);
        expect(&a, 0);
        ask(world, &a, "a");
        go_round(world);
        expect(&a, 1);
    }
    assert_int_equal(log_count(world, "the targets of before stay"), 1);
    assert_int_equal(log_count(world, ":2: expected \"token: target\""), 1);
    assert_int_equal(log_count(world, ", and more"), 1);
    assert_int_equal(log_count(world, "secret"), 0);
    replace(world, "another mistake\n");
    ask(world, &a, "b");
    go_round(world);
    assert_int_equal(log_count(world, "the targets of before stay"), 2);
    unlink(world->path);
    for (unsigned i = 0; i < 3; i++) {
        ask(world, &a, "b");
        go_round(world);
    }
    ask(world, &a, "a");
    go_round(world);
    expect(&a, 1);
    assert_int_equal(log_count(world, "No such file"), 1);
    assert_int_equal(log_count(world, "the targets of before stay"), 3);
    replace(world, "a: host:7\n");
    ask(world, &a, "b");
    go_round(world);
    ask(world, &a, "a");
    go_round(world);
    expect(&a, 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_and_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_known_token_is_not_looked_after_each_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(changes_within_one_tick, setup, teardown),
        cmocka_unit_test_setup_teardown(who_comes_later_has_it_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled_at_every_point, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_waits_for_its_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_file_is_told_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
