/* SPDX-License-Identifier: BSD-2-Clause */
/* Where packets begin and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "proto/mqtt_packet.h"

static struct guard area;

/* Table 2.1 of MQTT 5.0. */
static void
lengths(void **state)
{
    static const struct {
        uint32_t body;
        size_t len;
    } rows[] = {
        {0, 2},     {127, 2},     {128, 3},     {16383, 3},
        {16384, 4}, {2097151, 4}, {2097152, 5}, {MQTT_BODY_MAX, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[MQTT_HEADER_MAX];
        struct mqtt_header header;
        size_t len = mqtt_header_write(out, 0x32, rows[i].body);

        assert_int_equal(len, rows[i].len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(mqtt_header_read(guard_end(&area, out, cut), cut, &header), MQTT_CUT);
        assert_int_equal(mqtt_header_read(guard_end(&area, out, len), len, &header), MQTT_FOUND);
        assert_int_equal(header.body, rows[i].body);
        assert_int_equal(header.len, len);
        assert_int_equal(mqtt_type_of(&header), MQTT_PUBLISH);
        assert_int_equal(mqtt_size_of(&header), len + rows[i].body);
    }
}

static void
a_length_of_five_bytes(void **state)
{
    static const uint8_t bytes[] = {0x30, 0x80, 0x80, 0x80, 0x80};
    struct mqtt_header header;

    (void)state;
    assert_int_equal(mqtt_header_read(bytes, 4, &header), MQTT_CUT);
    assert_int_equal(mqtt_header_read(bytes, 5, &header), MQTT_WRONG);
}

/* Three packets: of no body, of a longer length than need be, and of 200 bytes. */
static size_t
three(uint8_t *out)
{
    static const uint8_t first[] = {0xd0, 0, 0x40, 0x82, 0x00, 1, 2};

    memcpy(out, first, sizeof first);
    out[7] = 0x30;
    out[8] = (200 & 0x7f) | 0x80;
    out[9] = 1;
    memset(out + 10, 0xff, 200);
    return 210;
}

static void
bounds_of_any_cut(void **state)
{
    uint8_t bytes[256];
    size_t len = three(bytes);

    (void)state;
    for (size_t cut = 1; cut <= len; cut++) {
        struct mqtt_bounds bounds = {.left = 0};
        size_t at = 0;

        while (at < len) {
            size_t n = cut < len - at ? cut : len - at;
            size_t used = mqtt_bounds_next(&bounds, guard_end(&area, bytes + at, n), n);

            assert_in_range(used, 1, n);
            at += used;
            assert_int_equal(mqtt_bounds_between(&bounds), at == 2 || at == 7 || at == len);
        }
    }
}

static void
what_is_no_packet_has_no_end(void **state)
{
    static const uint8_t bytes[] = {0xd0, 0, 0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xd0, 0};
    struct mqtt_bounds bounds = {.left = 0};

    (void)state;
    assert_int_equal(mqtt_bounds_next(&bounds, bytes, sizeof bytes), 2);
    assert_true(mqtt_bounds_between(&bounds));
    mqtt_bounds_skip(&bounds, bytes + 2, sizeof bytes - 2);
    assert_false(mqtt_bounds_between(&bounds));
    mqtt_bounds_skip(&bounds, bytes, 2);
    assert_false(mqtt_bounds_between(&bounds));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),
        cmocka_unit_test(a_length_of_five_bytes),
        cmocka_unit_test(bounds_of_any_cut),
        cmocka_unit_test(what_is_no_packet_has_no_end),
    };
    int failed;

    area = guard_open(256);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_close(&area);
    return failed;
}
