/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * envelope -- what clients of a topic route are sent, as JSON (PROTOCOL.md section 4).
 *
 *      {"topic":"a/b","id":"…","data":"text"}       "data64" if the payload is not UTF-8;
 *                                                  no id, and "retained":true, if it is an old one
 *      {"event":"subscribed","topics":[…],"since":"ID"}
 *      {"event":"cursor","since":"ID"}   {"event":"reset"}   {"event":"dropped","count":n}
 *      {"event":"bus","state":"down"}    {"event":"ack","ref":…,"id":…}
 *      {"event":"error","ref":…,"reason":"…"}
 *
 * Each function returns how many bytes it is, and writes so many, without NUL, unless out is NULL. Nothing of
 * it has a line end: it is one `data:` line of a server-sent event too.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_TOPIC_ENVELOPE_H
#define CULVERT_TOPIC_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"

struct topic_envelope {
    struct span topic; /* UTF-8 */
    const char *id;    /* the cursor behind it; NULL: none is shown */
    const uint8_t *data;
    size_t len;
    bool text; /* data is UTF-8: whoever took it in has seen, once */
    bool retained;
};

size_t topic_envelope_message(char *out, const struct topic_envelope *message);

size_t topic_envelope_subscribed(char *out, const struct span *filters, size_t n,
                                 const char *since);
size_t topic_envelope_cursor(char *out, const char *since);
size_t topic_envelope_reset(char *out);
size_t topic_envelope_dropped(char *out, uint64_t count);
size_t topic_envelope_bus(char *out, bool up);

/* ref: JSON, as in struct topic_request; id NULL: the bus names none, which is null. */
size_t topic_envelope_ack(char *out, const char *ref, const char *id);

/* ref empty: the key is left out. reason: UTF-8. */
size_t topic_envelope_error(char *out, const char *ref, const char *reason);

#endif
