/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a client's packets reaches the broker, and what it is told instead; cut at every byte. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mqtt_feed.h"

static struct guard area;

static struct mqtt_rules
no_rules(void)
{
    return (struct mqtt_rules){.takes_3_1_1 = true, .takes_5 = true, .held_max = 1024};
}

static char *const chat[] = {(char *)(uintptr_t) "chat/+", (char *)(uintptr_t) "up/${client_id}/#",
                             (char *)(uintptr_t) "by/${user}", NULL};
static char *const nothing[] = {NULL};

static struct mqtt_rules
topics(void)
{
    struct mqtt_rules rules = no_rules();

    rules.publish = rules.subscribe = chat;
    return rules;
}

/* The same in hexadecimal digits without blanks. */
static void
plain(const char *text, char *out)
{
    while (*text != '\0') {
        if (*text == '\'') {
            for (text++; *text != '\''; text++)
                out += sprintf(out, "%02x", (unsigned char)*text);
            text++;
        } else if (*text == '>' || *text == '<') {
            out += sprintf(out, "%c ", *text++);
        } else if (*text == '!') {
            out = stpcpy(out, text);
            text = "";
        } else if (*text++ != ' ') {
            *out++ = text[-1];
        }
    }
    *out = '\0';
}

/* expected: lines of what comes out. */
static void
gives(const struct mqtt_rules *rules, const char *text, const char *expected)
{
    static struct feed_log log;
    static char wanted[65536];
    struct feed_bytes in = feed_read(text);

    plain(expected, wanted);
    for (size_t step = 1; step <= in.len; step++) {
        feed_cut(rules, &area, &in, step, step, &log);
        assert_string_equal(log.text, wanted);
    }
    for (size_t first = 1; first < in.len; first++) {
        feed_cut(rules, &area, &in, first, in.len, &log);
        assert_string_equal(log.text, wanted);
    }
}

#define CONNECT3 "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 'c'"
#define CONNECT5 "10 0e 00 04 'MQTT' 05 02 00 3c 00 00 01 'c'"
/* With the user name "ann". */
#define ANN3 "10 12 00 04 'MQTT' 04 82 00 3c 00 01 'c' 00 03 'ann'"
#define ANN5 "10 13 00 04 'MQTT' 05 82 00 3c 00 00 01 'c' 00 03 'ann'"

/* ---- what passes ---- */

static void
everything_without_rules(void **state)
{
    struct mqtt_rules rules = no_rules();

    (void)state;
    gives(&rules, CONNECT3 "30 05 00 01 'a' 'xy' 82 06 00 01 00 01 '#' 00 c0 00 f0 00 e0 00",
          "> " CONNECT3 "30 05 00 01 'a' 'xy' 82 06 00 01 00 01 '#' 00 c0 00 f0 00 e0 00");
    gives(&rules, CONNECT5 "30 00 82 00 f0 02 18 00 e0 02 04 00",
          "> " CONNECT5 "30 00 82 00 f0 02 18 00 e0 02 04 00");
    /* A length that is longer than need be. */
    gives(&rules, CONNECT3 "c0 80 80 00 c0 00", "> " CONNECT3 "c0 80 80 00 c0 00");
}

static void
allowed_topics(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    gives(&rules,
          ANN3 "30 09 00 06 'chat/a' 'x' 32 0b 00 06 'up/c/x' 00 07 'x' 34 0a 00 06 'by/ann' 00 07"
               "c0 00",
          "> " ANN3
          "30 09 00 06 'chat/a' 'x' 32 0b 00 06 'up/c/x' 00 07 'x' 34 0a 00 06 'by/ann' 00 07"
          "c0 00");
    gives(&rules,
          ANN5 "30 0a 00 06 'chat/a' 00 'x' 82 19 00 01 00 00 06 'chat/#' 00"
               "00 0a '$share/g/x' 00",
          "> " ANN5 "30 0a 00 06 'chat/a' 00 'x'\n< 90 05 00 01 00 87 87");
    gives(&rules, ANN5 "82 1e 00 01 00 00 06 'chat/+' 00 00 0f '$share/g/chat/a' 02",
          "> " ANN5 "82 1e 00 01 00 00 06 'chat/+' 00 00 0f '$share/g/chat/a' 02");
}

