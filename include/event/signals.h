/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals -- the process's signals as events on main's loop.
 *
 * Thread:    main's, one instance in the process.
 */
#ifndef CULVERT_EVENT_SIGNALS_H
#define CULVERT_EVENT_SIGNALS_H

struct loop;
struct signals;
struct signals_owner;

/* Embedded in who wants them. */
struct signals_owner {
    void (*caught)(struct signals_owner *owner, int number);
};

/* numbers: ended by 0. Returns NULL without memory, logged. */
struct signals *signals_start(struct loop *loop, const int *numbers, struct signals_owner *owner);
void signals_stop(struct signals *signals);

#endif
