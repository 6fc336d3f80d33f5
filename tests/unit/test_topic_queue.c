/* SPDX-License-Identifier: BSD-2-Clause */
/* What waits for a subscriber, against a plain model of what each policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topic/message.h"
#include "topic/queue.h"

static struct topic_message *
make(const char *topic, uint64_t number, size_t len)
{
    static const char zeros[4096];
    struct topic_message *message = topic_message_new(topic, strlen(topic), zeros, len, false);

    assert_non_null(message);
    message->number = number;
    return message;
}

static enum queue_result
add(struct queue *queue, const struct queue_rule *rule, const char *topic, uint64_t number,
    size_t len)
{
    struct topic_message *message = make(topic, number, len);
    enum queue_result result = queue_add(queue, rule, message);

    topic_message_unref(message);
    return result;
}

/* "d3 7 8 R D U": dropped, numbers, reset, down, up. */
static void
assert_queue(const struct queue *queue, const char *expected)
{
    char text[1024];
    size_t len = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < queue->n; i++) {
        const struct queue_item *item = queue_at(queue, i);
        char sep[] = " ";

        sep[0] = i == 0 ? '\0' : ' ';
        if (item->kind == QUEUE_MESSAGE)
            len += (size_t)sprintf(text + len, "%s%u", sep, (unsigned)item->message->number);
        else if (item->kind == QUEUE_DROPPED)
            len += (size_t)sprintf(text + len, "%sd%u", sep, item->count);
        else
            len += (size_t)sprintf(text + len, "%s%c", sep, "??RDU"[item->kind]);
    }
    assert_string_equal(text, expected);
}

static void
drop_oldest(void **state)
{
    const struct queue_rule rule = {3, 1000, CONF_OVERFLOW_DROP_OLDEST};
    struct queue queue = {.n = 0};

    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(add(&queue, &rule, "a", i, 10), QUEUE_TAKEN);
    assert_queue(&queue, "1 2 3");
    assert_int_equal(add(&queue, &rule, "a", 4, 10), QUEUE_LOST);
    assert_queue(&queue, "d1 2 3 4");
    assert_int_equal(add(&queue, &rule, "a", 5, 10), QUEUE_LOST);
    assert_queue(&queue, "d2 3 4 5");
    /* By bytes: two have to go for one. */
    assert_int_equal(add(&queue, &rule, "a", 6, 991), QUEUE_LOST);
    assert_queue(&queue, "d5 6");
    /* What is larger than the queue is lost itself. */
    assert_int_equal(add(&queue, &rule, "a", 7, 1001), QUEUE_LOST);
    assert_queue(&queue, "d5 6 d1");
    queue_drop(&queue, 2);
    assert_queue(&queue, "d1");
    assert_int_equal(queue.bytes, 0);
    /* But for one that finds none before it. */
    assert_int_equal(add(&queue, &rule, "a", 8, 1001), QUEUE_TAKEN);
    assert_queue(&queue, "d1 8");
    assert_int_equal(add(&queue, &rule, "a", 9, 10), QUEUE_LOST);
    assert_queue(&queue, "d2 9");
    queue_clear(&queue);
    assert_null(queue.ring);
}

static void
marks_stay(void **state)
{
    const struct queue_rule rule = {2, 1000, CONF_OVERFLOW_DROP_OLDEST};
    struct queue queue = {.n = 0};

    (void)state;
    assert_int_equal(queue_mark(&queue, QUEUE_DOWN, 0), 0);
    assert_int_equal(queue_mark(&queue, QUEUE_DOWN, 0), 0);
    assert_int_equal(add(&queue, &rule, "a", 1, 1), QUEUE_TAKEN);
    assert_int_equal(queue_mark(&queue, QUEUE_UP, 0), 0);
    assert_int_equal(queue_mark(&queue, QUEUE_RESET, 0), 0);
    assert_int_equal(add(&queue, &rule, "a", 2, 1), QUEUE_TAKEN);
    assert_queue(&queue, "D 1 U R 2");
    assert_int_equal(add(&queue, &rule, "a", 3, 1), QUEUE_LOST);
    assert_queue(&queue, "D d1 U R 2 3");
    assert_int_equal(add(&queue, &rule, "a", 4, 1), QUEUE_LOST);
    assert_queue(&queue, "D d1 U R d1 3 4");
    assert_int_equal(add(&queue, &rule, "a", 5, 1), QUEUE_LOST);
    assert_queue(&queue, "D d1 U R d2 4 5");
    queue_clear(&queue);
}

/* Of a loss it is the place of the first: what is told of a later one would hide it. */
static void
items_have_their_place(void **state)
{
    const struct queue_rule oldest = {2, 1000, CONF_OVERFLOW_DROP_OLDEST};
    const struct queue_rule newest = {1, 1000, CONF_OVERFLOW_DROP_NEWEST};
    struct queue queue = {.n = 0};

    (void)state;
    for (uint64_t i = 11; i <= 15; i++)
        (void)add(&queue, &oldest, "a", i, 1);
    assert_queue(&queue, "d3 14 15");
    assert_int_equal(queue_number(queue_at(&queue, 0)), 11);
    assert_int_equal(queue_number(queue_at(&queue, 1)), 14);
    (void)add(&queue, &newest, "a", 16, 1);
    (void)add(&queue, &newest, "a", 17, 1);
    assert_int_equal(queue_mark(&queue, QUEUE_DOWN, 17), 0);
    assert_queue(&queue, "d3 14 15 d2 D");
    assert_int_equal(queue_number(queue_at(&queue, 3)), 16);
    assert_int_equal(queue_number(queue_at(&queue, 4)), 17);
    queue_clear(&queue);
}