/* All properties of PUBLISH, and then a payload that looks like packets. */
static void
properties_and_payload(void **state)
{
#define FULL                                                                                       \
    "32 3f 00 06 'chat/a' 00 01 26 01 01 02 00 00 00 05 03 00 01 't' 08 00 01 'r' 09 00 02 00 ff " \
    "0b 80 01 23 00 05 26 00 01 'k' 00 01 'v' 26 00 00 00 00 'payload 10 00' 00"
    struct mqtt_rules rules = topics();

    (void)state;
    gives(&rules, CONNECT5 FULL "c0 00", "> " CONNECT5 FULL "c0 00");
#undef FULL
}

/* ---- what does not ---- */

static void
refused_publish(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    /* 3.1.1 has no words. */
    gives(&rules, CONNECT3 "c0 00 30 06 00 03 'abc' 'x' c0 00",
          "> " CONNECT3 "c0 00\n! publishing to a topic is not allowed");
    gives(&rules, CONNECT3 "32 07 00 03 'abc' 00 01 c0 00",
          "> " CONNECT3 "\n! publishing to a topic is not allowed");
    /* 5 has for QoS 1 and 2, and goes on. */
    gives(&rules, CONNECT5 "30 07 00 03 'abc' 00 'x' c0 00",
          "> " CONNECT5 "\n< e0 02 87 00\n! publishing to a topic is not allowed");
    gives(&rules,
          CONNECT5 "32 0b 00 03 'abc' 12 34 00 'xyz' c0 00 34 08 00 03 'abc' 00 01 00 c0 00",
          "> " CONNECT5 "\n< 40 04 12 34 87 00\n> c0 00\n< 50 04 00 01 87 00\n> c0 00");
    rules.publish = nothing;
    gives(&rules, CONNECT5 "32 08 00 03 'abc' 12 34 00 32 08 00 03 'abc' 12 35 00",
          "> " CONNECT5 "\n< 40 04 12 34 87 00\n< 40 04 12 35 87 00");
}

static void
refused_subscribe(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    gives(&rules, CONNECT3 "82 0f 00 09 00 06 'chat/a' 01 00 01 '#' 00 c0 00",
          "> " CONNECT3 "\n< 90 04 00 09 80 80\n> c0 00");
    gives(&rules, CONNECT5 "82 12 00 09 02 0b 05 00 06 'chat/a' 01 00 01 '#' 00 c0 00",
          "> " CONNECT5 "\n< 90 05 00 09 00 80 87\n> c0 00");
    /* No name, no place. */
    gives(&rules, CONNECT5 "82 0b 00 09 00 00 05 'by/an' 00",
          "> " CONNECT5 "\n< 90 04 00 09 00 87");
}

static void
topic_aliases(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    gives(&rules,
          CONNECT5 "30 0c 00 06 'chat/a' 03 23 00 09" /* 9 is chat/a */
                   "30 06 00 00 03 23 00 09"
                   "32 09 00 01 'x' 00 01 03 23 00 09" /* x, for the client */
                   "32 08 00 00 00 02 03 23 00 09"
                   "30 0c 00 06 'chat/b' 03 23 00 09"
                   "30 06 00 00 03 23 00 09"
                   "32 08 00 00 00 03 03 23 ff ff",
          "> " CONNECT5 "30 0c 00 06 'chat/a' 03 23 00 09 30 06 00 00 03 23 00 09"
          "\n< 40 04 00 01 87 00\n< 40 04 00 02 87 00"
          "\n> 30 0c 00 06 'chat/b' 03 23 00 09 30 06 00 00 03 23 00 09\n< 40 04 00 03 87 00");
    gives(&rules, CONNECT5 "30 0c 00 06 'chat/a' 03 23 00 00",
          "> " CONNECT5 "\n< e0 02 94 00\n! the topic alias 0");
    gives(&rules, CONNECT5 "30 0f 00 06 'chat/a' 06 23 00 01 23 00 01",
          "> " CONNECT5 "\n< e0 02 82 00\n! two topic aliases");
    gives(&rules, CONNECT5 "30 03 00 00 00",
          "> " CONNECT5 "\n< e0 02 82 00\n! PUBLISH without a topic");
}

