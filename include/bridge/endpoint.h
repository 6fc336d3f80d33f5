/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * endpoint -- one side of a bridge: what client/ and target/ implement, and what a bridge tells
 * them.
 *
 *      client endpoint                bridge                 target endpoint
 *        deliver(bytes) ───────────────────────────────────→ send(bytes)
 *        room() ───────────── buffer - target's pending()
 *        ended(why) ───────────────────────────────────────→ finish(why)
 *        gone() ─────── when both are gone, the bridge ends
 *        due(time) ──── the bridge's one timer ──→ look() of both
 *      and the same from right to left
 *
 * An endpoint reads its socket while room() says that the other side can keep what comes, and stops
 * otherwise; the bridge calls resume() when the other side has drained. Bytes pass through
 * deliver() and send() within one call, in place.
 *
 * Deadlines of both share one timer, and most only ever move later: an endpoint tells one that may be
 * sooner than those it told before; what moved later is found out when its old time comes.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  an endpoint is made by its module and ends itself: after gone() it is freed at the end
 *            of the turn; close() is the same without the event.
 */
#ifndef CULVERT_BRIDGE_ENDPOINT_H
#define CULVERT_BRIDGE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct pipe;

enum {
    /* Writable bytes before the data of every deliver(): a header may be put there. */
    ENDPOINT_HEADROOM = 16,
};

enum endpoint_flag {
    ENDPOINT_TEXT = 1, /* the bytes belong to a text message */
};

enum ender {
    ENDER_CLIENT,
    ENDER_TARGET,
    ENDER_CULVERT,
};

/* How a conversation ends; code is a WebSocket close code (1006: without one). */
struct ending {
    enum ender by;
    uint16_t code;
    const char *reason; /* UTF-8, at most 123 bytes are sent; lives for the length of the call */
};

/* What a bridge can ask of an endpoint. */
struct endpoint_ops {
    /* Sends bytes to the endpoint's peer; keeps what its socket would not take. Never after
     * finish(). */
    void (*send)(struct endpoint *endpoint, uint8_t *data, size_t len, unsigned flags);
    /* Bytes that wait for the endpoint's peer. */
    size_t (*pending)(const struct endpoint *endpoint);
    /* There is room again (or for the first time): read on. */
    void (*resume)(struct endpoint *endpoint);
    /* Nothing more comes from the other side: send what waits, then say goodbye in the endpoint's
     * own way. It may go on delivering until it is gone. */
    void (*finish)(struct endpoint *endpoint, const struct ending *ending);
    /* What waits for the other side has become less: waiting() tells how much. NULL: of no interest. */
    void (*taken)(struct endpoint *endpoint);
    /* Takes nothing any more: what waited for its peer is lost, not sent. NULL: does so until it is gone. */
    bool (*is_lost)(const struct endpoint *endpoint);
    /* Several send() follow each other: what they send may wait until it is off again, and go together.
     * NULL: never does. */
    void (*hold)(struct endpoint *endpoint, bool on);
    /* Ends now, without events. */
    void (*close)(struct endpoint *endpoint);
    /* A deadline may have come, of this endpoint or another: does what is due, which may end it.
     * Returns when to look again, on the clock of loop_now(); 0: no deadline. */
    double (*look)(struct endpoint *endpoint);
    /* Whether send_piped() may be called while nothing is pending. NULL: never. */
    bool (*takes_pipe)(const struct endpoint *endpoint);
    /* Sends what is in a pipe of the loop's, which it takes: bytes that are not to be looked at need not
     * leave the kernel. */
    void (*send_piped)(struct endpoint *endpoint, struct pipe *pipe);
};

/* What an endpoint tells its bridge. */
struct endpoint_events {
    void (*deliver)(struct endpoint *from, uint8_t *data, size_t len, unsigned flags);
    /* How many bytes may be delivered now; 0: stop reading until resume(). */
    size_t (*room)(struct endpoint *from);
    /* Bytes that wait for the other side; SIZE_MAX if it takes none any more. */
    size_t (*waiting)(struct endpoint *from);
    /* Several deliver() follow each other, until it is off again: before the loop goes on. */
    void (*hold)(struct endpoint *from, bool on);
    /* pending() has fallen. */
    void (*drained)(struct endpoint *from);
    /* Nothing more will be delivered. Once. */
    void (*ended)(struct endpoint *from, const struct ending *ending);
    /* The endpoint is through with everything, after ended(). Once; it must not be called after. */
    void (*gone)(struct endpoint *from);
    /* Whether bytes can be delivered in a pipe, too, while room() is as much as it ever is: nothing may
     * wait for the other side. */
    bool (*takes_pipe)(struct endpoint *from);
    void (*deliver_piped)(struct endpoint *from, struct pipe *pipe);
    /* Wants look() at that time or before it; 0: has no wish. */
    void (*due)(struct endpoint *from, double time);
};

/* Embedded first in every endpoint. */
struct endpoint {
    const struct endpoint_ops *ops;
    const struct endpoint_events *events; /* set by the bridge before the first resume() */
    union {
        struct bridge *bridge;
        struct endpoint *around; /* of one that another endpoint drives in a bridge's place */
    };
};

#endif
