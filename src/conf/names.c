/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/names.h"

#include <stdbool.h>
#include <string.h>

#include "base/topic_template.h"

#define NAME_MAX_BYTES   63
#define ORIGIN_MAX_BYTES 256
#define FILTERS_MAX      256

/* What may stand between two commas. */
struct form {
    bool (*is_sound)(const char *text, size_t len);
    const char *expected;
};

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

static bool
is_word(const char *text)
{
    return strcmp(text, "same") == 0 || strcmp(text, "any") == 0;
}

/* A blank is a forgotten comma. */
static bool
is_origin(const char *text, size_t len)
{
    const char *scheme_end = strstr(text, "://");

    if (is_word(text))
        return true;
    return scheme_end != NULL && scheme_end > text && scheme_end[3] != '\0' &&
           strpbrk(text, " \t") == NULL && len <= ORIGIN_MAX_BYTES;
}

static bool
is_filter(const char *text, size_t len)
{
    return len > 0 && topic_template_is_valid(text);
}

static const struct form filter_form = {
    is_filter, "MQTT topic filters such as sensors/+/temperature, chat/# or users/${user}/#, "
               "separated by commas"};
static const struct form token_form = {
    is_token, "names of letters, digits and !#$%&'*+-.^_`|~, at most 63 bytes each, "
              "separated by commas"};
static const struct form origin_form = {
    is_origin, "same, any, or origins such as https://example.org, at most 256 bytes each, "
               "separated by commas"};

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
read_name(struct conf_context *context, const struct conf_place *place, const struct form *form,
          const char *text, size_t len)
{
    char *name = conf_pool_copy(context->pool, text, len);

    if (name == NULL)
        return NULL;
    if (!form->is_sound(name, len)) {
        conf_mistake_got(context, place, form->expected, name);
        return NULL;
    }
    return name;
}

/* n: how many there are. */
static char **
read_list(struct conf_context *context, const struct conf_place *place, const struct form *form,
          const char *text, size_t n)
{
    char **names = conf_pool_alloc(context->pool, n + 1, sizeof(*names));

    for (size_t i = 0; names != NULL && i < n; i++) {
        const char *name;
        size_t len = next_name(&text, &name);
        char *copy = read_name(context, place, form, name, len);
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

static size_t
count(const char *text)
{
    size_t n = 1;

    for (; (text = strchr(text, ',')) != NULL; text++)
        n++;
    return n;
}

char **
conf_names_read(struct conf_context *context, const struct conf_place *place, const char *text)
{
    return read_list(context, place, &token_form, text, *text == '\0' ? 0 : count(text));
}

char **
conf_names_read_origins(struct conf_context *context, const struct conf_place *place,
                        const char *text)
{
    size_t n = count(text);
    char **origins = read_list(context, place, &origin_form, text, n);

    for (size_t i = 0; origins != NULL && n > 1 && i < n; i++) {
        if (!is_word(origins[i]))
            continue;
        conf_mistake(context, place, "\"%s\" stands alone, not in a list", origins[i]);
        return NULL;
    }
    return origins;
}

char **
conf_names_read_filters(struct conf_context *context, const struct conf_place *place,
                        const char *text)
{
    size_t n = *text == '\0' ? 0 : count(text);

    if (n > FILTERS_MAX) {
        conf_mistake(context, place, "at most %d filters are taken", FILTERS_MAX);
        return NULL;
    }
    return read_list(context, place, &filter_form, text, n);
}
