/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inih cuts lines at 200 bytes and section names at 49, takes the rest of a cut line for another
 * one, counts no lines for its handler and says nothing of an empty or repeated section. So it
 * never sees the text, only a skeleton of it, in which nothing is too long:
 *
 *     text                                   skeleton     what inih calls
 *     [route chat.example.org/a/long/path]   [s]
 *     target = tcp://127.0.0.1:6667 ; irc    target =     handler("s", "target", "")
 *
 * Name and value are taken from the line, which the reader still holds. What inih decides is what a
 * line is: a comment, nothing, a key and its separator, or a mistake (then it does not call).
 */
#include "conf/document.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/keys.h"
#include "conf/report.h"

/* Both far above any that means something. */
#define KEY_MAX     64
#define SECTION_MAX 1024

struct reader {
    struct conf_context *context;
    struct conf_document *document;
    const char *at, *end;         /* what is still to be read */
    const char *text;             /* the line that inih works on, without its end */
    size_t len;                   /* of it */
    unsigned line;                /* its number */
    bool unanswered;              /* a key was shown to inih and nothing came back yet */
    struct conf_section *section; /* NULL: none yet, or a refused one */
    bool section_refused;         /* its keys are passed over: they would be in a wrong one */
};

static void
complain(struct reader *reader, const char *what)
{
    struct conf_place place = {.line = reader->line};
    conf_mistake(reader->context, &place, "%s", what);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ---- */

/* The next line without its end, CR LF or LF, and without blanks around it. */
static void
take_line(struct reader *reader)
{
    const char *start = reader->at;
    const char *feed = memchr(start, '\n', (size_t)(reader->end - start));
    const char *stop = feed == NULL ? reader->end : feed;

    reader->at = feed == NULL ? reader->end : feed + 1;
    reader->line++;
    if (stop > start && stop[-1] == '\r')
        stop--;
    while (start < stop && is_blank(*start))
        start++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    reader->text = start;
    reader->len = (size_t)(stop - start);
}

/* Everywhere, in comments too: a NUL would end the text for inih, and nothing else that cannot be
 * seen belongs in a file that people read. */
static bool
line_is_text(struct reader *reader)
{
    for (size_t i = 0; i < reader->len; i++) {
        unsigned char c = (unsigned char)reader->text[i];
        if (c == '\0') {
            complain(reader, "a NUL byte: the file must be UTF-8 text");
            return false;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            complain(reader, "a control character");
            return false;
        }
    }
    return true;
}

/* ---- sections ---- */

/* The length of "[name]" with its brackets, 0 if it is not closed. */
static size_t
header_length(const char *text, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        if (text[i] == ']')
            return i + 1;
        if (text[i] == ';' && is_blank(text[i - 1]))
            return 0;
    }
    return 0;
}

static bool
header_is_sound(struct reader *reader, size_t closed)
{
    const char *rest = reader->text + closed;
    size_t rest_len = reader->len - closed;
    const char *trimmed = rest;

    if (closed == 0) {
        complain(reader, "expected \"]\" behind the name of the section");
        return false;
    }
    /* A comment may follow, also close behind the bracket. */
    if (rest_len > 0 && *rest != ';' && conf_expand_trim(&trimmed, rest_len) > 0) {
        complain(reader, "unexpected text behind \"]\": a key stands on its own line");
        return false;
    }
    if (closed - 2 > SECTION_MAX) {
        complain(reader, "the name of the section is too long");
        return false;
    }
    if (memmem(reader->text, closed, "${", 2) != NULL) {
        complain(reader, "variables are not expanded in the name of a section");
        return false;
    }
    return true;
}

static struct conf_section *
new_section(struct conf_context *context, const char *name, size_t len)
{
    struct conf_section *section = conf_pool_alloc(context->scratch, 1, sizeof(*section));
    size_t kind_len = 0, gap;

    if (section == NULL)
        return NULL;
    while (kind_len < len && !is_blank(name[kind_len]))
        kind_len++;
    for (gap = kind_len; gap < len && is_blank(name[gap]);)
        gap++;
    section->name = conf_pool_copy(context->scratch, name, len);
    section->kind = conf_pool_copy(context->scratch, name, kind_len);
    if (gap < len)
        section->argument = conf_pool_copy(context->scratch, name + gap, len - gap);
    return section;
}

