/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *      feed ──→ header ──┬─ of no interest ─────────────────→ pass its body as it comes
 *        ↑               └─ judged by its type ─┬─ CUT ─────→ hold what there is, wait for `need` bytes
 *        │                                      ├─ PASSES ──→ pass it, and the rest of its body as it comes
 *        └── body decided ←─────────────────────┴─ REFUSED ─→ answer, drop it and the rest of its body
 *                                                 ENDS
 */
#include "proto/mqtt_gate.h"

#include <assert.h>
#include <string.h>

#include "proto/mqtt_read.h"

enum {
    FILTERS_MAX = 1024, /* in one SUBSCRIBE: each is held against each of the rules' */
};

/* A packet, whole or as much of it as there is. */
struct packet {
    uint8_t *at;
    size_t len;
    struct mqtt_header header;
};

enum outcome {
    CUT,
    PASSES,
    REPLACED, /* another is passed: that which is held now */
    REFUSED,
    ENDS,
};

static uint8_t *
body_of(const struct packet *packet)
{
    return packet->at + packet->header.len;
}

/* ---- refusing ---- */

static enum outcome
end(struct mqtt_gate *gate, struct mqtt_gate_piece *piece, const struct mqtt_fault *fault,
    enum mqtt_version version)
{
    uint8_t words[MQTT_REFUSAL_MAX];
    size_t len = mqtt_gate_is_connected(gate) ? mqtt_write_disconnect(words, version, fault->reason)
                                              : mqtt_write_connack(words, version, fault->reason);

    if (gather_add(&gate->answer, words, len) != 0)
        gather_clear(&gate->answer); /* then it ends without words */
    piece->why = fault->why;
    return ENDS;
}

static enum outcome
end_with(struct mqtt_gate *gate, struct mqtt_gate_piece *piece, enum mqtt_reason reason,
         const char *why)
{
    return end(gate, piece, &(struct mqtt_fault){reason, why}, gate->version);
}

static enum outcome
end_without_memory(struct mqtt_gate *gate, struct mqtt_gate_piece *piece)
{
    return end_with(gate, piece, MQTT_UNSPECIFIED, "out of memory");
}

static enum outcome
wait_for(struct mqtt_gate *gate, size_t need)
{
    gate->need = need;
    return CUT;
}

/* ---- CONNECT ---- */

static bool
is_rewritten(const struct mqtt_rules *rules)
{
    const struct mqtt_identity *identity = &rules->identity;

    return (identity->username != NULL && identity->username[0] != '\0') ||
           (identity->client_id_prefix != NULL && identity->client_id_prefix[0] != '\0');
}

/* The client's own may be what is held, so the new one is made beside it. */
static enum outcome
rewrite(struct mqtt_gate *gate, const struct packet *packet, const struct mqtt_connect *connect,
        struct mqtt_gate_piece *piece)
{
    struct gather made = {NULL};

    if (mqtt_write_connect(&made, body_of(packet), packet->header.body, connect,
                           &gate->rules.identity) != 0) {
        gather_clear(&made);
        gate->version = MQTT_VERSION_UNKNOWN; /* refused as a CONNECT is */
        return end_without_memory(gate, piece);
    }
    gather_clear(&gate->held);
    gate->held = made;
    return REPLACED;
}

static enum outcome
judge_connect(struct mqtt_gate *gate, const struct packet *packet, struct mqtt_gate_piece *piece)
{
    struct mqtt_connect connect;
    struct mqtt_fault fault;

    if (packet->len < mqtt_size_of(&packet->header))
        return wait_for(gate, mqtt_size_of(&packet->header));
    if ((packet->header.first & 15) != 0)
        return end_with(gate, piece, MQTT_MALFORMED, "the flags of CONNECT are not its own");
    if (!mqtt_read_connect(body_of(packet), packet->header.body, &connect, &fault) ||
        !mqtt_rules_take_client(&gate->rules, &connect, &gate->client, &fault))
        return end(gate, piece, &fault, connect.version);
    gate->version = connect.version;
    return is_rewritten(&gate->rules) ? rewrite(gate, packet, &connect, piece) : PASSES;
}

