/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dial -- a connected socket to a host and port, or to a unix socket; all addresses tried, the
 * families raced (RFC 8305).
 *
 *      ask AAAA ─┐                        every 250 ms, or at once when one fails,
 *      ask A ────┴→ addresses, families   the next address is tried as well; the
 *                   interleaved        →  first that connects wins, the rest is closed
 *
 * If A answers first, AAAA is given 50 ms more (section 3). At most DIAL_ATTEMPTS_MAX addresses are
 * tried at all. A TCP connection that turns out to be its own peer counts as refused. A unix socket
 * whose backlog is full is tried again until the time is over. The first address is tried at once where
 * none has to be asked for, and a target on this machine often takes it at once: then the callback comes
 * at the end of this turn of the loop.
 *
 * Thread:    on the loop's thread.
 * Lifetime:  dial_start() to the callback or dial_cancel(), whichever is first.
 * Ownership: the callback gets the descriptor, connected, non-blocking, close-on-exec; on TCP with
 *            TCP_NODELAY and with keep-alive (a probe after 60 s of silence, lost after 4, 15 s
 *            apart). It must not call dial_cancel().
 */
#ifndef CULVERT_NET_DIAL_H
#define CULVERT_NET_DIAL_H

#include <stdint.h>

struct dial;
struct dial_owner;
struct loop;
struct resolver;

enum {
    DIAL_ATTEMPTS_MAX = 16,
};

enum dial_result {
    DIAL_OK,
    DIAL_FAILED,  /* refused, unreachable, no such name, …: `why` tells; answer 502 */
    DIAL_TIMEOUT, /* neither connected nor refused in time (the name server's silence included):
                     answer 504 */
};

/*
 * fd is -1 but for DIAL_OK. why is a short sentence fit for a log ("connection refused", "no such
 * host"); the last failure's if there were several. It lives for the length of the call. Never
 * called from within dial_start().
 */
typedef void dial_cb(struct dial_owner *owner, enum dial_result result, int fd, const char *why);

/* Embedded in who dials. */
struct dial_owner {
    dial_cb *call;
};

struct dial_options {
    struct loop *loop;
    struct resolver *resolver; /* only names need it */
    const char *host; /* name or numeric address, an IPv6 one without brackets, perhaps with a
                         scope; NULL with path. Copied */
    const char *path; /* unix socket. Copied */
    uint16_t port;
    double timeout; /* seconds for everything together */
};

/* Returns NULL without memory, logged; without descriptors the callback gets DIAL_FAILED. */
struct dial *dial_start(const struct dial_options *options, struct dial_owner *owner);

/* The callback will not come. NULL is fine. */
void dial_cancel(struct dial *dial);

#endif
