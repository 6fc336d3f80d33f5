/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of sessions in a body: whole, cut in two and byte by byte, and as a reader that has all of it sees
 * them; each frame is read, and what can be written again is. Input: frame_max, where to cut, the body.
 */
#include "fuzz.h"
#include "proto/session_frame.h"

enum {
    END_WHOLE = 1,
    END_CUT,
    END_TOO_LONG,
};

static void
write_again(const struct session_frame *frame)
{
    uint8_t out[SESSION_CONTROL_MAX];
    struct session_frame again;
    char reason[SESSION_REASON_MAX + 1];
    size_t len = 0;

    if (frame->type == SESSION_ACK)
        len = session_frame_ack(out, frame->seq);
    if (frame->type == SESSION_PING || frame->type == SESSION_PONG)
        len = session_frame_ping(out, frame->type, frame->data, frame->len);
    if (frame->type == SESSION_CLOSE && memchr(frame->data, '\0', frame->len) == NULL) {
        memcpy(reason, frame->data, frame->len);
        reason[frame->len] = '\0';
        len = session_frame_close(out, frame->code, reason);
    }
    if (len == 0)
        return;
    CHECK(session_frame_read(out, len, &again) == NULL);
    CHECK(again.type == frame->type && again.seq == frame->seq && again.code == frame->code);
    CHECK(again.len == frame->len && memcmp(again.data, frame->data, frame->len) == 0);
}

/* Of its own size, with the room before it that a message has. */
static void
read_frame(const uint8_t *bytes, size_t len, struct fuzz_log *log)
{
    uint8_t *copy = fuzz_copy(bytes, len);
    struct session_frame frame;
    const char *why = session_frame_read(copy, len, &frame);

    fuzz_log_number(log, len);
    fuzz_log(log, bytes, len);
    if (why != NULL) {
        fuzz_log(log, why, strlen(why));
    } else if (frame.type < SESSION_IGNORED) {
        CHECK(frame.len <= len && (frame.len == 0 || frame.data + frame.len <= copy + len));
        CHECK(frame.seq < VARINT_VALUE_MAX);
        write_again(&frame);
    }
    free(copy);
}

/* Returns how it ended, or 0. */
static unsigned
feed(struct session_body *body, const uint8_t *bytes, size_t len, struct fuzz_log *log)
{
    uint8_t *copy = fuzz_copy(bytes, len), *at = copy, *frame;
    enum session_body_result result = SESSION_BODY_FRAME;
    size_t used, frame_len;

    while (len > 0 && result == SESSION_BODY_FRAME) {
        result = session_body_take(body, at, len, &used, &frame, &frame_len);
        CHECK(used <= len && used > 0);
        CHECK(gather_len(&body->kept) <= body->frame_max);
        at += used;
        len -= used;
        if (result == SESSION_BODY_FRAME)
            read_frame(frame, frame_len, log);
        CHECK(result != SESSION_BODY_MORE || len == 0);
    }
    free(copy);
    return result == SESSION_BODY_TOO_LONG ? END_TOO_LONG : 0;
}

static struct fuzz_log
decode(struct fuzz in, size_t frame_max, size_t first, size_t step)
{
    struct session_body body = {.frame_max = frame_max};
    struct fuzz_log log = {0};
    size_t len = first;
    unsigned end = 0;

    while (in.len > 0 && end == 0) {
        len = len < in.len ? len : in.len;
        end = feed(&body, in.at, len, &log);
        in.at += len;
        in.len -= len;
        len = step;
    }
    if (end == 0)
        end = session_body_is_whole(&body) ? END_WHOLE : END_CUT;
    fuzz_log_number(&log, end);
    session_body_deinit(&body);
    return log;
}

/* With all of it at hand. */
static struct fuzz_log
reference(struct fuzz in, size_t frame_max)
{
    struct fuzz_log log = {0};
    unsigned end = 0;

    while (in.len > 0 && end == 0) {
        uint64_t frame_len;
        size_t n = varint_decode(in.at, in.len, &frame_len);

        if (n == 0) {
            end = END_CUT;
        } else if (frame_len > frame_max) {
            end = END_TOO_LONG;
        } else if (frame_len > in.len - n) {
            end = END_CUT;
        } else {
            read_frame(in.at + n, (size_t)frame_len, &log);
            in.at += n + frame_len;
            in.len -= n + (size_t)frame_len;
        }
    }
    fuzz_log_number(&log, end != 0 ? end : END_WHOLE);
    return log;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    size_t frame_max = fuzz_byte(&in) * 8U;
    size_t first = fuzz_byte(&in) + 1U;
    struct fuzz_log logs[] = {
        reference(in, frame_max),
        decode(in, frame_max, SIZE_MAX, 1),
        decode(in, frame_max, first, SIZE_MAX),
        decode(in, frame_max, 1, 1),
    };

    for (size_t i = 1; i < sizeof logs / sizeof logs[0]; i++)
        CHECK(fuzz_log_same(&logs[0], &logs[i]));
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
        free(logs[i].at);
    return 0;
}
