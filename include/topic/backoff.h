/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backoff -- how long to wait before something is tried again: longer each time, and by chance, so that
 * all whom one fault has hit do not come back at once.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_TOPIC_BACKOFF_H
#define CULVERT_TOPIC_BACKOFF_H

/* Seconds from 0 to first × 2^failures, or to most if that is less. failures: attempts that failed, the
 * last one not counted. */
double backoff_delay(unsigned failures, double first, double most);

#endif
