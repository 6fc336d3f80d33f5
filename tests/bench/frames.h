/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frames -- what the session protocol is written in: frames, varints (RFC 9000 section 16), bodies in
 * which each frame follows its length, and base64. Written anew, as a client's author would: the
 * server's own code would agree with itself.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum frame_type {
    FRAME_OPEN = 1,
    FRAME_BINARY = 2,
    FRAME_TEXT = 3,
    FRAME_ACK = 4,
    FRAME_CLOSE = 5,
    FRAME_PING = 6,
    FRAME_PONG = 7,
};

enum {
    FRAME_HEADER = 9, /* type and number, at most */
    VARINT_MAX = 8,
};

struct frame {
    uint8_t type;
    uint64_t seq;
    const uint8_t *data;
    size_t len;
};

/* Bytes written. */
size_t varint_write(uint8_t *out, uint64_t value);

/* Bytes read, or 0 if there are too few. */
size_t varint_read(const uint8_t *data, size_t len, uint64_t *value);

/* The type and the number: bytes written. */
size_t frame_begin(uint8_t *out, enum frame_type type, uint64_t seq);

/* 0, or -1 if it is none. */
int frame_read(const uint8_t *data, size_t len, struct frame *frame);

/* Bytes used with the length before it, 0 if it is not complete, or -1 if it is none. */
ssize_t frame_from_body(const uint8_t *data, size_t len, struct frame *frame);

/* In place. Bytes left, or -1. */
ssize_t base64_in_place(uint8_t *text, size_t len);

#endif
