/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request -- what a client of a topic route says on a WebSocket (PROTOCOL.md section 4), read.
 *
 *      {"publish":"t","data":"…"|"data64":"…","retain":false,"ref":…}
 *      {"subscribe":["f"],"since":"ID","ref":…}
 *      {"unsubscribe":["f"],"ref":…}
 *
 * Keys that are unknown, or belong to another of the three, are ignored; those that mean something have
 * the right type, once. Whether the client may do it is the hub's question.
 *
 * The parser recurses and makes a value of every comma: nesting and values are counted before it runs.
 *
 * Thread:    any; no state outside the struct.
 * Ownership: all that a request points to is its own, until topic_request_clear().
 */
#ifndef CULVERT_TOPIC_REQUEST_H
#define CULVERT_TOPIC_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/span.h"

enum {
    TOPIC_REQUEST_FILTERS = 64, /* in a list */
    TOPIC_REQUEST_DEPTH = 8,    /* of nesting */
    TOPIC_REQUEST_VALUES = 256, /* in all of it */
    TOPIC_REF_MAX = 64,         /* bytes of a ref as JSON */
    TOPIC_SINCE_MAX = 64,       /* of a cursor */
};

enum topic_request_kind {
    TOPIC_PUBLISH,
    TOPIC_SUBSCRIBE,
    TOPIC_UNSUBSCRIBE,
};

struct topic_request {
    enum topic_request_kind kind;
    /* A string or a number, as JSON: the same value, though a number may be spelt otherwise. Empty: none. */
    char ref[TOPIC_REF_MAX + 1];

    /* publish */
    struct span topic; /* a valid name of at most TOPIC_LEVELS levels, UTF-8 */
    const uint8_t *data;
    size_t len;
    bool retain;

    /* subscribe, unsubscribe */
    unsigned n_filters;                        /* at least one */
    struct span filter[TOPIC_REQUEST_FILTERS]; /* valid, as many levels, UTF-8 */
    const char *since;                         /* a cursor; NULL: none */

    void *json;     /* private to request.c */
    uint8_t *bytes; /* the same */
};

/*
 * Reads a whole text. Returns NULL, or why it cannot be done, which may be told to the client: then there
 * is nothing in it but perhaps its ref, and it need not be cleared.
 */
const char *topic_request_read(struct topic_request *request, const char *text, size_t len)
    __attribute__((warn_unused_result));

/* A cleared one may be cleared again. */
void topic_request_clear(struct topic_request *request);

/* Whether it may be a cursor: [A-Za-z0-9._-], 1 to TOPIC_SINCE_MAX bytes. */
bool topic_since_is_valid(const char *text, size_t len);

#endif
