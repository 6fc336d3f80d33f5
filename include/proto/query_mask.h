/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * query_mask -- the query of a request as it may be logged: without the secrets in it.
 *
 *      room=7&%74oken=abc&x=1   →   room=7&%74oken=***&x=1
 *
 * A value is replaced by *** if its key, decoded, is or may be read as that of a secret:
 *
 * - session, token, ticket, key, auth, password, secret, signature, code and their kin, in any case
 *   and however their words are joined (api_key, apiKey, api-key[]), numbered or not (password2);
 *   keys whose last word is one (session_key, connect.sid), and keys that end so
 *   (x-amz-security-token, phpsessid) where that is not the end of an everyday word;
 * - those with such a word before or between brackets (token[0], user[password][old]);
 * - keys with other characters than letters, digits and - . _ ~ [ ] say something else to somebody
 *   else: their values are masked too, as is one without a key.
 *
 * So is a value that, decoded, holds a =, a % or a ": it may be a query itself, or JSON. A word that
 * stands alone is masked if it is long, or no key that would be shown. A query that cannot be
 * decoded (http1_query_valid()) is masked whole.
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_PROTO_QUERY_MASK_H
#define CULVERT_PROTO_QUERY_MASK_H

#include <stddef.h>

#include "proto/span.h"

enum {
    QUERY_MASK_WORD_MAX = 16, /* bytes of a word alone that is shown */
};

/* query: raw, without '?'. Fills out (size bytes, at least 4), terminated; what does not fit is cut
 * off. Linear. */
void query_mask(struct span query, char *out, size_t size);

#endif
