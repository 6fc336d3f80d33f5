/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/topic_template.h"

#include <string.h>

#include "base/topic_filter.h"

#define USER      "${user}"
#define CLIENT_ID "${client_id}"

/* Stands in for whatever fills a place: no level of it is a wildcard. */
static const struct topic_client anybody = {"x", "x"};

static bool
begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* The length of the place that text begins with, and what fills it; 0: it begins with none. */
static size_t
place(const char *text, const struct topic_client *client, const char **value)
{
    if (begins_with(text, USER)) {
        *value = client->user;
        return strlen(USER);
    }
    if (begins_with(text, CLIENT_ID)) {
        *value = client->client_id;
        return strlen(CLIENT_ID);
    }
    return 0;
}

static bool
may_fill(const char *value, bool at_beginning)
{
    return value != NULL && value[0] != '\0' && value[strcspn(value, "+#/")] == '\0' &&
           !(at_beginning && value[0] == '$');
}

int
topic_template_fill(const char *text, const struct topic_client *client, char *out, size_t size)
{
    size_t len = 0;

    while (*text != '\0') {
        const char *value = NULL, *from = text;
        size_t used = place(text, client, &value), n = 1;

        if (used > 0) {
            if (!may_fill(value, len == 0))
                goto fail;
            from = value;
            n = strlen(value);
        }
        if (n >= size - len || len + n > TOPIC_MAX)
            goto fail;
        memcpy(out + len, from, n);
        len += n;
        text += used > 0 ? used : 1;
    }
    out[len] = '\0';
    return (int)len;

fail:
    out[0] = '\0';
    return -1;
}

bool
topic_template_is_valid(const char *text)
{
    char filled[TOPIC_MAX + 1];
    int len = topic_template_fill(text, &anybody, filled, sizeof filled);

    return len > 0 && strstr(filled, "${") == NULL && topic_filter_is_valid(filled, (size_t)len);
}
