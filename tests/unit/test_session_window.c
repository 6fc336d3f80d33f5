/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session keeps: messages to the client until they are acknowledged, and how far the target is
 * with the client's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/blob.h"
#include "client/intake.h"
#include "client/replay.h"

/* ---- replay ---- */

static void
add(struct replay *replay, size_t len)
{
    uint8_t bytes[4096] = {(uint8_t)(replay->last + 1)};
    struct blob *blob = blob_new(bytes, len, 0);

    assert_non_null(blob);
    assert_int_equal(replay_add(replay, blob), 0);
}

static void
the_window_lets_so_much_go(void **state)
{
    struct replay replay = {.window = 1000};

    (void)state;
    add(&replay, 468);
    add(&replay, 468);
    assert_int_equal(replay.allowed, 2); /* 2 * (468 + 32) is the window */
    add(&replay, 1);
    assert_int_equal(replay.allowed, 2);
    replay_ack(&replay, 1);
    assert_int_equal(replay.allowed, 3);
    assert_int_equal(replay.bytes, 533);
    assert_int_equal(replay_get(&replay, 2)->data[0], 2);
    assert_int_equal(replay_get(&replay, 3)->data[0], 3);
    replay_ack(&replay, 3);
    assert_int_equal(replay.bytes, 0);
    assert_null(replay.ring);
}

static void
one_that_is_larger_than_the_window_goes_alone(void **state)
{
    struct replay replay = {.window = 100};

    (void)state;
    add(&replay, 10);
    add(&replay, 4000);
    add(&replay, 4000);
    assert_int_equal(replay.allowed, 1);
    replay_ack(&replay, 1);
    assert_int_equal(replay.allowed, 2);
    replay_ack(&replay, 2);
    assert_int_equal(replay.allowed, 3);
    replay_deinit(&replay);
}

static void
the_ring_turns_and_grows(void **state)
{
    struct replay replay = {.window = 1 << 20};
    uint64_t acked = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        add(&replay, 1 + i % 7);
        if (i % 3 == 0)
            replay_ack(&replay, ++acked);
        for (uint64_t seq = acked + 1; seq <= replay.last; seq += 97)
            assert_int_equal(replay_get(&replay, seq)->data[0], (uint8_t)seq);
    }
    replay_ack(&replay, acked); /* again, and one that was earlier */
    replay_ack(&replay, 1);
    assert_int_equal(replay.acked, acked);
    replay_deinit(&replay);
    assert_int_equal(replay.bytes, 0);
}

/* ---- intake ---- */

static void
intake_receive(struct intake *intake, size_t len, size_t sent, size_t waiting)
{
    intake_add(intake, len, sent);
    intake_taken(intake, waiting);
}

static void
numbers_are_judged(void **state)
{
    struct intake intake = {.window = 1000};

    (void)state;
    assert_int_equal(intake_judge(&intake, 2, 1), INTAKE_GAP);
    assert_int_equal(intake_judge(&intake, 1, 5000), INTAKE_NEXT); /* alone it may be any */
    intake_receive(&intake, 500, 500, 500);
    assert_int_equal(intake_judge(&intake, 1, 1), INTAKE_REPEATED);
    assert_int_equal(intake_judge(&intake, 3, 1), INTAKE_GAP);
    assert_int_equal(intake_judge(&intake, 2, 1000 - 532 - 32), INTAKE_NEXT);
    assert_int_equal(intake_judge(&intake, 2, 1000 - 532 - 31), INTAKE_OVERRUN);
    intake_taken(&intake, 0);
    assert_int_equal(intake_judge(&intake, 2, 5000), INTAKE_NEXT);
    intake_deinit(&intake);
}

static void
what_the_target_takes_is_told(void **state)
{
    struct intake intake = {.window = 1600};
    size_t waiting = 0;

    (void)state;
    intake_receive(&intake, 100, 100, 0);
    assert_true(intake_is_untold(&intake));
    assert_false(intake_is_urgent(&intake));
    assert_int_equal(intake_tell(&intake), 1);
    assert_false(intake_is_untold(&intake));
    for (unsigned i = 0; i < 10; i++) {
        waiting += 100;
        intake_receive(&intake, 100, 100, waiting);
    }
    assert_int_equal(intake.consumed, 1);
    intake_taken(&intake, 901);
    assert_int_equal(intake.consumed, 1);
    intake_taken(&intake, 900);
    assert_int_equal(intake.consumed, 2);
    intake_taken(&intake, 401);
    assert_int_equal(intake.consumed, 6);
    assert_true(intake_is_urgent(&intake)); /* 5 * 132 of 1600 */
    intake_taken(&intake, SIZE_MAX);        /* it has gone: what waited is lost */
    assert_int_equal(intake.consumed, 6);
    intake_taken(&intake, 0);
    assert_int_equal(intake_tell(&intake), 11);
    assert_null(intake.marks);
    intake_deinit(&intake);
}

/* Never further than the target is, and not far behind, whatever the messages are. */
static void
marks_follow_the_target(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct intake intake = {.window = 4096 << seed % 5};
        uint64_t ends[4096], sent = 0, taken = 0;
        unsigned n = 0;

        srand(seed);
        while (n < 4000) {
            size_t len = (size_t)rand() % (seed % 2 ? 40 : 900);

            if (intake_judge(&intake, n + 1, len) == INTAKE_NEXT) {
                sent += len + 2;
                ends[++n] = sent;
                intake_receive(&intake, len, len + 2, sent - taken);
            } else {
                taken += (uint64_t)rand() % (sent - taken + 1);
                intake_taken(&intake, sent - taken);
            }
            assert_true(intake.consumed == 0 || ends[intake.consumed] <= taken);
            if (intake.consumed < n && ends[n] - ends[intake.consumed] == 0)
                continue;
            assert_true(intake.consumed == n ||
                        ends[intake.consumed + 1] + intake.window / 8 + 1000 > taken);
        }
        intake_deinit(&intake);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_lets_so_much_go),
        cmocka_unit_test(one_that_is_larger_than_the_window_goes_alone),
        cmocka_unit_test(the_ring_turns_and_grows),
        cmocka_unit_test(numbers_are_judged),
        cmocka_unit_test(what_the_target_takes_is_told),
        cmocka_unit_test(marks_follow_the_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
