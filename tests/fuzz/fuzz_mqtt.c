/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an MQTT client sends to a route with rules: the same comes of it however it is cut; what passes would
 * pass again; answers are whole packets. Input: three bytes that choose rules and cuts, then the client's.
 */
#include "fuzz.h"
#include "proto/mqtt_gate.h"

static char *const topics[] = {(char *)(uintptr_t) "chat/+", (char *)(uintptr_t) "u/${user}/#",
                               (char *)(uintptr_t) "${client_id}", NULL};
static char *const nothing[] = {NULL};

struct outcome {
    struct fuzz_log events;  /* all, in order */
    struct fuzz_log passed;  /* to the broker */
    struct mqtt_bounds said; /* of the answers */
    unsigned refused;
    bool over;
};

static struct mqtt_rules
choose_rules(unsigned which, unsigned sizes)
{
    return (struct mqtt_rules){
        .takes_3_1_1 = which % 8 != 7,
        .takes_5 = which % 8 != 6,
        .packet_max = sizes & 0x0f ? 8u << (sizes & 0x0f) % 8 : 0,
        .held_max = 16u << (sizes >> 4) % 8,
        .publish = which & 0x08   ? topics
                   : which & 0x10 ? nothing
                                  : NULL,
        .subscribe = which & 0x20 ? topics : NULL,
        .identity = {.client_id_prefix = which & 0x40 ? "web-" : "",
                     .username = which & 0x80 ? "web" : "",
                     .password = which & 0x01 ? "secret" : NULL},
    };
}

static void
note(struct outcome *outcome, const struct mqtt_gate_piece *piece)
{
    static const char *const marks[] = {"", "", "refused", "end"};

    CHECK(!outcome->over || (piece->pass_len == 0 && piece->answer_len == 0));
    CHECK(piece->stop == MQTT_GATE_END || piece->stop == MQTT_GATE_REFUSED ||
          piece->answer_len == 0);
    fuzz_log(&outcome->events, piece->pass, piece->pass_len);
    fuzz_log(&outcome->passed, piece->pass, piece->pass_len);
    fuzz_log(&outcome->events, marks[piece->stop], strlen(marks[piece->stop]));
    fuzz_log(&outcome->events, piece->answer, piece->answer_len);
    mqtt_bounds_skip(&outcome->said, piece->answer, piece->answer_len);
    CHECK(mqtt_bounds_between(&outcome->said));
    if (piece->stop == MQTT_GATE_END)
        fuzz_log(&outcome->events, piece->why, strlen(piece->why));
    outcome->refused += piece->stop == MQTT_GATE_REFUSED;
    outcome->over = outcome->over || piece->stop == MQTT_GATE_END;
}

/* A part that lies in memory of its own. */
static void
feed_part(struct mqtt_gate *gate, const uint8_t *data, size_t len, struct outcome *outcome)
{
    uint8_t *copy = fuzz_copy(data, len), *at = copy;

    while (len > 0 && !outcome->over) {
        struct mqtt_gate_piece piece;
        size_t used = mqtt_gate_feed(gate, at, len, &piece);

        CHECK(used <= len && (used > 0 || piece.stop == MQTT_GATE_END));
        CHECK(piece.stop != MQTT_GATE_INPUT || used == len);
        note(outcome, &piece);
        at += used;
        len -= used;
    }
    mqtt_gate_rest(gate);
    free(copy);
}

/* seed 0: whole; else the lengths of parts come of it. */
static void
feed(const struct mqtt_rules *rules, const uint8_t *data, size_t len, unsigned seed,
     struct outcome *outcome)
{
    struct mqtt_gate gate;
    unsigned max = seed % 4 == 0 ? 1 : seed % 4 * 9;

    memset(outcome, 0, sizeof *outcome);
    mqtt_gate_init(&gate, rules);
    while (len > 0) {
        size_t n = seed == 0 ? len : 1 + (seed >> 8) % max;

        seed = seed == 0 ? 0 : seed * 1103515245u + 12345u;
        n = n < len ? n : len;
        feed_part(&gate, data, n, outcome);
        data += n;
        len -= n;
    }
    mqtt_gate_deinit(&gate);
}

static void
forget(struct outcome *outcome)
{
    free(outcome->events.at);
    free(outcome->passed.at);
}

/* What has passed would pass again: only packets that are cut at the end may be held. */
static void
check_again(struct mqtt_rules rules, const struct outcome *outcome)
{
    struct outcome again;

    /* What was put in is the client's own now. */
    rules.packet_max = 0;
    rules.held_max = SIZE_MAX;
    rules.identity = (struct mqtt_identity){NULL, NULL, NULL};
    feed(&rules, outcome->passed.at, outcome->passed.len, 0, &again);
    CHECK(!again.over && again.refused == 0);
    CHECK(fuzz_log_same(&again.passed, &outcome->passed));
    forget(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    unsigned which = fuzz_byte(&in), sizes = fuzz_byte(&in), seed = fuzz_byte(&in);
    struct mqtt_rules rules = choose_rules(which, sizes);
    struct outcome whole, cut;

    feed(&rules, in.at, in.len, 0, &whole);
    feed(&rules, in.at, in.len, 1 + seed * 257u, &cut);
    CHECK(fuzz_log_same(&whole.events, &cut.events));
    CHECK(whole.over == cut.over);
    if ((which & 0x80) == 0) /* with a user name of ours nobody is who it said it was */
        check_again(rules, &whole);
    forget(&whole);
    forget(&cut);
    return 0;
}
