/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo -- a target that sends back what it gets, without a socket: for demonstrations and
 * measurements.
 *
 * What the client does not take is kept there, and counts as waiting for the target too, so that a
 * client which only sends is slowed down like one in front of a real echo service.
 *
 * Thread, lifetime: see bridge/endpoint.h.
 */
#ifndef CULVERT_TARGET_ECHO_H
#define CULVERT_TARGET_ECHO_H

struct endpoint;
struct loop;

/* Returns NULL without memory, logged. */
struct endpoint *echo_open(struct loop *loop);

#endif
