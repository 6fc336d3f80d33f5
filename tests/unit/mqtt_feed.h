/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mqtt_feed -- MQTT's packets as texts of hexadecimal digits and 'letters', and what a gate makes of them,
 * whole and cut at every byte.
 *
 *      what came out    "> 10 0a 00 04 'MQTT' ..."   to the broker; adjacent bytes are one run
 *                       "< 90 03 ..."                to the client
 *                       "! why"                      the end
 */
#ifndef CULVERT_TESTS_MQTT_FEED_H
#define CULVERT_TESTS_MQTT_FEED_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "proto/mqtt_gate.h"

struct feed_bytes {
    size_t len;
    uint8_t at[4096];
};

/* "00 04 'MQTT'" */
static inline struct feed_bytes
feed_read(const char *text)
{
    struct feed_bytes bytes = {0};

    while (*text != '\0') {
        assert(bytes.len < sizeof bytes.at);
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++)
                bytes.at[bytes.len++] = (uint8_t)*text;
            text++;
        } else {
            char digits[3] = {text[0], text[1], '\0'};
            bytes.at[bytes.len++] = (uint8_t)strtoul(digits, NULL, 16);
            text += 2;
        }
    }
    return bytes;
}

/* What came out, in order. */
struct feed_log {
    size_t len;
    char kind; /* of the current run */
    char text[65536];
};

static inline void
feed_put(struct feed_log *log, char kind, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    if (len == 0)
        return;
    if (log->kind != kind || kind == '<')
        log->len += (size_t)sprintf(log->text + log->len, "%s%c ", log->len > 0 ? "\n" : "", kind);
    log->kind = kind;
    for (size_t i = 0; i < len; i++) {
        assert(log->len + 8 < sizeof log->text);
        log->len += (size_t)sprintf(log->text + log->len, "%02x", at[i]);
    }
}

static inline void
feed_end(struct feed_log *log, const char *why)
{
    log->len += (size_t)sprintf(log->text + log->len, "%s! %s", log->len > 0 ? "\n" : "", why);
    log->kind = '!';
}

/* Feeds a part, which lies against a guard page. */
static inline void
feed_part(struct mqtt_gate *gate, struct guard *guard, const uint8_t *bytes, size_t len,
          struct feed_log *log)
{
    uint8_t *at = guard_end(guard, bytes, len);

    while (len > 0) {
        struct mqtt_gate_piece piece;
        size_t used = mqtt_gate_feed(gate, at, len, &piece);

        assert(used <= len && (used > 0 || piece.stop == MQTT_GATE_END));
        feed_put(log, '>', piece.pass, piece.pass_len);
        feed_put(log, '<', piece.answer, piece.answer_len);
        if (piece.stop == MQTT_GATE_END)
            feed_end(log, piece.why);
        if (used == 0)
            break;
        at += used;
        len -= used;
    }
    mqtt_gate_rest(gate);
}

/* first: bytes of the first part; step: of the others. */
static inline void
feed_cut(const struct mqtt_rules *rules, struct guard *guard, const struct feed_bytes *in,
         size_t first, size_t step, struct feed_log *log)
{
    struct mqtt_gate gate;
    size_t at = 0, n = first;

    log->len = 0;
    log->kind = '\0';
    log->text[0] = '\0';
    mqtt_gate_init(&gate, rules);
    while (at < in->len) {
        if (n > in->len - at)
            n = in->len - at;
        feed_part(&gate, guard, in->at + at, n, log);
        at += n;
        n = step;
    }
    mqtt_gate_deinit(&gate);
}

#endif
