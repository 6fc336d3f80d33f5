/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eventstream -- reads server-sent events (the HTML standard, section 9.2.6), as many as come, in
 * whatever pieces they come.
 *
 * Lifetime: eventstream_init() to eventstream_deinit().
 * Errors:   without memory the process ends.
 */
#ifndef BENCH_EVENTSTREAM_H
#define BENCH_EVENTSTREAM_H

#include <stddef.h>
#include <stdint.h>

struct eventstream {
    void (*event)(struct eventstream *stream);
    char name[32]; /* empty: message */
    char id[128];  /* the last one */
    uint8_t *data; /* of this event; may be written over */
    size_t data_len;
    size_t data_size;
    char *line;
    size_t line_len, line_size;
};

void eventstream_init(struct eventstream *stream, void (*event)(struct eventstream *stream));
void eventstream_deinit(struct eventstream *stream);
void eventstream_take(struct eventstream *stream, const uint8_t *text, size_t len);

#endif