static void
wills(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    gives(&rules, "10 14 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 01 'w' 00 02 'xy'",
          "< 20 02 00 05\n! the topic of the will is not allowed");
    gives(&rules,
          "10 1b 00 04 'MQTT' 05 06 00 3c 00 00 01 'c' 05 18 00 00 00 07 00 01 'w' 00 02 'xy'",
          "< 20 03 00 87 00\n! the topic of the will is not allowed");
    gives(&rules,
          "10 20 00 04 'MQTT' 05 06 00 3c 00 00 01 'c' 05 18 00 00 00 07 00 06 'chat/w' 00 02 'xy'",
          "> 10 20 00 04 'MQTT' 05 06 00 3c 00 00 01 'c' 05 18 00 00 00 07 00 06 'chat/w' 00 02 "
          "'xy'");
    gives(&rules, "10 14 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 01 '#' 00 02 'xy'",
          "! the topic of a will is none");
}

static void
versions(void **state)
{
    struct mqtt_rules rules = no_rules();

    (void)state;
    gives(&rules, "10 0f 00 06 'MQIsdp' 03 02 00 3c 00 01 'c'",
          "< 20 02 00 01\n! MQTT 3.1 is too old");
    gives(&rules, "10 0d 00 04 'MQTT' 06 02 00 3c 00 01 'c'",
          "< 20 02 00 01\n! an unknown version of MQTT");
    gives(&rules, "10 0d 00 04 'AMQP' 04 02 00 3c 00 01 'c'", "! CONNECT names another protocol");
    rules.takes_5 = false;
    gives(&rules, CONNECT3, "> " CONNECT3);
    gives(&rules, CONNECT5, "< 20 03 00 84 00\n! a version of MQTT that is not taken here");
    rules.takes_5 = true;
    rules.takes_3_1_1 = false;
    gives(&rules, CONNECT5, "> " CONNECT5);
    gives(&rules, CONNECT3, "< 20 02 00 01\n! a version of MQTT that is not taken here");
}

static void
sizes(void **state)
{
    struct mqtt_rules rules = no_rules();

    (void)state;
    rules.packet_max = 16;
    gives(&rules,
          CONNECT3 "30 0e 00 01 'a' 'xxxxxxxxxxx'"
                   "30 0f 00 01 'a' 'xxxxxxxxxxxx'",
          "> " CONNECT3 "30 0e 00 01 'a' 'xxxxxxxxxxx'\n! a packet is too large");
    gives(&rules, CONNECT5 "c0 00 30 ff ff ff 7f",
          "> " CONNECT5 "c0 00\n< e0 02 95 00\n! a packet is too large");
    gives(&rules, "10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'cc'",
          "< 20 03 00 95 00\n! a packet is too large");
    gives(&rules, "10 0f 00 04 'MQTT' 04 02 00 3c 00 03 'ccc'", "! a packet is too large");
    rules = topics();
    rules.held_max = 20;
    /* A payload is not held, what comes before it is. */
    gives(&rules, CONNECT5 "30 1e 00 06 'chat/a' 00 'xxxxxxxxxxxxxxxxxxxxx'",
          "> " CONNECT5 "30 1e 00 06 'chat/a' 00 'xxxxxxxxxxxxxxxxxxxxx'");
    gives(&rules, CONNECT5 "30 1e 00 06 'chat/a' 14 26 00 0f 'xxxxxxxxxxxxxxx' 00 00",
          "> " CONNECT5 "\n< e0 02 95 00\n! too much before the payload");
    gives(&rules, CONNECT3 "82 14 00 01 00 0f 'chat/xxxxxxxxxx' 00",
          "> " CONNECT3 "\n! a packet is too large");
}

static void
the_first_packet_and_the_second_connect(void **state)
{
    struct mqtt_rules rules = no_rules();

    (void)state;
    gives(&rules, "c0 00" CONNECT3, "! the first packet is no CONNECT");
    gives(&rules, "'GET / HTTP/1.1'", "! the first packet is no CONNECT");
    gives(&rules, CONNECT3 CONNECT3, "> " CONNECT3 "\n! a second CONNECT");
    gives(&rules, CONNECT5 "c0 00 10 00", "> " CONNECT5 "c0 00\n< e0 02 82 00\n! a second CONNECT");
}