static void
begin_section(struct reader *reader)
{
    size_t closed = header_length(reader->text, reader->len);
    const char *name = reader->text + 1;
    size_t len;
    struct conf_section *section;

    reader->section = NULL;
    reader->section_refused = true;
    if (!header_is_sound(reader, closed))
        return;

    for (len = closed - 2; len > 0 && is_blank(name[len - 1]);)
        len--;
    for (; len > 0 && is_blank(*name); len--)
        name++;
    section = new_section(reader->context, name, len);
    if (section == NULL)
        return;
    section->line = reader->line;
    if (reader->document->last == NULL)
        reader->document->first = section;
    else
        reader->document->last->next = section;
    reader->document->last = section;
    reader->section = section;
    reader->section_refused = false;
}

/* ---- what inih calls ---- */

/* Shows inih the line as far as its separator. */
static void
show_key(struct reader *reader, char *out, size_t size)
{
    const char *equals = memchr(reader->text, '=', reader->len);
    size_t len = equals == NULL ? reader->len : (size_t)(equals - reader->text);

    reader->unanswered = true;
    if (len > KEY_MAX)
        len = KEY_MAX; /* what this leaves is no key that is known */
    snprintf(out, size, "%.*s%s\n", (int)len, reader->text, equals == NULL ? "" : "=");
}

/* The reader of ini_parse_stream(), in the place of fgets(). */
static char *
next_line(char *out, int size, void *stream)
{
    struct reader *reader = stream;

    if (reader->unanswered)
        complain(reader, "expected \"key = value\" or \"[section]\" (a value cannot continue on "
                         "another line)");
    reader->unanswered = false;
    if (reader->at == reader->end || conf_report_full(reader->context->report))
        return NULL;

    take_line(reader);
    snprintf(out, (size_t)size, "\n");
    if (!line_is_text(reader) || reader->len == 0)
        return out;
    if (*reader->text == ';' || *reader->text == '#')
        return out;
    if (*reader->text == '[') {
        begin_section(reader);
        snprintf(out, (size_t)size, "[s]\n");
        return out;
    }
    show_key(reader, out, (size_t)size);
    return out;
}

static bool
entry_is_sound(struct reader *reader, const char *key)
{
    const char *equals = memchr(reader->text, '=', reader->len);
    const char *colon = memchr(reader->text, ':', reader->len);

    /* inih also takes "key: value", and so would hide a forgotten "=" in front of an address. */
    if (equals == NULL || (colon != NULL && colon < equals)) {
        complain(reader, "expected \"=\" behind the key, not \":\"");
        return false;
    }
    if (*key == '\0') {
        complain(reader, "expected a key before \"=\"");
        return false;
    }
    if (reader->section == NULL && !reader->section_refused) {
        complain(reader, "expected a section, such as [server], before the first key");
        return false;
    }
    return reader->section != NULL;
}

static void
add_entry(struct reader *reader, const char *key)
{
    struct conf_pool *scratch = reader->context->scratch;
    struct conf_entry *entry = conf_pool_alloc(scratch, 1, sizeof(*entry));
    const char *equals = memchr(reader->text, '=', reader->len);
    const char *raw = equals + 1;
    size_t len = reader->len - (size_t)(raw - reader->text);
    const struct conf_key *known;
    struct conf_place place;

    if (entry == NULL)
        return;
    entry->key = conf_pool_copy(scratch, key, strlen(key));
    entry->line = reader->line;
    place = (struct conf_place){
        .section = reader->section->name, .key = entry->key, .line = entry->line};
    len = conf_expand_trim(&raw, len);
    known = conf_key_find(reader->section->kind, key);
    entry->value = conf_expand(reader->context, &place, raw, len,
                               known != NULL && known->type == CONF_FILTERS);

    if (reader->section->last == NULL)
        reader->section->first = entry;
    else
        reader->section->last->next = entry;
    reader->section->last = entry;
}

static int
handle(void *user, const char *section, const char *key, const char *value)
{
    struct reader *reader = user;

    (void)section;
    (void)value;
    reader->unanswered = false;
    if (entry_is_sound(reader, key))
        add_entry(reader, key);
    return 1;
}

void
conf_document_read(struct conf_context *context, const char *text, size_t len,
                   struct conf_document *document)
{
    struct reader reader = {
        .context = context, .document = document, .at = text, .end = text + len};

    document->first = document->last = NULL;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        reader.at += 3;
    /* Its result is the first line that it did not understand: next_line() has seen all of them. */
    (void)ini_parse_stream(next_line, &reader, handle, &reader);
}
