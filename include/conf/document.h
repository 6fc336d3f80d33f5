/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_document -- the sections and keys of an INI text, with their lines, before anybody asks what
 * they mean. The only file that knows inih.
 *
 * Thread:    that of the loader.
 * Ownership: everything lives in the context's scratch pool.
 * Errors:    mistakes of syntax are reported; what they are about is left out.
 */
#ifndef CULVERT_CONF_DOCUMENT_H
#define CULVERT_CONF_DOCUMENT_H

#include <stddef.h>

#include "conf/context.h"

struct conf_entry {
    struct conf_entry *next;
    const char *key;
    const char *value; /* expanded; NULL: there was a mistake in it */
    unsigned line;
};

struct conf_section {
    struct conf_section *next;
    const char *name;         /* "tls example.org" */
    const char *kind;         /* "tls" */
    const char *argument;     /* "example.org"; NULL: none */
    struct conf_entry *first; /* in the order of lines */
    struct conf_entry *last;
    unsigned line;
};

struct conf_document {
    struct conf_section *first; /* in the order of lines */
    struct conf_section *last;
};

/* Reads a text of any bytes, without a NUL behind it. */
void conf_document_read(struct conf_context *context, const char *text, size_t len,
                        struct conf_document *document);

#endif