static void
malformed(void **state)
{
    static const struct {
        const char *packet, *why;
    } rows[] = {
        {"c0 80 80 80 80 01", "the length of a packet is malformed"},
        {"00 00", "a packet of type 0"},
        {"36 06 00 06 'chat'", "the flags of PUBLISH contradict each other"},
        {"38 06 00 06 'chat'", "the flags of PUBLISH contradict each other"},
        {"30 08 00 06 'chat/' ff", "a text is not UTF-8, or holds NUL"},
        {"30 08 00 06 'chat/' 00", "a text is not UTF-8, or holds NUL"},
        {"30 08 00 06 'chat/+'", "the topic of PUBLISH is none"},
        {"30 07 00 06 'chat/'", "a packet ends inside a field"},
        {"30 00", "a packet ends inside a field"},
        {"32 09 00 06 'chat/a' 00", "a packet ends inside a field"},
        {"32 0a 00 06 'chat/a' 00 00", "the packet identifier 0"},
        {"80 0b 00 01 00 06 'chat/a' 00", "the flags of SUBSCRIBE are not its own"},
        {"82 0b 00 00 00 06 'chat/a' 00", "the packet identifier 0"},
        {"82 02 00 01", "a packet ends inside a field"},
        {"82 0a 00 01 00 06 'chat/a'", "a packet ends inside a field"},
        {"82 0c 00 01 00 06 'chat/a' 00 00", "a packet ends inside a field"},
    };
    struct mqtt_rules rules = topics();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512], expected[512];

        snprintf(text, sizeof text, CONNECT3 "c0 00 %s c0 00", rows[i].packet);
        snprintf(expected, sizeof expected, "> " CONNECT3 "c0 00\n! %s", rows[i].why);
        gives(&rules, text, expected);
    }
    gives(&rules, CONNECT5 "30 0b 00 06 'chat/a' 02 99 00",
          "> " CONNECT5 "\n< e0 02 81 00\n! a property that PUBLISH does not have");
    gives(&rules, CONNECT5 "30 0a 00 06 'chat/a' 01 23",
          "> " CONNECT5 "\n< e0 02 81 00\n! a packet ends inside a field");
    gives(&rules, CONNECT5 "30 0d 00 06 'chat/a' ff ff ff ff 01",
          "> " CONNECT5 "\n< e0 02 81 00\n! a number of more than four bytes");
}

static void
malformed_connects(void **state)
{
    static const struct {
        const char *packet, *words, *why;
    } rows[] = {
        {"11 0d 00 04 'MQTT' 05 02 00 3c 00 01 'c'", "", "the flags of CONNECT are not its own"},
        {"10 0e 00 04 'MQTT' 05 03 00 3c 00 00 01 'c'", "< 20 03 00 81 00\n",
         "the flags of CONNECT contradict each other"},
        {"10 0e 00 04 'MQTT' 05 12 00 3c 00 00 01 'c'", "< 20 03 00 81 00\n",
         "the flags of CONNECT contradict each other"},
        {"10 0d 00 04 'MQTT' 04 42 00 3c 00 01 'c'", "", "a password without a user name"},
        {"10 0e 00 04 'MQTT' 05 02 00 3c 00 00 02 'c'", "< 20 03 00 81 00\n",
         "a packet ends inside a field"},
        {"10 0f 00 04 'MQTT' 05 02 00 3c 00 00 01 'cc'", "< 20 03 00 81 00\n",
         "bytes behind the end of a packet"},
        {"10 0e 00 04 'MQTT' 05 02 00 3c 00 00 01 00", "< 20 03 00 81 00\n",
         "a text is not UTF-8, or holds NUL"},
        {"10 00", "", "a packet ends inside a field"},
        {"10 06 00 04 'MQTT'", "", "a packet ends inside a field"},
    };
    struct mqtt_rules rules = no_rules();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[512];

        snprintf(expected, sizeof expected, "%s! %s", rows[i].words, rows[i].why);
        gives(&rules, rows[i].packet, expected);
    }
}

/* ---- who it is at the broker ---- */

static void
other_identities(void **state)
{
    struct mqtt_rules rules = no_rules();

    (void)state;
    rules.identity.client_id_prefix = "web-";
    gives(&rules, CONNECT3 "c0 00", "> 10 11 00 04 'MQTT' 04 02 00 3c 00 05 'web-c' c0 00");
    gives(&rules, ANN5, "> 10 17 00 04 'MQTT' 05 82 00 3c 00 00 05 'web-c' 00 03 'ann'");
    gives(&rules, "10 0c 00 04 'MQTT' 04 02 00 3c 00 00",
          "< 20 02 00 02\n! a client identifier is needed here");
    gives(&rules, "10 0d 00 04 'MQTT' 05 02 00 3c 00 00 00",
          "< 20 03 00 85 00\n! a client identifier is needed here");
    rules.identity = (struct mqtt_identity){.username = "web", .password = "pw"};
    gives(&rules, CONNECT3, "> 10 16 00 04 'MQTT' 04 c2 00 3c 00 01 'c' 00 03 'web' 00 02 'pw'");
    gives(&rules, ANN5, "> 10 17 00 04 'MQTT' 05 c2 00 3c 00 00 01 'c' 00 03 'web' 00 02 'pw'");
    /* A will, and a password that is not ours: it goes with the user name. */
    rules.identity.password = NULL;
    gives(&rules,
          "10 1c 00 04 'MQTT' 04 c6 00 3c 00 01 'c' 00 01 'w' 00 01 'x' 00 03 'ann' 00 02 00 ff",
          "> 10 18 00 04 'MQTT' 04 86 00 3c 00 01 'c' 00 01 'w' 00 01 'x' 00 03 'web'");
}

