/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_template -- topic filters and names with places for who the client is.
 *
 *      users/${user}/#   devices/${client_id}/state
 *
 * What fills a place comes from the client, and stays within the level that it stands in: it can be
 * neither a wildcard nor a separator, nor make an ordinary topic one of the broker's own ($SYS).
 *
 * Thread:    any; no state.
 */
#ifndef CULVERT_BASE_TOPIC_TEMPLATE_H
#define CULVERT_BASE_TOPIC_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Who the client is; NULL: not known. Terminated, UTF-8. */
struct topic_client {
    const char *user;
    const char *client_id;
};

/* Whether it has no other places than those two, and is a valid filter whatever fills them. */
bool topic_template_is_valid(const char *text);

/*
 * Fills the places of a valid template. Returns the length of what was written, without NUL; or -1: a
 * place stands for what is not known, empty, has one of `+ # /` or begins the filter with a dollar sign,
 * or all of it does not fit into size bytes. Then out is empty.
 */
int topic_template_fill(const char *text, const struct topic_client *client, char *out, size_t size)
    __attribute__((warn_unused_result));

#endif
