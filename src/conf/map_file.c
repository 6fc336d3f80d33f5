/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/map_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "conf/address.h"
#include "conf/conf.h"
#include "conf/report.h"

struct entry {
    struct map_entry link; /* its key is the token */
    char *target;          /* as it stands in the file; sound */
    unsigned line;
};

/* Three allocations in all, so that it is quickly made and thrown away. A target is taken apart
 * once more when it is asked for: that is cheaper than to keep 100,000 of them so. */
struct conf_map_file {
    struct map map;
    struct entry *entries;
    size_t n_entries;
    char *text; /* tokens and targets lie in it, each with a NUL behind */
};

struct reader {
    struct conf_map_file *file;
    struct conf_report *report;
    char *at, *end; /* what is still to be read; *end may be written to */
    char *line;     /* the current one, a string without blanks around */
    size_t room;    /* for entries */
    unsigned number;
    bool failed;
};

static void
complain(struct reader *reader, const char *what)
{
    reader->failed = true;
    conf_report_add(reader->report, reader->number, "%s", what);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool
has_control(const char *at, const char *end)
{
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* ---- lines ---- */

/* The next line that says something. Returns false at the end. */
static bool
take_line(struct reader *reader)
{
    char *start, *stop, *feed;

    if (reader->at == reader->end)
        return false;
    start = reader->at;
    feed = memchr(start, '\n', (size_t)(reader->end - start));
    stop = feed == NULL ? reader->end : feed;
    reader->at = feed == NULL ? reader->end : feed + 1;
    reader->number++;
    if (stop > start && stop[-1] == '\r')
        stop--;
    reader->line = stop;
    *stop = '\0';
    if (stop - start > CONF_MAP_FILE_LINE_MAX) {
        complain(reader, "the line is too long");
        return true;
    }
    if (has_control(start, stop)) {
        complain(reader, "a control character");
        return true;
    }
    while (start < stop && is_blank(*start))
        start++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    *stop = '\0';
    reader->line = start;
    return true;
}

/* Cuts the line into the token and what stands behind it. Returns the latter, or NULL. */
static char *
split(struct reader *reader)
{
    char *colon = strchr(reader->line, ':');
    char *end;

    while (colon != NULL && colon[1] != '\0' && !is_blank(colon[1]))
        colon = strchr(colon + 1, ':');
    if (colon == NULL) {
        complain(reader, "expected \"token: target\", with a blank behind the colon");
        return NULL;
    }
    for (end = colon; end > reader->line && is_blank(end[-1]);)
        end--;
    *end = '\0';
    for (colon++; is_blank(*colon);)
        colon++;
    return colon;
}

/* What is wrong with a token; NULL: nothing. */
static const char *
token_fault(const char *token)
{
    size_t len = strlen(token);

    if (len == 0)
        return "expected a token before the colon";
    if (len > CONF_MAP_FILE_TOKEN_MAX)
        return "the token is too long";
    for (; *token != '\0'; token++) {
        if (*token < '!' || *token > '~')
            return "a token has letters, digits and punctuation of ASCII, and no blanks";
    }
    return NULL;
}

/* ---- entries ---- */

static void
add_entry(struct reader *reader, char *target)
{
    struct conf_map_file *file = reader->file;
    struct map_entry *other = map_find(&file->map, reader->line);
    struct entry *entry = &file->entries[file->n_entries];

    if (other != NULL) {
        reader->failed = true;
        conf_report_add(reader->report, reader->number, "the same token as in line %u",
                        container_of(other, struct entry, link)->line);
        return;
    }
    entry->line = reader->number;
    entry->target = target;
    map_add(&file->map, &entry->link, reader->line);
    file->n_entries++;
}

static void
read_entry(struct reader *reader)
{
    char room[CONF_MAP_FILE_LINE_MAX + 1];
    struct conf_target target;
    char *text = split(reader);
    const char *fault;

    if (text == NULL)
        return;
    fault = token_fault(reader->line);
    if (fault == NULL && *text == '\0')
        fault = "expected a target behind the token";
    if (fault == NULL)
        fault = conf_address_stream(text, room, &target);
    if (fault != NULL)
        complain(reader, fault);
    else
        add_entry(reader, text);
}

static void
read_entries(struct reader *reader)
{
    while (!conf_report_full(reader->report) && take_line(reader)) {
        if (*reader->line == '\0' || *reader->line == '#')
            continue;
        if (reader->file->n_entries == CONF_MAP_FILE_TOKENS_MAX) {
            complain(reader, "more than 100000 tokens");
            return;
        }
        read_entry(reader);
    }
}

/* ---- the whole ---- */

/* Entries must stay where they are, so there is room from the beginning for as many as there can
 * be. */
static size_t
count_lines(const char *text, size_t len)
{
    const char *end = text + len;
    size_t n = 1;

    while (n < CONF_MAP_FILE_TOKENS_MAX && (text = memchr(text, '\n', (size_t)(end - text)))) {
        text++;
        n++;
    }
    return n;
}

static struct conf_map_file *
make(const char *text, size_t len)
{
    struct conf_map_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->entries = calloc(count_lines(text, len), sizeof(file->entries[0]));
    file->text = malloc(len + 1);
    if (map_init(&file->map) != 0 || file->entries == NULL || file->text == NULL) {
        conf_map_file_free(file);
        return NULL;
    }
    memcpy(file->text, text, len);
    return file;
}

struct conf_map_file *
conf_map_file_parse(const char *text, size_t len, struct conf_report *report)
{
    struct reader reader = {.report = report};

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (len > CONF_MAP_FILE_SIZE_MAX) {
        conf_report_add(report, 0, "larger than %d MiB", CONF_MAP_FILE_SIZE_MAX >> 20);
        return NULL;
    }
    reader.file = make(text, len);
    if (reader.file == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    reader.at = reader.file->text;
    reader.end = reader.at + len;
    read_entries(&reader);
    if (!reader.failed)
        return reader.file;
    conf_map_file_free(reader.file);
    return NULL;
}

void
conf_map_file_free(struct conf_map_file *file)
{
    if (file == NULL)
        return;
    map_deinit(&file->map);
    free(file->entries);
    free(file->text);
    free(file);
}

size_t
conf_map_file_count(const struct conf_map_file *file)
{
    return file->n_entries;
}

bool
conf_map_file_has(const struct conf_map_file *file, const char *token)
{
    return map_find(&file->map, token) != NULL;
}

int
conf_map_file_find(const struct conf_map_file *file, const char *token, struct conf_target **target)
{
    struct map_entry *found = map_find(&file->map, token);
    struct conf_target *copy;
    const char *text;
    size_t size;
    char *strings;

    if (found == NULL)
        return 0;
    text = container_of(found, struct entry, link)->target;
    size = strlen(text) + 1;
    copy = malloc(sizeof(*copy) + 2 * size);
    if (copy == NULL)
        return -1;
    strings = (char *)(copy + 1);
    memcpy(strings, text, size);
    (void)conf_address_stream(strings, strings + size, copy); /* it was sound when it was read */
    *target = copy;
    return 1;
}
