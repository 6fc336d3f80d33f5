/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/names.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_BYTES 63

static bool
is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z');
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (!letter && !digit && strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)
            return false;
    }
    return len > 0 && len <= NAME_MAX_BYTES;
}

/* Takes the next name off a list and returns its length. */
static size_t
next_name(const char **rest, const char **name)
{
    size_t len = strcspn(*rest, ",");
    size_t blanks = strspn(*rest, " \t");

    *name = *rest;
    *rest += len;
    if (**rest == ',')
        (*rest)++;
    if (blanks >= len)
        return 0;
    *name += blanks;
    len -= blanks;
    while (strchr(" \t", (*name)[len - 1]) != NULL)
        len--;
    return len;
}

static bool
has_name(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static char *
read_name(struct conf_context *context, const struct conf_place *place, const char *text,
          size_t len)
{
    char *name = conf_pool_copy(context->pool, text, len);

    if (name == NULL)
        return NULL;
    if (!is_token(name, len)) {
        conf_mistake_got(context, place,
                         "names of letters, digits and !#$%&'*+-.^_`|~, at most 63 bytes each, "
                         "separated by commas",
                         name);
        return NULL;
    }
    return name;
}

char **
conf_names_read(struct conf_context *context, const struct conf_place *place, const char *text)
{
    size_t n = *text == '\0' ? 0 : 1;
    char **names;

    for (const char *comma = text; (comma = strchr(comma, ',')) != NULL; comma++)
        n++;
    names = conf_pool_alloc(context->pool, n + 1, sizeof(*names));
    for (size_t i = 0; names != NULL && i < n; i++) {
        const char *name;
        size_t len = next_name(&text, &name);
        char *copy = read_name(context, place, name, len);
        if (copy == NULL)
            return NULL;
        if (has_name(names, i, copy)) {
            conf_mistake(context, place, "\"%s\" is repeated", copy);
            return NULL;
        }
        names[i] = copy;
    }
    return names;
}
