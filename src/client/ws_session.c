/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/ws_session.h"

#include "base/blob.h"
#include "client/session.h"
#include "net/stream.h"
#include "proto/ws_frame.h"

enum {
    CONTROL_MAX = WS_SERVER_HEADER_MAX + SESSION_CONTROL_MAX,
};

_Static_assert((int)BLOB_HEADROOM >= (int)WS_SERVER_HEADER_MAX + (int)SESSION_HEADER_MAX,
               "both headers go before a message");

/* There are WS_SERVER_HEADER_MAX bytes of room before it. */
static void
send_frame(struct stream *stream, uint8_t *frame, size_t len)
{
    size_t header = ws_encode_before(frame, len, WS_BINARY, true);

    stream_write(stream, frame - header, header + len);
}

void
ws_session_open(struct stream *stream, struct session *session, double heartbeat)
{
    uint8_t room[WS_SERVER_HEADER_MAX + 1 + SESSION_OPEN_MAX];
    uint8_t *frame = room + WS_SERVER_HEADER_MAX;
    size_t len = session_open_text(session, heartbeat, (char *)frame + 1);

    frame[0] = SESSION_OPEN;
    send_frame(stream, frame, 1 + len);
}

void
ws_session_message(struct stream *stream, struct blob *blob, uint64_t seq)
{
    size_t header = session_frame_before(blob->data, (enum session_frame_type)blob->tag, seq);

    send_frame(stream, blob->data - header, header + blob->len);
}

void
ws_session_ack(struct stream *stream, uint64_t seq)
{
    uint8_t room[CONTROL_MAX];
    uint8_t *frame = room + WS_SERVER_HEADER_MAX;

    send_frame(stream, frame, session_frame_ack(frame, seq));
}

void
ws_session_ping(struct stream *stream, enum session_frame_type type, const void *payload,
                size_t len)
{
    uint8_t room[CONTROL_MAX];
    uint8_t *frame = room + WS_SERVER_HEADER_MAX;

    send_frame(stream, frame, session_frame_ping(frame, type, payload, len));
}

void
ws_session_close(struct stream *stream, uint16_t code, const char *reason)
{
    uint8_t room[CONTROL_MAX];
    uint8_t *frame = room + WS_SERVER_HEADER_MAX;

    send_frame(stream, frame, session_frame_close(frame, code, reason));
}
