/* SPDX-License-Identifier: BSD-2-Clause */
/* loop, mailbox, timer and worker together: they make no sense apart. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/log.h"
#include "event/loop.h"
#include "event/timer.h"
#include "event/worker.h"

enum {
    SENDERS = 4,
    MESSAGES = 20000, /* of each sender */
};

struct bench {
    struct log *log;
    struct loop *loop;
};

static int
set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    if (bench == NULL)
        return -1;
    bench->log = log_open(&(struct log_options){.fd = STDERR_FILENO, .level = LOG_LEVEL_ERROR});
    bench->loop = loop_new(bench->log, 1);
    *state = bench;
    return bench->loop != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;

    loop_free(bench->loop);
    log_close(bench->log);
    free(bench);
    return 0;
}

/* ---- timers ---- */

struct alarm {
    struct timer timer;
    struct loop *loop;
    unsigned calls;
    double called; /* when last */
    double again;  /* seconds to the next call; 0: stop the loop */
};

static void
on_alarm(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    alarm->calls++;
    alarm->called = loop_now(alarm->loop);
    if (alarm->again != 0) {
        timer_set(timer, loop_now(alarm->loop) + alarm->again);
        alarm->again = 0;
        return;
    }
    loop_stop(alarm->loop);
}

static void
alarm_init(struct alarm *alarm, struct loop *loop)
{
    *alarm = (struct alarm){.loop = loop};
    timer_init(&alarm->timer, loop, on_alarm);
}

static void
test_a_timer_that_is_moved_later_fires_once_and_not_before(void **state)
{
    struct bench *bench = *state;
    struct alarm alarm;
    double begin = loop_now(bench->loop);

    alarm_init(&alarm, bench->loop);
    timer_set(&alarm.timer, begin + 0.02);
    timer_set(&alarm.timer, begin + 0.10);
    loop_run(bench->loop);
    assert_int_equal(alarm.calls, 1);
    assert_true(alarm.called >= begin + 0.0985);
    timer_deinit(&alarm.timer);
}

static void
test_a_timer_that_is_moved_sooner_fires_sooner(void **state)
{
    struct bench *bench = *state;
    struct alarm alarm;
    double begin = loop_now(bench->loop);

    alarm_init(&alarm, bench->loop);
    timer_set(&alarm.timer, begin + 3600);
    timer_set(&alarm.timer, begin + 0.01);
    loop_run(bench->loop);
    assert_int_equal(alarm.calls, 1);
    timer_deinit(&alarm.timer);
}

static void
test_a_timer_may_be_set_again_in_its_callback(void **state)
{
    struct bench *bench = *state;
    struct alarm alarm;

    alarm_init(&alarm, bench->loop);
    alarm.again = 0.01;
    timer_set(&alarm.timer, loop_now(bench->loop) + 0.01);
    loop_run(bench->loop);
    assert_int_equal(alarm.calls, 2);
    timer_deinit(&alarm.timer);
}

static void
test_a_timer_that_is_not_wanted_does_not_fire(void **state)
{
    struct bench *bench = *state;
    struct alarm unwanted;
    struct alarm last;

    alarm_init(&unwanted, bench->loop);
    alarm_init(&last, bench->loop);
    timer_set(&unwanted.timer, loop_now(bench->loop) + 0.01);
    timer_set(&unwanted.timer, 0);
    timer_set(&last.timer, loop_now(bench->loop) + 0.05);
    loop_run(bench->loop);
    assert_int_equal(unwanted.calls, 0);
    assert_int_equal(last.calls, 1);
    timer_deinit(&unwanted.timer);
    timer_deinit(&last.timer);
}

/* ---- deferred work ---- */

struct later {
    struct loop_deferred deferred;
    struct loop *loop;
    unsigned *runs;
    struct later *next;
};

static void
on_deferred(struct loop_deferred *deferred)
{
    struct later *later = container_of(deferred, struct later, deferred);

    (*later->runs)++;
    if (later->next != NULL)
        loop_defer(later->loop, &later->next->deferred, on_deferred);
}

static void
test_what_is_deferred_runs_even_if_the_loop_never_does(void **state)
{
    struct bench *bench = *state;
    struct log *log = bench->log;
    struct loop *loop = loop_new(log, 2);
    unsigned runs = 0;
    struct later second = {.loop = loop, .runs = &runs};
    struct later first = {.loop = loop, .runs = &runs, .next = &second};

    loop_defer(loop, &first.deferred, on_deferred);
    assert_int_equal(runs, 0);
    loop_free(loop);
    assert_int_equal(runs, 2);
}

/* ---- messages ---- */

struct receiver {
    struct loop *loop;
    unsigned last[SENDERS];
    unsigned received;
    unsigned out_of_order;
};

