/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/answer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "admin/page.h"
#include "admin/text.h"
#include "base/list.h"
#include "base/log.h"
#include "client/http.h"
#include "event/loop.h"

enum {
    PIECE = 16384,
};

/* A body on its way. */
struct sending {
    struct exchange_owner owner;
    struct exchange *exchange;
    struct text body;
    size_t at;
};

static void
sending_free(struct sending *sending)
{
    text_deinit(&sending->body);
    free(sending);
}

/* Ends the sending when all is written, or nobody takes it. */
static void
pump(struct sending *sending)
{
    struct exchange *exchange = sending->exchange;

    while (sending->at < sending->body.len && !exchange_is_lost(exchange)) {
        size_t left = sending->body.len - sending->at;
        size_t piece = left < PIECE ? left : PIECE;

        if (exchange_pending(exchange) > HTTP_ANSWER_HIGH)
            return; /* until progress() */
        exchange_write(exchange, sending->body.data + sending->at, piece);
        sending->at += piece;
    }
    sending_free(sending);
    exchange_end(exchange);
}

static void
on_progress(struct exchange_owner *owner)
{
    pump(container_of(owner, struct sending, owner));
}

static void
on_gone(struct exchange_owner *owner)
{
    sending_free(container_of(owner, struct sending, owner));
}

void
answer_static(struct exchange *exchange, const char *headers, const char *body)
{
    exchange_begin(exchange, 200, headers, (int64_t)strlen(body));
    exchange_write(exchange, body, strlen(body));
    exchange_end(exchange);
}

void
answer_text(struct exchange *exchange, const char *headers, struct text *body)
{
    static const struct exchange_events events = {.progress = on_progress, .gone = on_gone};
    struct sending *sending = text_failed(body) ? NULL : calloc(1, sizeof *sending);

    if (sending == NULL) {
        text_deinit(body);
        log_error(loop_log(exchange_loop(exchange)), "admin",
                  "no answer: out of memory, or too many figures");
        exchange_error(exchange, 503, "", "out of memory, or too many figures");
        return;
    }
    sending->owner.events = &events;
    sending->exchange = exchange;
    sending->body = *body;
    exchange_set_owner(exchange, &sending->owner);
    exchange_begin(exchange, 200, headers, (int64_t)body->len);
    pump(sending);
}

/* ---- the page ---- */

static void
make_nonce(char *out)
{
    uint64_t random[2] = {0};

    /* Nothing that an attacker writes reaches the page: a nonce that can be guessed is no hole. */
    (void)!getrandom(random, sizeof random, GRND_NONBLOCK);
    snprintf(out, sizeof PAGE_NONCE, "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
}

void
answer_html(struct exchange *exchange, const char *headers)
{
    char nonce[sizeof PAGE_NONCE];
    char all[1024];
    struct text body;
    size_t len;
    const char *at = page_html(&len);
    const char *end = at + len;
    const char *mark;

    make_nonce(nonce);
    text_init(&body, 2 * len);
    while ((mark = memmem(at, (size_t)(end - at), PAGE_NONCE, sizeof PAGE_NONCE - 1)) != NULL) {
        text_add(&body, at, (size_t)(mark - at));
        text_put(&body, nonce);
        at = mark + sizeof PAGE_NONCE - 1;
    }
    text_add(&body, at, (size_t)(end - at));
    snprintf(all, sizeof all,
             "%sContent-Type: text/html; charset=utf-8\r\nReferrer-Policy: no-referrer\r\n"
             "Content-Security-Policy: default-src 'none'; style-src 'nonce-%s'; "
             "script-src 'nonce-%s'; connect-src 'self'; img-src data:; base-uri 'none'; "
             "form-action 'none'; frame-ancestors 'none'\r\n",
             headers, nonce, nonce);
    answer_text(exchange, all, &body);
}
