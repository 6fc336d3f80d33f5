/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_value -- the small syntaxes of values: numbers, sizes, durations, words. Text to value and
 * back, and in words what is expected; no context, no memory.
 *
 * Thread:    any.
 * Errors:    false: the text is not of that form or out of the key's range.
 */
#ifndef CULVERT_CONF_VALUE_H
#define CULVERT_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct conf_key;

/* Room for values as text, and for any description of what a key takes. */
#define CONF_VALUE_TEXT     32 /* any value, but a set's */
#define CONF_VALUE_EXPECTED 256

bool conf_value_bool(const char *text, bool *value);
/* Also takes the key's word `auto`: *value is 0 then. */
bool conf_value_number(const struct conf_key *key, const char *text, unsigned *value);
bool conf_value_size(const struct conf_key *key, const char *text, size_t *value);
/* Seconds. Also takes 0 if the key does. */
bool conf_value_duration(const struct conf_key *key, const char *text, double *value);
/* The place of the word among the key's. */
bool conf_value_enum(const struct conf_key *key, const char *text, unsigned *value);
/* One bit for each word: some of the key's, separated by commas, none twice. */
bool conf_value_set(const struct conf_key *key, const char *text, unsigned *value);
bool conf_value_mode(const struct conf_key *key, const char *text, mode_t *value);

void conf_value_size_text(size_t size, char out[CONF_VALUE_TEXT]);
void conf_value_duration_text(double seconds, char out[CONF_VALUE_TEXT]);
void conf_value_enum_text(const struct conf_key *key, unsigned value, char out[CONF_VALUE_TEXT]);

/* The words of a set, without blanks. */
void conf_value_set_text(const struct conf_key *key, unsigned value, char out[CONF_VALUE_EXPECTED]);

/* What a key takes: "a number from 1 to 256 or auto". For messages and the manual page. */
void conf_value_expected(const struct conf_key *key, char out[CONF_VALUE_EXPECTED]);

#endif
