/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written: headers and Close payloads; and how a Close that came is read. Decoding is in
 * ws_frame.c.
 */
#include <endian.h>
#include <string.h>

#include "proto/ws_frame.h"

enum {
    FIN = 0x80,
    MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
};

size_t
ws_encode_header(uint8_t *out, uint64_t len, enum ws_opcode opcode, bool fin, const uint8_t *key)
{
    size_t size = 2;

    out[0] = (fin ? FIN : 0) | opcode;
    if (len < LENGTH_16) {
        out[1] = len;
    } else if (len <= UINT16_MAX) {
        uint16_t big = htobe16(len);

        out[1] = LENGTH_16;
        memcpy(out + 2, &big, sizeof big);
        size += sizeof big;
    } else {
        uint64_t big = htobe64(len);

        out[1] = LENGTH_64;
        memcpy(out + 2, &big, sizeof big);
        size += sizeof big;
    }
    if (key) {
        out[1] |= MASKED;
        memcpy(out + size, key, 4);
        size += 4;
    }
    return size;
}

size_t
ws_encode_before(uint8_t *payload, uint64_t len, enum ws_opcode opcode, bool fin)
{
    size_t size = len < LENGTH_16 ? 2 : len <= UINT16_MAX ? 4 : WS_SERVER_HEADER_MAX;

    return ws_encode_header(payload - size, len, opcode, fin, NULL);
}

/* ---- Close ---- */

static bool
code_allowed(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

uint16_t
ws_close_parse(const uint8_t *payload, size_t len, uint16_t *code, const char **reason,
               size_t *reason_len)
{
    *code = WS_CODE_NONE;
    *reason = (const char *)payload;
    *reason_len = 0;
    if (len == 0)
        return 0;
    if (len == 1)
        return 1002;
    *code = payload[0] << 8 | payload[1];
    if (!code_allowed(*code))
        return 1002;
    if (!utf8_valid(payload + 2, len - 2))
        return 1007;
    *reason = (const char *)payload + 2;
    *reason_len = len - 2;
    return 0;
}

size_t
ws_close_build(uint8_t *out, uint16_t code, const char *reason)
{
    const uint8_t *text = (const uint8_t *)reason;
    struct utf8 utf8 = {0};
    size_t len;

    if (code == WS_CODE_NONE || code == WS_CODE_LOST)
        return 0;
    out[0] = code >> 8;
    out[1] = code & 0xff;
    if (!reason)
        return 2;
    /* A reason from a target may be anything; sending it would make the fault ours. */
    len = utf8_take(&utf8, text, strnlen(reason, WS_CONTROL_MAX - 2));
    len -= utf8_cut(text, len);
    memcpy(out + 2, text, len);
    return 2 + len;
}
