/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies: the same data, end and error whole and cut in two; and what was encoded comes out again.
 * Input: options, where to cut, the body.
 */
#include "fuzz.h"
#include "proto/http1.h"

struct outcome {
    enum http1_result result;
    size_t used;
    struct fuzz_log data;
};

static void
decode_piece(struct http1_body *body, char *piece, size_t len, struct outcome *out)
{
    size_t at = 0, used, data_len;
    char *data;

    do {
        out->result = http1_body(body, piece + at, len - at, &used, &data, &data_len);
        CHECK(used <= len - at);
        CHECK(used > 0 || at == len || out->result != HTTP1_MORE);
        CHECK(data >= piece + at && data + data_len <= piece + at + used);
        fuzz_log(&out->data, data, data_len);
        at += used;
    } while (out->result == HTTP1_MORE && at < len);
    out->used += at;
}

static struct outcome
decode_cut(const struct http1_request *request, struct fuzz in, size_t cut)
{
    struct outcome out = {.result = HTTP1_MORE};
    struct http1_body body;
    char *first = fuzz_copy(in.at, cut), *second = fuzz_copy(in.at + cut, in.len - cut);

    http1_body_init(&body, request);
    decode_piece(&body, first, cut, &out);
    if (out.result == HTTP1_MORE)
        decode_piece(&body, second, in.len - cut, &out);
    CHECK(out.result == HTTP1_ERROR || body.total == out.data.len);
    CHECK(out.result != HTTP1_ERROR || (body.error.status == 400 && body.error.why));
    free(first);
    free(second);
    return out;
}

static void
check_cuts(const struct http1_request *request, struct fuzz in, size_t cut)
{
    struct outcome whole = decode_cut(request, in, in.len), parts = decode_cut(request, in, cut);

    CHECK(whole.result == parts.result);
    CHECK(fuzz_log_same(&whole.data, &parts.data));
    CHECK(whole.result == HTTP1_ERROR || whole.used == parts.used);
    free(whole.data.at);
    free(parts.data.at);
}

/* Takes the input as data, in chunks of sizes that it gives itself, and bytes behind. */
static void
check_encoded(struct fuzz in, size_t cut)
{
    const struct http1_request request = {.chunked = true};
    struct fuzz_log wire = {0};
    struct outcome out;
    size_t at = 0;
    char line[20];

    while (at < in.len) {
        size_t n = 1 + in.at[at] % 40;

        if (n > in.len - at)
            n = in.len - at;
        fuzz_log(&wire, line, (size_t)sprintf(line, n & 1 ? "%zx\r\n" : "%zX;a=b\r\n", n));
        fuzz_log(&wire, in.at + at, n);
        fuzz_log(&wire, "\r\n", 2);
        at += n;
        if (wire.len > 10000) /* extensions are bounded */
            break;
    }
    fuzz_log(&wire, "0\r\nT: x\r\n\r\nGET", 14);
    out = decode_cut(&request, (struct fuzz){wire.at, wire.len}, cut % wire.len);
    CHECK(out.result == HTTP1_DONE);
    CHECK(out.used == wire.len - 3);
    CHECK(out.data.len == at && (at == 0 || memcmp(out.data.at, in.at, at) == 0));
    free(wire.at);
    free(out.data.at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz in = {data, len};
    unsigned flags = fuzz_byte(&in), cut = fuzz_u16(&in);
    struct http1_request request = {
        .chunked = flags & 1,
        .content_length = flags & 1 ? 0 : flags >> 1,
    };

    check_cuts(&request, in, in.len ? cut % in.len : 0);
    check_encoded(in, cut);
    return 0;
}
