/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * carrier -- what carries a session to its client for a while: a WebSocket, an SSE answer, a long
 * poll.
 *
 *      session ──pump(), ack(), end()──→ carrier ──→ the client
 *              ←──session_next(), session_take(), session_lost()──
 *
 * The session keeps what the client has not acknowledged; a carrier holds no more of it than its socket
 * has not taken yet.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  from session_attach() until end() was called, or session_lost() by the carrier.
 */
#ifndef CULVERT_CLIENT_CARRIER_H
#define CULVERT_CLIENT_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

struct carrier;
struct session;

enum carrier_end {
    CARRIER_DETACHED, /* a newer one has come */
    CARRIER_OVER,     /* the session has ended as both sides agreed: code, reason */
    CARRIER_FAILED,   /* it has ended at once: tell the client why */
    CARRIER_DROPPED,  /* the worker ends: without words */
};

struct carrier_ops {
    /* Something may have become ready to be sent: messages, the CLOSE. */
    void (*pump)(struct carrier *carrier);
    /* Tell the client what was consumed: intake_tell(). */
    void (*ack)(struct carrier *carrier);
    /* Lets go of the session, which is not to be called any more when this returns. */
    void (*end)(struct carrier *carrier, enum carrier_end how, uint16_t code, const char *reason);
    /* As of an endpoint: does what is due, returns when to look again. It may lose the session. */
    double (*look)(struct carrier *carrier);
};

/* Embedded first in every carrier. */
struct carrier {
    const struct carrier_ops *ops;
    struct session *session; /* NULL: let go */
    uint64_t next;           /* number of the message to be sent next */
    uint8_t transport;       /* enum metrics_transport */
    bool told_close;         /* the CLOSE was sent on it */
};

#endif
