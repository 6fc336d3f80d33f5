/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/ws_control.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"
#include "proto/ws_frame.h"
#include "proto/ws_handshake.h"

enum {
    ANSWER_MAX = 256 + WS_SUBPROTOCOL_MAX,
};

struct ws_pong {
    uint8_t len;
    uint8_t payload[WS_CONTROL_MAX];
};

static void
send_control(struct stream *stream, enum ws_opcode opcode, const void *payload, size_t len)
{
    uint8_t frame[WS_SERVER_HEADER_MAX + WS_CONTROL_MAX];
    size_t header = ws_encode_header(frame, len, opcode, true, NULL);

    memcpy(frame + header, payload, len);
    stream_write(stream, frame, header + len);
}

void
ws_control_accept(struct stream *stream, const struct ws_handshake *handshake,
                  struct ws_digest *digest)
{
    char answer[ANSWER_MAX];
    size_t len = ws_handshake_answer(handshake, digest, answer, sizeof answer);

    assert(len > 0);
    stream_write(stream, answer, len);
}

void
ws_control_ping(struct stream *stream)
{
    send_control(stream, WS_PING, "", 0);
}

void
ws_control_close(struct stream *stream, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t len = code == WS_CODE_NONE ? 0 : ws_close_build(payload, code, reason);

    send_control(stream, WS_CLOSE, payload, len);
}

void
ws_control_pong(struct stream *stream, struct ws_pong **waiting, const uint8_t *payload, size_t len)
{
    if (stream_pending(stream) == 0) {
        send_control(stream, WS_PONG, payload, len);
        return;
    }
    if (*waiting == NULL)
        *waiting = malloc(sizeof **waiting);
    if (*waiting == NULL)
        return; /* it is allowed to answer only a later PING */
    (*waiting)->len = (uint8_t)len;
    memcpy((*waiting)->payload, payload, len);
}

void
ws_control_progress(struct stream *stream, struct ws_pong **waiting)
{
    struct ws_pong *pong = *waiting;

    if (pong == NULL)
        return;
    *waiting = NULL;
    send_control(stream, WS_PONG, pong->payload, pong->len);
    free(pong);
}

uint16_t
ws_control_read_close(const struct ws_chunk *chunk, uint16_t *code, char *reason)
{
    const char *text;
    size_t len;
    uint16_t fault = ws_close_parse(chunk->control, chunk->control_len, code, &text, &len);

    if (fault != 0)
        return fault;
    memcpy(reason, text, len);
    reason[len] = '\0';
    return 0;
}
