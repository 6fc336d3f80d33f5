/* SPDX-License-Identifier: BSD-2-Clause */
#include "eventstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static void *
room_for(void *memory, size_t *size, size_t need)
{
    if (need <= *size)
        return memory;
    *size = need * 2;
    memory = realloc(memory, *size);
    if (memory == NULL)
        fail("out of memory");
    return memory;
}

static void
add_data(struct eventstream *stream, const char *value, size_t len)
{
    stream->data = room_for(stream->data, &stream->data_size, stream->data_len + len + 1);
    memcpy(stream->data + stream->data_len, value, len);
    stream->data_len += len;
    stream->data[stream->data_len++] = '\n';
}

static void
dispatch(struct eventstream *stream)
{
    if (stream->data_len > 0) {
        stream->data_len--; /* the last newline */
        stream->event(stream);
    }
    stream->data_len = 0;
    stream->name[0] = '\0';
}

static void
take_line(struct eventstream *stream, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon != NULL ? (size_t)(colon - line) : len;
    const char *value = colon != NULL ? colon + 1 : line + len;
    int value_len;

    if (len == 0) {
        dispatch(stream);
        return;
    }
    if (value < line + len && *value == ' ')
        value++;
    value_len = (int)(line + len - value);
    if (name_len == 4 && memcmp(line, "data", 4) == 0)
        add_data(stream, value, (size_t)value_len);
    else if (name_len == 5 && memcmp(line, "event", 5) == 0)
        snprintf(stream->name, sizeof stream->name, "%.*s", value_len, value);
    else if (name_len == 2 && memcmp(line, "id", 2) == 0)
        snprintf(stream->id, sizeof stream->id, "%.*s", value_len, value);
}

void
eventstream_take(struct eventstream *stream, const uint8_t *text, size_t len)
{
    while (len > 0) {
        const uint8_t *end = memchr(text, '\n', len);
        size_t n = end != NULL ? (size_t)(end - text) : len;

        stream->line = room_for(stream->line, &stream->line_size, stream->line_len + n + 1);
        memcpy(stream->line + stream->line_len, text, n);
        stream->line_len += n;
        if (end == NULL)
            return;
        if (stream->line_len > 0 && stream->line[stream->line_len - 1] == '\r')
            stream->line_len--;
        take_line(stream, stream->line, stream->line_len);
        stream->line_len = 0;
        text += n + 1;
        len -= n + 1;
    }
}

void
eventstream_init(struct eventstream *stream, void (*event)(struct eventstream *stream))
{
    memset(stream, 0, sizeof *stream);
    stream->event = event;
}

void
eventstream_deinit(struct eventstream *stream)
{
    free(stream->data);
    free(stream->line);
    memset(stream, 0, sizeof *stream);
}
