/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * packets -- what an MQTT 3.1.1 client sends, alone or in a WebSocket's masked frame. Written anew, as a
 * client's author would.
 *
 * Thread: any. No input or output. Each writes to out and returns the bytes written; there is room for
 * PACKET_OVERHEAD more than all that is given.
 */
#ifndef BENCH_PACKETS_H
#define BENCH_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACKET_OVERHEAD = 32,
    PACKET_SUBACK = 0x90,
};

/* One packet each, in a frame of its own if framed. No keep-alive, a clean session, QoS 0. */
size_t packet_connect(uint8_t *out, bool framed);
size_t packet_subscribe(uint8_t *out, bool framed, const char *topic);
size_t packet_publish(uint8_t *out, bool framed, const char *topic, const void *data, size_t len);

/* A WebSocket's text frame, masked. */
size_t packet_text(uint8_t *out, const void *data, size_t len);

#endif