/* ---- PUBLISH ---- */

static enum outcome
refuse_publish(struct mqtt_gate *gate, const struct mqtt_publish *publish,
               struct mqtt_gate_piece *piece)
{
    uint8_t words[MQTT_REFUSAL_MAX];
    size_t len = mqtt_write_puback(words, gate->version, publish->qos, publish->packet_id,
                                   MQTT_NOT_AUTHORIZED);

    piece->about = publish->topic;
    if (len == 0)
        return end_with(gate, piece, MQTT_NOT_AUTHORIZED, "publishing to a topic is not allowed");
    if (gather_add(&gate->answer, words, len) != 0)
        return end_without_memory(gate, piece);
    piece->why = "publishing to a topic is not allowed";
    return REFUSED;
}

static enum outcome
judge_publish(struct mqtt_gate *gate, const struct packet *packet, struct mqtt_gate_piece *piece)
{
    size_t total = mqtt_size_of(&packet->header), need;
    struct mqtt_piece body = {.body = body_of(packet), .max = gate->rules.held_max};
    struct mqtt_publish publish;
    struct mqtt_fault fault;

    body.len = (packet->len < total ? packet->len : total) - packet->header.len;
    switch (mqtt_read_publish(&packet->header, gate->version, &body, &publish, &need, &fault)) {
    case MQTT_CUT:
        return wait_for(gate, packet->header.len + need);
    case MQTT_WRONG:
        return end(gate, piece, &fault, gate->version);
    case MQTT_FOUND:
        break;
    }
    switch (mqtt_rules_publish(&gate->rules, &gate->client, &publish)) {
    case MQTT_ALLOWED:
        return PASSES;
    case MQTT_FORBIDDEN:
        return refuse_publish(gate, &publish, piece);
    case MQTT_UNDECIDED:
        break;
    }
    return end_without_memory(gate, piece);
}

/* ---- SUBSCRIBE ---- */

/* MQTT 5 can tell which of the filters is at fault; in 3.1.1 there is one code for all. */
static enum outcome
refuse_subscribe(struct mqtt_gate *gate, struct mqtt_subscribe subscribe,
                 struct mqtt_gate_piece *piece)
{
    int result = mqtt_write_suback(&gate->answer, gate->version, subscribe.packet_id, subscribe.n);

    for (size_t i = 0; result == 0 && i < subscribe.n; i++) {
        bool good = mqtt_rules_subscribe(&gate->rules, &gate->client, mqtt_next_filter(&subscribe));
        uint8_t code =
            gate->version != MQTT_VERSION_5 || good ? MQTT_UNSPECIFIED : MQTT_NOT_AUTHORIZED;

        result = gather_add(&gate->answer, &code, 1);
    }
    if (result == 0) {
        piece->why = "subscribing to a filter is not allowed";
        return REFUSED;
    }
    gather_clear(&gate->answer);
    return end_without_memory(gate, piece);
}

static enum outcome
judge_subscribe(struct mqtt_gate *gate, const struct packet *packet, struct mqtt_gate_piece *piece)
{
    struct mqtt_subscribe subscribe, rest;
    struct mqtt_fault fault;

    if (packet->len < mqtt_size_of(&packet->header))
        return wait_for(gate, mqtt_size_of(&packet->header));
    if (!mqtt_read_subscribe(&packet->header, gate->version, body_of(packet), &subscribe, &fault))
        return end(gate, piece, &fault, gate->version);
    if (subscribe.n > FILTERS_MAX)
        return end_with(gate, piece, MQTT_TOO_LARGE, "too many filters in one SUBSCRIBE");
    rest = subscribe;
    for (size_t i = 0; i < subscribe.n; i++) {
        struct span filter = mqtt_next_filter(&rest);

        if (mqtt_rules_subscribe(&gate->rules, &gate->client, filter))
            continue;
        piece->about = filter;
        return refuse_subscribe(gate, subscribe, piece);
    }
    return PASSES;
}

/* ---- any packet ---- */