struct note {
    struct loop_message message;
    struct receiver *receiver;
    unsigned sender;
    unsigned number;
};

struct sender {
    struct receiver *receiver;
    unsigned index;
};

static void
on_note(struct loop_message *message)
{
    struct note *note = container_of(message, struct note, message);
    struct receiver *receiver = note->receiver;

    if (note->number != receiver->last[note->sender] + 1)
        receiver->out_of_order++;
    receiver->last[note->sender] = note->number;
    if (++receiver->received == SENDERS * MESSAGES)
        loop_stop(receiver->loop);
    free(note);
}

static void *
send_notes(void *argument)
{
    const struct sender *sender = argument;
    unsigned i;

    for (i = 1; i <= MESSAGES; i++) {
        struct note *note = calloc(1, sizeof *note);

        if (note == NULL)
            abort();
        note->message.deliver = on_note;
        note->receiver = sender->receiver;
        note->sender = sender->index;
        note->number = i;
        loop_post(sender->receiver->loop, &note->message);
    }
    return NULL;
}

static void
test_messages_of_four_threads_arrive_once_and_in_order(void **state)
{
    struct bench *bench = *state;
    struct receiver receiver = {.loop = bench->loop};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    struct worker *worker = worker_start(bench->loop);
    unsigned i;

    assert_non_null(worker);
    for (i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&receiver, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_notes, &senders[i]), 0);
    }
    for (i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    worker_join(worker);
    assert_int_equal(receiver.received, SENDERS * MESSAGES);
    assert_int_equal(receiver.out_of_order, 0);
}

static void
on_late_note(struct loop_message *message)
{
    free(container_of(message, struct note, message));
}

static void
test_a_message_to_a_loop_that_has_ended_is_delivered_by_its_end(void **state)
{
    struct bench *bench = *state;
    struct note *note = calloc(1, sizeof *note);

    assert_non_null(note);
    note->message.deliver = on_late_note;
    loop_post(bench->loop, &note->message);
    /* The leak checker tells if nobody takes it. */
}

/* ---- deferred work and events that it feeds ---- */

struct chain {
    struct loop *loop;
    struct timer begin;
    struct loop_deferred first, second, last;
    ev_io fed; /* of no descriptor: it is fed by hand */
    unsigned order;
    unsigned first_at, second_at, last_at;
};

static void
on_last(struct loop_deferred *deferred)
{
    struct chain *chain = container_of(deferred, struct chain, last);

    chain->last_at = ++chain->order;
    loop_stop(chain->loop);
}

static void
on_fed(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct chain *chain = container_of(watcher, struct chain, fed);

    (void)ev;
    (void)events;
    loop_defer(chain->loop, &chain->last, on_last);
}

static void
on_first(struct loop_deferred *deferred)
{
    struct chain *chain = container_of(deferred, struct chain, first);

    chain->first_at = ++chain->order;
    ev_feed_event(loop_ev(chain->loop), &chain->fed, EV_READ);
}

static void
on_second(struct loop_deferred *deferred)
{
    struct chain *chain = container_of(deferred, struct chain, second);

    chain->second_at = ++chain->order;
}

static void
on_begin(struct timer *timer)
{
    struct chain *chain = container_of(timer, struct chain, begin);

    loop_defer(chain->loop, &chain->first, on_first);
    loop_defer(chain->loop, &chain->second, on_second);
}

static void
test_what_is_deferred_runs_in_order_and_before_the_loop_waits(void **state)
{
    struct bench *bench = *state;
    struct chain chain = {.loop = bench->loop};
    struct alarm too_late;
    double from = loop_clock();

    ev_init(&chain.fed, on_fed);
    timer_init(&chain.begin, bench->loop, on_begin);
    alarm_init(&too_late, bench->loop);
    timer_set(&chain.begin, loop_now(bench->loop) + 0.01);
    timer_set(&too_late.timer, loop_now(bench->loop) + 20);
    loop_run(bench->loop);
    assert_true(loop_clock() - from < 10);
    assert_int_equal(chain.first_at, 1);
    assert_int_equal(chain.second_at, 2);
    assert_int_equal(chain.last_at, 3);
    timer_deinit(&chain.begin);
    timer_deinit(&too_late.timer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_timer_that_is_moved_later_fires_once_and_not_before,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_that_is_moved_sooner_fires_sooner, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_may_be_set_again_in_its_callback, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_that_is_not_wanted_does_not_fire, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_deferred_runs_even_if_the_loop_never_does,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_what_is_deferred_runs_in_order_and_before_the_loop_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages_of_four_threads_arrive_once_and_in_order,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_message_to_a_loop_that_has_ended_is_delivered_by_its_end, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
