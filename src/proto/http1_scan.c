/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scan is a table: state and class of byte give the next state. A state that follows itself is
 * a run (of a method, a target, a name, a value), and runs have limits. One table is easier to
 * check against the grammar than code, and costs two loads a byte.
 */
#include "proto/http1.h"
#include "proto/http1_class.h"

enum state {
    BAD,
    START, /* before the request line */
    START_LF,
    METHOD,
    TARGET_FIRST,
    TARGET,
    VERSION_H,
    VERSION_T1,
    VERSION_T2,
    VERSION_P,
    VERSION_SLASH,
    VERSION_MAJOR,
    VERSION_DOT,
    VERSION_MINOR,
    VERSION_CR,
    LINE_LF,
    LINE, /* at the beginning of a header line */
    NAME,
    VALUE,
    END_LF,
    END,
    STATES,
};

#define TOKEN_CHARS HTTP1_HASH... HTTP1_LETTER

static const uint8_t next_state[STATES][HTTP1_CLASSES] = {
    [START] = {[TOKEN_CHARS] = METHOD, [HTTP1_CR] = START_LF},
    [START_LF] = {[HTTP1_LF] = START},
    [METHOD] = {[TOKEN_CHARS] = METHOD, [HTTP1_SP] = TARGET_FIRST},
    /* No '#': a fragment is not sent, and what follows it would be read in two ways. */
    [TARGET_FIRST] = {[HTTP1_COLON... HTTP1_DELIMITER] = TARGET,
                      [HTTP1_DOT... HTTP1_LETTER] = TARGET},
    [TARGET] = {[HTTP1_COLON... HTTP1_DELIMITER] = TARGET,
                [HTTP1_DOT... HTTP1_LETTER] = TARGET,
                [HTTP1_SP] = VERSION_H},
    [VERSION_H] = {[HTTP1_H] = VERSION_T1},
    [VERSION_T1] = {[HTTP1_T] = VERSION_T2},
    [VERSION_T2] = {[HTTP1_T] = VERSION_P},
    [VERSION_P] = {[HTTP1_P] = VERSION_SLASH},
    [VERSION_SLASH] = {[HTTP1_SLASH] = VERSION_MAJOR},
    [VERSION_MAJOR] = {[HTTP1_DIGIT] = VERSION_DOT},
    [VERSION_DOT] = {[HTTP1_DOT] = VERSION_MINOR},
    [VERSION_MINOR] = {[HTTP1_DIGIT] = VERSION_CR},
    [VERSION_CR] = {[HTTP1_CR] = LINE_LF},
    [LINE_LF] = {[HTTP1_LF] = LINE},
    [LINE] = {[TOKEN_CHARS] = NAME, [HTTP1_CR] = END_LF},
    [NAME] = {[TOKEN_CHARS] = NAME, [HTTP1_COLON] = VALUE},
    [VALUE] = {[HTTP1_OBS... HTTP1_LETTER] = VALUE, [HTTP1_CR] = LINE_LF},
    [END_LF] = {[HTTP1_LF] = END},
};

static const struct run {
    size_t max;
    int status;
    const char *why;
} runs[STATES] = {
    [METHOD] = {HTTP1_METHOD_MAX, 400, "method too long"},
    [TARGET] = {HTTP1_TARGET_MAX, 414, "request target too long"},
    [NAME] = {HTTP1_NAME_MAX, 431, "header name too long"},
    [VALUE] = {HTTP1_HEAD_MAX, 431, "header too long"}, /* the head's own limit comes first */
};

static enum http1_result
refuse(struct http1_scan *scan, int status, const char *why)
{
    scan->state = BAD;
    scan->error.status = status;
    scan->error.why = why;
    return HTTP1_ERROR;
}

static const char *
why_bad(uint8_t state, enum http1_class found)
{
    if (found == HTTP1_LF || state == START_LF || state == LINE_LF || state == END_LF)
        return "line not ended by CR LF";
    if (state == METHOD || state == START)
        return "malformed method";
    if (state == TARGET || state == TARGET_FIRST)
        return "malformed request target";
    if (state < LINE_LF)
        return "malformed version";
    if (state == LINE && (found == HTTP1_SP || found == HTTP1_TAB))
        return "folded header line";
    return state == VALUE ? "malformed header value" : "malformed header name";
}

/* Goes from one state to another; false if that is one time too many. */
static bool
enter(struct http1_scan *scan, uint8_t state)
{
    if (scan->state == START_LF && ++scan->leading > HTTP1_LEADING_MAX) {
        refuse(scan, 400, "empty lines before the request");
        return false;
    }
    if (state == NAME && ++scan->lines > HTTP1_HEADERS_MAX) {
        refuse(scan, 431, "too many header lines");
        return false;
    }
    scan->state = state;
    scan->line_len = 1;
    return true;
}

/* Goes on from a state that follows itself, to the end of that run at most. */
static const char *
run_on(struct http1_scan *scan, const char *at, const char *end)
{
    const uint8_t *next = next_state[scan->state];
    const char *from = at;

    while (at < end && next[http1_class(*at)] == scan->state)
        at++;
    if (scan->line_len + (size_t)(at - from) > runs[scan->state].max) {
        refuse(scan, runs[scan->state].status, runs[scan->state].why);
        return at;
    }
    scan->line_len += at - from;
    return at;
}

void
http1_scan_init(struct http1_scan *scan, size_t head_max)
{
    memset(scan, 0, sizeof *scan);
    scan->state = START;
    scan->head_max = head_max < HTTP1_HEAD_MAX ? head_max : HTTP1_HEAD_MAX;
}

static enum http1_result
scan_bytes(struct http1_scan *scan, const char *data, size_t len, size_t *used)
{
    const char *at = data, *end = data + len;

    while (at < end && scan->state != BAD && scan->state != END) {
        uint8_t next = next_state[scan->state][http1_class(*at)];

        if (next == BAD)
            refuse(scan, 400, why_bad(scan->state, http1_class(*at)));
        else if (next == scan->state)
            at = run_on(scan, at, end);
        else if (enter(scan, next))
            at++;
    }
    *used = at - data;
    scan->seen += at - data;
    return scan->state == BAD ? HTTP1_ERROR : scan->state == END ? HTTP1_DONE : HTTP1_MORE;
}

enum http1_result
http1_scan(struct http1_scan *scan, const char *data, size_t len, size_t *used)
{
    size_t room = scan->head_max - scan->seen;
    enum http1_result result = scan_bytes(scan, data, len < room ? len : room, used);

    /* At once when the limit is reached: a caller whose buffer has this size could bring no more.
     */
    if (result == HTTP1_MORE && scan->seen == scan->head_max)
        return refuse(scan, 431, "request head too large");
    return result;
}