static void
the_prefix_belongs_to_the_identifier(void **state)
{
    struct mqtt_rules rules = topics();

    (void)state;
    rules.identity.client_id_prefix = "w";
    gives(&rules, CONNECT5 "30 0a 00 07 'up/wc/x' 00 30 09 00 06 'up/c/x' 00",
          "> 10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'wc' 30 0a 00 07 'up/wc/x' 00"
          "\n< e0 02 87 00\n! publishing to a topic is not allowed");
}

/* S19 */
static void
names_that_are_no_level(void **state)
{
    static const char *const names[] = {"+", "#", "/", "a/b"};
    struct mqtt_rules rules = topics();

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[512], expected[512];
        int len = (int)strlen(names[i]);

        snprintf(text, sizeof text,
                 "10 %02x 00 04 'MQTT' 05 82 00 3c 00 00 %02x '%s' 00 %02x '%s'"
                 "82 %02x 00 01 00 00 %02x 'by/%s' 00 82 %02x 00 02 00 00 %02x 'up/%s/x' 00",
                 15 + 2 * len, len, names[i], len, names[i], 9 + len, 3 + len, names[i], 11 + len,
                 5 + len, names[i]);
        snprintf(expected, sizeof expected,
                 "> 10 %02x 00 04 'MQTT' 05 82 00 3c 00 00 %02x '%s' 00 %02x '%s'"
                 "\n< 90 04 00 01 00 87\n< 90 04 00 02 00 87",
                 15 + 2 * len, len, names[i], len, names[i]);
        gives(&rules, text, expected);
    }
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t
live_bytes(void)
{
    if (__sanitizer_get_current_allocated_bytes != NULL)
        return __sanitizer_get_current_allocated_bytes();
    return mallinfo2().uordblks;
}

/* S19: a million clients that connect and publish leave nothing behind. */
static void
memory_is_flat(void **state)
{
    struct mqtt_rules rules = topics();
    struct feed_bytes in =
        feed_read(ANN5 "30 0c 00 06 'chat/a' 03 23 00 09 32 0b 00 03 'abc' 12 34 00 'xyz'");
    struct mqtt_gate_piece piece;
    size_t before = 0;
    unsigned refused = 0;

    (void)state;
    rules.identity.client_id_prefix = "web-";
    for (unsigned i = 0; i < 1000000; i++) {
        struct mqtt_gate gate;
        size_t at = 0, cut = i % in.len + 1;

        mqtt_gate_init(&gate, &rules);
        while (at < in.len) {
            at += mqtt_gate_feed(&gate, in.at + at, at < cut ? cut - at : in.len - at, &piece);
            refused += piece.stop == MQTT_GATE_REFUSED;
        }
        mqtt_gate_deinit(&gate);
        if (i == 1000)
            before = live_bytes();
    }
    assert_int_equal(live_bytes(), before);
    assert_int_equal(refused, 1000000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_without_rules),
        cmocka_unit_test(allowed_topics),
        cmocka_unit_test(properties_and_payload),
        cmocka_unit_test(refused_publish),
        cmocka_unit_test(refused_subscribe),
        cmocka_unit_test(topic_aliases),
        cmocka_unit_test(wills),
        cmocka_unit_test(versions),
        cmocka_unit_test(sizes),
        cmocka_unit_test(the_first_packet_and_the_second_connect),
        cmocka_unit_test(malformed),
        cmocka_unit_test(malformed_connects),
        cmocka_unit_test(other_identities),
        cmocka_unit_test(the_prefix_belongs_to_the_identifier),
        cmocka_unit_test(names_that_are_no_level),
        cmocka_unit_test(memory_is_flat),
    };
    int failed;

    area = guard_open(sizeof((struct feed_bytes *)NULL)->at);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_close(&area);
    return failed;
}
