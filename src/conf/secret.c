/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

char *
conf_secret_read(struct conf_context *context, const struct conf_place *place, const char *path)
{
    char text[CONF_SECRET_MAX + 2];
    FILE *in = fopen(path, "re");
    char *secret = NULL;
    size_t len;

    if (in == NULL) {
        conf_mistake(context, place, "%.*s: %s", conf_shown(path), path, strerror(errno));
        return NULL;
    }
    len = fread(text, 1, sizeof text, in);
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    if (ferror(in))
        conf_mistake(context, place, "%.*s: cannot be read", conf_shown(path), path);
    else if (len == 0 || len > CONF_SECRET_MAX)
        conf_mistake(context, place, "%.*s: expected 1 to %d bytes", conf_shown(path), path,
                     CONF_SECRET_MAX);
    else if (memchr(text, '\0', len) != NULL || memchr(text, '\n', len) != NULL)
        conf_mistake(context, place, "%.*s: expected one line of text", conf_shown(path), path);
    else
        secret = conf_pool_copy(context->pool, text, len);
    fclose(in);
    explicit_bzero(text, sizeof text);
    return secret;
}
