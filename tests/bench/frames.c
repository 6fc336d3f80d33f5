/* SPDX-License-Identifier: BSD-2-Clause */
#include "frames.h"

#include <string.h>

size_t
varint_write(uint8_t *out, uint64_t value)
{
    unsigned power = value < 1u << 6 ? 0 : value < 1u << 14 ? 1 : value < 1u << 30 ? 2 : 3;
    unsigned n = 1u << power;

    for (unsigned i = n; i > 0; i--, value >>= 8)
        out[i - 1] = (uint8_t)value;
    out[0] |= (uint8_t)(power << 6);
    return n;
}

size_t
varint_read(const uint8_t *data, size_t len, uint64_t *value)
{
    size_t n = len > 0 ? (size_t)1 << (data[0] >> 6) : 0;

    if (len == 0 || n > len)
        return 0;
    *value = data[0] & 0x3f;
    for (size_t i = 1; i < n; i++)
        *value = *value << 8 | data[i];
    return n;
}

size_t
frame_begin(uint8_t *out, enum frame_type type, uint64_t seq)
{
    out[0] = (uint8_t)type;
    return 1 + varint_write(out + 1, seq);
}

int
frame_read(const uint8_t *data, size_t len, struct frame *frame)
{
    size_t n = 1;

    if (len == 0)
        return -1;
    frame->type = data[0];
    frame->seq = 0;
    if (frame->type == FRAME_BINARY || frame->type == FRAME_TEXT || frame->type == FRAME_ACK) {
        n = varint_read(data + 1, len - 1, &frame->seq);
        if (n == 0)
            return -1;
        n++;
    }
    frame->data = data + n;
    frame->len = len - n;
    return 0;
}

ssize_t
frame_from_body(const uint8_t *data, size_t len, struct frame *frame)
{
    uint64_t size;
    size_t n = varint_read(data, len, &size);

    if (n == 0 || size > len - n)
        return 0;
    return frame_read(data + n, size, frame) == 0 ? (ssize_t)(n + size) : -1;
}

static int
value_of(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

ssize_t
base64_in_place(uint8_t *text, size_t len)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t out = 0;

    while (len > 0 && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            text[out++] = (uint8_t)(bits >> n_bits);
        }
    }
    return (ssize_t)out;
}