/* What a CONNECT is refused with depends on its version, which is in front. */
static enum outcome
refuse_size(struct mqtt_gate *gate, const struct packet *packet, struct mqtt_gate_piece *piece)
{
    static const struct mqtt_fault fault = {MQTT_TOO_LARGE, "a packet is too large"};
    size_t need =
        packet->header.body < MQTT_VERSION_BYTES ? packet->header.body : MQTT_VERSION_BYTES;

    if (mqtt_gate_is_connected(gate))
        return end(gate, piece, &fault, gate->version);
    need += packet->header.len;
    if (packet->len < need)
        return wait_for(gate, need);
    return end(gate, piece, &fault, mqtt_read_version(body_of(packet), need - packet->header.len));
}

static bool
is_too_large(const struct mqtt_rules *rules, const struct packet *packet)
{
    size_t size = mqtt_size_of(&packet->header);
    unsigned type = mqtt_type_of(&packet->header);
    bool held = type == MQTT_CONNECT || (type == MQTT_SUBSCRIBE && rules->subscribe != NULL);

    return (rules->packet_max > 0 && size > rules->packet_max) || (held && size > rules->held_max);
}

static enum outcome
judge(struct mqtt_gate *gate, struct packet *packet, struct mqtt_gate_piece *piece)
{
    bool connected = mqtt_gate_is_connected(gate);
    unsigned type;

    switch (mqtt_header_read(packet->at, packet->len, &packet->header)) {
    case MQTT_CUT:
        return wait_for(gate, packet->len + 1);
    case MQTT_WRONG:
        return end_with(gate, piece, MQTT_MALFORMED, "the length of a packet is malformed");
    case MQTT_FOUND:
        break;
    }
    type = mqtt_type_of(&packet->header);
    if (!connected && type != MQTT_CONNECT)
        return end_with(gate, piece, MQTT_PROTOCOL_ERROR, "the first packet is no CONNECT");
    if (connected && type == MQTT_CONNECT)
        return end_with(gate, piece, MQTT_PROTOCOL_ERROR, "a second CONNECT");
    if (type == 0)
        return end_with(gate, piece, MQTT_MALFORMED, "a packet of type 0");
    if (is_too_large(&gate->rules, packet))
        return refuse_size(gate, packet, piece);
    if (type == MQTT_CONNECT)
        return judge_connect(gate, packet, piece);
    if (type == MQTT_PUBLISH && gate->rules.publish != NULL)
        return judge_publish(gate, packet, piece);
    if (type == MQTT_SUBSCRIBE && gate->rules.subscribe != NULL)
        return judge_subscribe(gate, packet, piece);
    return PASSES;
}

/* ---- the stream ---- */

static void
tell_stop(struct mqtt_gate *gate, struct mqtt_gate_piece *piece, enum mqtt_gate_stop stop)
{
    piece->stop = stop;
    piece->answer_len = gather_len(&gate->answer);
    piece->answer = piece->answer_len > 0 ? gather_data(&gate->answer) : NULL;
    gate->over = stop == MQTT_GATE_END;
}

/* How much of what lies there belongs to the packet; the rest of its body is decided. */
static size_t
decide(struct mqtt_gate *gate, const struct packet *packet, bool drops)
{
    size_t total = mqtt_size_of(&packet->header);
    size_t n = packet->len < total ? packet->len : total;

    gate->left = (uint32_t)(total - n);
    gate->drops = drops;
    return n;
}

/* Of a body that is decided. */
static size_t
take_body(struct mqtt_gate *gate, size_t len, struct mqtt_gate_piece *piece)
{
    size_t n = gate->left < len ? gate->left : len;

    gate->left -= (uint32_t)n;
    if (!gate->drops)
        piece->pass_len += n;
    return n;
}

static void
pass_held(struct mqtt_gate *gate, struct mqtt_gate_piece *piece)
{
    piece->pass = gather_data(&gate->held);
    piece->pass_len = gather_len(&gate->held);
    piece->stop = MQTT_GATE_MORE;
    gate->spent = true;
}

