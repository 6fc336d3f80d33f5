/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log_entry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A character as it is written. */
struct piece {
    char text[8];
    size_t len;
};

/* Of the line's room, its end is kept: `}` and the newline. */
static bool
has_room(const struct log_entry *entry, size_t len)
{
    return entry->len + len <= LOG_ENTRY_MAX - 2;
}

static void
put_bytes(struct log_entry *entry, const char *text, size_t len)
{
    if (!has_room(entry, len))
        return;
    memcpy(entry->text + 1 + entry->len, text, len);
    entry->len += len;
}

static void
put_text(struct log_entry *entry, const char *text)
{
    put_bytes(entry, text, strlen(text));
}

/* ---- characters ---- */

/* The code point that begins at text, which is terminated, and its length; 0 if it is no UTF-8
 * (RFC 3629). */
static size_t
code_point(const unsigned char *text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    if (text[0] >= 0xf8 || (text[0] & 0xc0) == 0x80)
        return 0;
    *code = len == 1 ? text[0] : text[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3f);
    }
    if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return len;
}

/* Takes one character off *text. */
static void
next_json(const char **text, struct piece *piece)
{
    uint32_t code = 0;
    size_t len = code_point((const unsigned char *)*text, &code);

    if (len == 0) {
        memcpy(piece->text, "\xef\xbf\xbd", piece->len = 3);
        *text += 1;
        return;
    }
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) { /* those of a terminal in ISO 6429 too */
        piece->len = (size_t)snprintf(piece->text, sizeof piece->text, "\\u%04x", code & 0xff);
    } else if (code == '"' || code == '\\') {
        piece->text[0] = '\\';
        piece->text[1] = (char)code;
        piece->len = 2;
    } else {
        memcpy(piece->text, *text, piece->len = len);
    }
    *text += len;
}

/* Control characters could forge lines or drive a terminal. */
static void
next_plain(const char **text, bool quoted, struct piece *piece)
{
    unsigned char c = (unsigned char)*(*text)++;

    piece->len = 0;
    if (c < 0x20 || c == 0x7f) {
        piece->len = (size_t)snprintf(piece->text, sizeof piece->text, "\\x%02x", c);
        return;
    }
    if (quoted && (c == '"' || c == '\\'))
        piece->text[piece->len++] = '\\';
    piece->text[piece->len++] = (char)c;
}

/* Puts text into quotes, or not; max bytes at most as written. */
static void
put_escaped(struct log_entry *entry, const char *text, bool quoted, size_t max)
{
    size_t end = entry->len + max;
    struct piece piece;

    if (quoted)
        put_text(entry, "\"");
    while (*text != '\0') {
        if (entry->format == LOG_FORMAT_JSON)
            next_json(&text, &piece);
        else
            next_plain(&text, quoted, &piece);
        if (entry->len + piece.len > end || !has_room(entry, piece.len + quoted))
            break;
        put_bytes(entry, piece.text, piece.len);
    }
    if (quoted)
        put_text(entry, "\"");
}

/* ---- a line ---- */

/* ,"NAME": and room for an empty text behind it; false if there is none. */
static bool
put_name(struct log_entry *entry, const char *name)
{
    if (!has_room(entry, strlen(name) + 6))
        return false;
    put_text(entry, ",\"");
    put_text(entry, name);
    put_text(entry, "\":");
    return true;
}

static void
put_member(struct log_entry *entry, const char *name, const char *text, size_t max)
{
    if (put_name(entry, name))
        put_escaped(entry, text, true, max);
}

void
log_entry_begin(struct log_entry *entry, enum log_format format, const char *kind, const char *who)
{
    struct timespec now;
    struct tm tm;
    char time[48];
    char text[128];

    entry->format = format;
    entry->len = 0;
    entry->text[0] = '\n';
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
    if (format == LOG_FORMAT_JSON) {
        snprintf(text, sizeof text, "{\"time\":\"%s.%03ldZ\"", time, now.tv_nsec / 1000000);
        put_text(entry, text);
        put_member(entry, "level", kind, LOG_ENTRY_FIELD_MAX);
        put_member(entry, "who", who, LOG_ENTRY_FIELD_MAX);
        return;
    }
    snprintf(text, sizeof text, "%s.%03ldZ %-6.16s ", time, now.tv_nsec / 1000000, kind);
    put_text(entry, text);
    put_escaped(entry, who, false, LOG_ENTRY_FIELD_MAX);
    put_text(entry, " ");
}

void
log_entry_message(struct log_entry *entry, const char *message)
{
    if (entry->format == LOG_FORMAT_JSON)
        put_member(entry, "message", message, LOG_ENTRY_MAX);
    else
        put_escaped(entry, message, false, LOG_ENTRY_MAX);
}

void
log_entry_event(struct log_entry *entry, const char *what)
{
    if (entry->format == LOG_FORMAT_JSON)
        put_member(entry, "event", what, LOG_ENTRY_FIELD_MAX);
    else
        put_escaped(entry, what, false, LOG_ENTRY_FIELD_MAX);
}

static bool
needs_quotes(const char *text)
{
    if (*text == '\0')
        return true;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || *text == '"' || *text == '\\' || *text == 0x7f)
            return true;
    return false;
}

static void
put_plain_field(struct log_entry *entry, const struct log_field *field, const char *number)
{
    if (!has_room(entry, strlen(field->name) + 4 + strlen(number)))
        return;
    put_text(entry, " ");
    put_text(entry, field->name);
    put_text(entry, "=");
    if (field->type == LOG_TEXT)
        put_escaped(entry, field->text, needs_quotes(field->text), LOG_ENTRY_FIELD_MAX);
    else
        put_text(entry, number);
}

void
log_entry_field(struct log_entry *entry, const struct log_field *field)
{
    char number[400] = ""; /* of a double without limits */

    if (field->type == LOG_TEXT && field->text == NULL)
        return;
    if (field->type == LOG_NUMBER)
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
    else if (field->type == LOG_DURATION)
        snprintf(number, sizeof number, "%.3f", isfinite(field->seconds) ? field->seconds : 0);
    if (entry->format == LOG_FORMAT_TEXT) {
        put_plain_field(entry, field, number);
        return;
    }
    if (!has_room(entry, strlen(field->name) + 6 + strlen(number)) || !put_name(entry, field->name))
        return;
    if (field->type == LOG_TEXT)
        put_escaped(entry, field->text, true, LOG_ENTRY_FIELD_MAX);
    else
        put_text(entry, number);
}

void
log_entry_end(struct log_entry *entry)
{
    if (entry->format == LOG_FORMAT_JSON)
        entry->text[1 + entry->len++] = '}';
    entry->text[1 + entry->len++] = '\n';
}
