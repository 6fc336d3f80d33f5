/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/expand.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const template_places[] = {"${user}", "${client_id}"};

struct expansion {
    struct conf_context *context;
    const struct conf_place *place;
    bool places;          /* ${user} and ${client_id} stay */
    const char *at, *end; /* what is still to be read */
    size_t len;           /* of the value, which may be more than fits */
    bool failed;
    char value[CONF_VALUE_MAX + 1];
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

size_t
conf_expand_trim(const char **text, size_t len)
{
    const char *start = *text;
    size_t end = 0;

    /* As inih does it: a semicolon begins a comment only behind a blank. */
    while (end < len && !(start[end] == ';' && end > 0 && is_blank(start[end - 1])))
        end++;
    while (end > 0 && is_blank(start[end - 1]))
        end--;
    while (end > 0 && is_blank(*start)) {
        start++;
        end--;
    }
    *text = start;
    return end;
}

static void
put(struct expansion *expansion, const char *text, size_t len)
{
    size_t room =
        CONF_VALUE_MAX - (expansion->len < CONF_VALUE_MAX ? expansion->len : CONF_VALUE_MAX);

    if (room > 0)
        memcpy(expansion->value + expansion->len, text, len < room ? len : room);
    expansion->len += len;
}

static bool
is_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= 'a' && name[i] <= 'z') ||
                      name[i] == '_';
        bool digit = name[i] >= '0' && name[i] <= '9';
        if (!letter && !(digit && i > 0))
            return false;
    }
    return true;
}

/* The length of the place of a template that begins here; 0: none does. */
static size_t
place_length(const char *text)
{
    for (size_t i = 0; i < sizeof template_places / sizeof template_places[0]; i++) {
        size_t len = strlen(template_places[i]);
        if (strncmp(text, template_places[i], len) == 0)
            return len;
    }
    return 0;
}

static void
fail(struct expansion *expansion, const char *what)
{
    expansion->failed = true;
    conf_mistake(expansion->context, expansion->place, "%s", what);
}

/* As in a shell, the default also stands for a variable that is empty. */
static void
put_variable(struct expansion *expansion, const char *name, size_t len, const char *standard,
             size_t standard_len)
{
    char *key = conf_pool_copy(expansion->context->scratch, name, len);
    const char *value;

    if (key == NULL) {
        expansion->failed = true;
        return;
    }
    value = len == 0 ? NULL : getenv(key);
    if (value != NULL && (standard == NULL || *value != '\0')) {
        put(expansion, value, strlen(value));
        return;
    }
    if (standard != NULL) {
        put(expansion, standard, standard_len);
        return;
    }
    expansion->failed = true;
    conf_mistake(expansion->context, expansion->place,
                 "the environment variable %.*s is not set (${%.*s:-default} gives a default)",
                 conf_shown(key), key, conf_shown(key), key);
}

/* At "${". */
static void
read_variable(struct expansion *expansion)
{
    const char *name = expansion->at + 2;
    const char *close = memchr(name, '}', (size_t)(expansion->end - name));
    const char *colon = close == NULL ? NULL : memchr(name, ':', (size_t)(close - name));
    const char *name_end = colon == NULL ? close : colon;

    if (close == NULL) {
        expansion->at = expansion->end;
        fail(expansion, "\"${\" without \"}\"");
        return;
    }
    if (expansion->places && place_length(expansion->at) > 0) {
        put(expansion, expansion->at, (size_t)(close + 1 - expansion->at));
        expansion->at = close + 1;
        return;
    }
    expansion->at = close + 1;
    if (!is_name(name, (size_t)(name_end - name)) || (colon != NULL && colon[1] != '-') ||
        name == close) {
        fail(expansion, "expected ${NAME} or ${NAME:-default}, the name of letters, digits and _");
        return;
    }
    if (colon == NULL)
        put_variable(expansion, name, (size_t)(name_end - name), NULL, 0);
    else
        put_variable(expansion, name, (size_t)(name_end - name), colon + 2,
                     (size_t)(close - (colon + 2)));
}

static void
read_one(struct expansion *expansion)
{
    const char *at = expansion->at;
    char next = at + 1 < expansion->end ? at[1] : '\0';

    if (at[0] == '$' && next == '{') {
        read_variable(expansion);
        return;
    }
    if (at[0] == '$' && next != '$') {
        expansion->at++;
        fail(expansion, "\"$\" stands for a variable, ${NAME}; a dollar is written $$");
        return;
    }
    if (at[0] == '$' || (at[0] == '\\' && next == ';'))
        expansion->at++;
    put(expansion, expansion->at, 1);
    expansion->at++;
}

static bool
has_control(const char *value)
{
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

char *
conf_expand(struct conf_context *context, const struct conf_place *place, const char *raw,
            size_t len, bool places)
{
    struct expansion expansion = {
        .context = context, .place = place, .places = places, .at = raw, .end = raw + len};

    while (expansion.at < expansion.end)
        read_one(&expansion);
    if (expansion.failed)
        return NULL;
    if (expansion.len > CONF_VALUE_MAX) {
        conf_mistake(context, place, "the value is %zu bytes long, at most %d are taken",
                     expansion.len, CONF_VALUE_MAX);
        return NULL;
    }
    expansion.value[expansion.len] = '\0';
    /* They can come only out of a variable: the text itself was searched for them. */
    if (has_control(expansion.value)) {
        conf_mistake(context, place, "the value of a variable holds a control character");
        return NULL;
    }
    return conf_pool_copy(context->scratch, expansion.value, expansion.len);
}

static void
escape_blanks(const char *blanks, size_t len, FILE *out)
{
    if (len > 0)
        fprintf(out, "${:-%.*s}", (int)len, blanks);
}

/* places: those of a template stay as they are. */
static void
escape(const char *value, bool places, FILE *out)
{
    size_t end = strlen(value);
    size_t first = strspn(value, " \t");
    size_t last = end;

    while (last > first && is_blank(value[last - 1]))
        last--;
    escape_blanks(value, first, out);
    for (size_t i = first; i < last; i++) {
        if (value[i] == '$' && !(places && place_length(value + i) > 0))
            fputc('$', out);
        if (value[i] == ';')
            fputc('\\', out);
        fputc(value[i], out);
    }
    escape_blanks(value + last, end - last, out);
}

void
conf_expand_escape(const char *value, FILE *out)
{
    escape(value, false, out);
}

void
conf_expand_escape_filter(const char *value, FILE *out)
{
    escape(value, true, out);
}