/* Returns whether there is no stop yet: all of it lies in place, behind what passes already. */
static bool
settle(struct mqtt_gate *gate, enum outcome outcome, const struct packet *packet, size_t *used,
       struct mqtt_gate_piece *piece)
{
    switch (outcome) {
    case CUT:
        if (gather_add(&gate->held, packet->at, packet->len) != 0) {
            (void)end_without_memory(gate, piece);
            tell_stop(gate, piece, MQTT_GATE_END);
        }
        *used += packet->len;
        return false;
    case PASSES:
        *used += decide(gate, packet, false);
        return true;
    case REPLACED:
        assert(piece->pass_len == 0); /* a CONNECT is the first packet */
        *used += decide(gate, packet, false);
        pass_held(gate, piece);
        return false;
    case REFUSED:
        *used += decide(gate, packet, true);
        tell_stop(gate, piece, MQTT_GATE_REFUSED);
        return false;
    case ENDS:
        tell_stop(gate, piece, MQTT_GATE_END);
        return false;
    }
    return false;
}

/* Packets that lie in place. */
static size_t
feed_in_place(struct mqtt_gate *gate, uint8_t *in, size_t len, struct mqtt_gate_piece *piece)
{
    size_t used = gate->drops ? take_body(gate, len, piece) : 0; /* nothing passes before it */
    bool goes_on = true;

    piece->pass = in + used;
    while (goes_on && used < len) {
        struct packet packet = {.at = in + used, .len = len - used};
        size_t before = used;

        if (gate->left > 0) {
            used += take_body(gate, len - used, piece);
            continue;
        }
        goes_on = settle(gate, judge(gate, &packet, piece), &packet, &used, piece);
        if (goes_on)
            piece->pass_len += used - before;
    }
    return used;
}

/* A packet whose beginning is held already. Returns how many bytes went to it. */
static size_t
feed_held(struct mqtt_gate *gate, const uint8_t *in, size_t len, struct mqtt_gate_piece *piece)
{
    size_t used = 0;

    for (;;) {
        size_t missing = gate->need - gather_len(&gate->held);
        size_t n = missing < len - used ? missing : len - used, none = 0;
        struct packet packet;
        enum outcome outcome;

        if (gather_add(&gate->held, in + used, n) != 0) {
            (void)end_without_memory(gate, piece);
            tell_stop(gate, piece, MQTT_GATE_END);
            return used;
        }
        used += n;
        if (n < missing)
            return used;
        packet = (struct packet){.at = gather_data(&gate->held), .len = gather_len(&gate->held)};
        outcome = judge(gate, &packet, piece);
        if (outcome == CUT)
            continue;
        gate->spent = true;
        if (settle(gate, outcome, &packet, &none, piece))
            pass_held(gate, piece);
        return used;
    }
}

void
mqtt_gate_rest(struct mqtt_gate *gate)
{
    gather_clear(&gate->answer);
    if (gate->spent)
        gather_clear(&gate->held);
    gate->spent = false;
}

size_t
mqtt_gate_feed(struct mqtt_gate *gate, uint8_t *in, size_t len, struct mqtt_gate_piece *piece)
{
    size_t used = 0;

    memset(piece, 0, sizeof *piece);
    piece->about = (struct span){"", 0};
    mqtt_gate_rest(gate);
    if (gate->over)
        return len;
    if (gather_len(&gate->held) > 0)
        used = feed_held(gate, in, len, piece);
    else
        used = feed_in_place(gate, in, len, piece);
    if (piece->stop == MQTT_GATE_INPUT && used < len)
        piece->stop = MQTT_GATE_MORE;
    return used;
}

/* ---- its life ---- */

void
mqtt_gate_init(struct mqtt_gate *gate, const struct mqtt_rules *rules)
{
    memset(gate, 0, sizeof *gate);
    gate->rules = *rules;
}

void
mqtt_gate_deinit(struct mqtt_gate *gate)
{
    gather_clear(&gate->held);
    gather_clear(&gate->answer);
    mqtt_client_deinit(&gate->client);
}
