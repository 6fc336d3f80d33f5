/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answer -- whole bodies as answers: sent as fast as the client takes them, not faster.
 *
 * Thread:    main's. headers as exchange_begin() takes them.
 */
#ifndef CULVERT_ADMIN_ANSWER_H
#define CULVERT_ADMIN_ANSWER_H

struct exchange;
struct text;

/* A short body. */
void answer_static(struct exchange *exchange, const char *headers, const char *body);

/* Takes body's data in any case. One that has failed becomes a 503. */
void answer_text(struct exchange *exchange, const char *headers, struct text *body);

/* The page, with a nonce of its own: no other script runs in it, and it loads from here alone. */
void answer_html(struct exchange *exchange, const char *headers);

#endif
