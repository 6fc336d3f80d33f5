/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_map_file -- the file of a `target = map:FILE`: which token stands for which target.
 *
 *     # a comment                      line = blank | "#" anything | token ":" blanks target
 *     desk-1: 10.0.0.7:5900            token  = 1*128 of "!" to "~"; the first ":" before a blank
 *     a:b: tls://vnc.example.org:5901           ends it, so it may hold others
 *     local: unix:/run/vnc.sock        target = see conf_address_stream()
 *
 * This is websockify's token file, and more. Lines end in LF or CR LF; blanks around do not count;
 * a byte order mark may come first.
 *
 * Thread:    parsing on any; a parsed one is immutable, and read by any.
 * Ownership: the parsed one is the caller's; it keeps nothing of the text.
 * Errors:    mistakes with their lines, in a report that is about this file. None of them quotes
 *            the text: tokens are secrets, and reports end in logs.
 *
 * Tokens are compared as they are hashed (with a random key) and then byte by byte: how long that
 * takes tells nobody where a guess begins to be wrong, but that it hashes right.
 */
#ifndef CULVERT_CONF_MAP_FILE_H
#define CULVERT_CONF_MAP_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct conf_map_file;
struct conf_report;
struct conf_target;

enum {
    CONF_MAP_FILE_SIZE_MAX = 8 << 20, /* bytes; whoever reads the file asks for not more */
    CONF_MAP_FILE_TOKENS_MAX = 100000,
    CONF_MAP_FILE_TOKEN_MAX = 128, /* bytes of one */
    CONF_MAP_FILE_LINE_MAX = 8192, /* bytes of one, without its end */
};

/* A text of any bytes, without a NUL behind it. Returns NULL with mistakes reported. */
struct conf_map_file *conf_map_file_parse(const char *text, size_t len, struct conf_report *report)
    __attribute__((warn_unused_result));
void conf_map_file_free(struct conf_map_file *file);

size_t conf_map_file_count(const struct conf_map_file *file);
bool conf_map_file_has(const struct conf_map_file *file, const char *token);

/* A copy of what a token stands for, in one allocation that is the caller's to free. Returns 1, 0
 * if there is no such token, or -1 without memory. */
int conf_map_file_find(const struct conf_map_file *file, const char *token,
                       struct conf_target **target) __attribute__((warn_unused_result));

#endif