static void
drop_newest(void **state)
{
    const struct queue_rule rule = {2, 1000, CONF_OVERFLOW_DROP_NEWEST};
    struct queue queue = {.n = 0};

    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(add(&queue, &rule, "a", i, 1), i <= 2 ? QUEUE_TAKEN : QUEUE_LOST);
    assert_queue(&queue, "1 2 d3");
    queue_drop(&queue, 1);
    assert_int_equal(add(&queue, &rule, "a", 6, 1), QUEUE_TAKEN);
    assert_int_equal(add(&queue, &rule, "a", 7, 1), QUEUE_LOST);
    assert_queue(&queue, "2 d3 6 d1");
    queue_clear(&queue);
}

static void
coalesce(void **state)
{
    const struct queue_rule rule = {4, 1000, CONF_OVERFLOW_COALESCE};
    struct queue queue = {.n = 0};

    (void)state;
    (void)add(&queue, &rule, "a", 1, 1);
    (void)add(&queue, &rule, "b", 2, 1);
    (void)add(&queue, &rule, "a", 3, 1);
    (void)add(&queue, &rule, "c", 4, 1);
    assert_queue(&queue, "1 2 3 4"); /* nothing is lost while there is room */
    assert_int_equal(add(&queue, &rule, "c", 5, 1), QUEUE_TAKEN);
    assert_queue(&queue, "2 3 5"); /* the latest of each */
    assert_int_equal(add(&queue, &rule, "d", 6, 1), QUEUE_TAKEN);
    assert_int_equal(add(&queue, &rule, "b", 7, 1), QUEUE_TAKEN);
    assert_queue(&queue, "3 5 6 7");
    /* A topic too many: the oldest value is lost, and that is told. */
    assert_int_equal(add(&queue, &rule, "e", 8, 1), QUEUE_LOST);
    assert_queue(&queue, "d1 5 6 7 8");
    assert_int_equal(add(&queue, &rule, "c", 9, 1), QUEUE_TAKEN);
    assert_queue(&queue, "d1 6 7 8 9");
    queue_clear(&queue);
}

static void
disconnect(void **state)
{
    const struct queue_rule rule = {2, 100, CONF_OVERFLOW_DISCONNECT};
    struct queue queue = {.n = 0};

    (void)state;
    assert_int_equal(add(&queue, &rule, "a", 1, 50), QUEUE_TAKEN);
    assert_int_equal(add(&queue, &rule, "a", 2, 50), QUEUE_OVER);
    assert_int_equal(add(&queue, &rule, "a", 3, 1), QUEUE_TAKEN);
    assert_int_equal(add(&queue, &rule, "a", 4, 1), QUEUE_OVER);
    assert_queue(&queue, "1 3");
    queue_clear(&queue);
}

/* What was added is there, or counted as dropped, in order: whatever happens. */
static void
nothing_is_forgotten(void **state)
{
    static const char *const topics[] = {"a", "b", "c", "d/e", "f"};

    (void)state;
    srand(7);
    for (unsigned round = 0; round < 300; round++) {
        enum conf_overflow overflow = (enum conf_overflow)(round % 2);
        const struct queue_rule rule = {(size_t)(1 + rand() % 9), (size_t)(50 + rand() % 400),
                                        overflow};
        struct queue queue = {.n = 0};
        uint64_t added = 0, accounted = 0, last = 0;

        for (unsigned step = 0; step < 200 || queue.n > 0; step++) {
            if (step < 200 && rand() % 4 != 0)
                (void)add(&queue, &rule, topics[rand() % 5], ++added, (size_t)(rand() % 100));
            else if (step < 200 && rand() % 8 == 0)
                assert_int_equal(queue_mark(&queue, QUEUE_RESET, 0), 0);
            else if (queue.n > 0) {
                const struct queue_item *item = queue_at(&queue, 0);

                if (item->kind == QUEUE_MESSAGE) {
                    assert_true(item->message->number > last);
                    last = item->message->number;
                    accounted++;
                } else if (item->kind == QUEUE_DROPPED) {
                    assert_true(item->count > 0);
                    accounted += item->count;
                }
                queue_drop(&queue, 1);
            }
            assert_true(queue.n_messages <= rule.messages_max);
            assert_true(queue.bytes <= rule.bytes_max || queue.n_messages == 1);
        }
        assert_int_equal(accounted, added);
        assert_null(queue.ring);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drop_oldest),
        cmocka_unit_test(marks_stay),
        cmocka_unit_test(items_have_their_place),
        cmocka_unit_test(drop_newest),
        cmocka_unit_test(coalesce),
        cmocka_unit_test(disconnect),
        cmocka_unit_test(nothing_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
