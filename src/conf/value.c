/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/value.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: a text is made with the first that divides it. */
static const struct unit sizes[] = {{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {0}};
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {0}};

/* ---- text to value ---- */

/* Digits alone; a number of more than 15 is out of every range, and this cannot overflow. */
static bool
take_digits(const char **text, uint64_t *value)
{
    size_t n = strspn(*text, "0123456789");

    if (n == 0 || n > 15)
        return false;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value = *value * 10 + (uint64_t)((*text)[i] - '0');
    *text += n;
    return true;
}

static bool
take_scaled(const struct unit *units, const char *text, uint64_t *value)
{
    if (!take_digits(&text, value))
        return false;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(text, unit->name) == 0)
            return !__builtin_mul_overflow(*value, unit->factor, value);
    }
    return false;
}

static bool
in_range(const struct conf_key *key, double value)
{
    return value >= key->min && value <= key->max;
}

static bool
takes_word(const struct conf_key *key, const char *word)
{
    return key->values != NULL && strcmp(key->values, word) == 0;
}

bool
conf_value_bool(const char *text, bool *value)
{
    *value = strcmp(text, "yes") == 0;
    return *value || strcmp(text, "no") == 0;
}

bool
conf_value_number(const struct conf_key *key, const char *text, unsigned *value)
{
    uint64_t number = 0;

    if (takes_word(key, text)) {
        *value = 0;
        return true;
    }
    if (!take_digits(&text, &number) || *text != '\0' || !in_range(key, (double)number))
        return false;
    *value = (unsigned)number;
    return true;
}

bool
conf_value_size(const struct conf_key *key, const char *text, size_t *value)
{
    uint64_t size;

    if (!take_scaled(sizes, text, &size) || !in_range(key, (double)size))
        return false;
    *value = size;
    return true;
}

bool
conf_value_duration(const struct conf_key *key, const char *text, double *value)
{
    uint64_t milliseconds = 0;
    double seconds;

    if (strcmp(text, "0") != 0 && !take_scaled(durations, text, &milliseconds))
        return false;
    seconds = (double)milliseconds / 1000.0;
    if (!in_range(key, seconds) && !(milliseconds == 0 && takes_word(key, "0")))
        return false;
    *value = seconds;
    return true;
}

bool
conf_value_enum(const struct conf_key *key, const char *text, unsigned *value)
{
    size_t len = strlen(text);
    const char *word = key->values;

    for (unsigned i = 0; *word != '\0'; i++) {
        size_t word_len = strcspn(word, " ");
        if (word_len == len && memcmp(word, text, len) == 0) {
            *value = i;
            return true;
        }
        word += word_len;
        word += strspn(word, " ");
    }
    return false;
}

static bool
is_word(const char *text, size_t len, const char *word)
{
    return strcspn(word, " ") == len && memcmp(text, word, len) == 0;
}

/* The bit of one word of a set; 0: it is none of them. */
static unsigned
bit_of(const struct conf_key *key, const char *text, size_t len)
{
    unsigned bit = 1;

    for (const char *word = key->values; *word != '\0'; bit <<= 1) {
        if (is_word(text, len, word))
            return bit;
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    return 0;
}

bool
conf_value_set(const struct conf_key *key, const char *text, unsigned *value)
{
    *value = 0;
    for (;;) {
        const char *end = strchrnul(text, ',');
        size_t len;
        unsigned bit;

        text += strspn(text, " \t");
        len = (size_t)(end - text);
        while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
            len--;
        bit = bit_of(key, text, len);
        if (bit == 0 || (*value & bit) != 0)
            return false;
        *value |= bit;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
}

bool
conf_value_mode(const struct conf_key *key, const char *text, mode_t *value)
{
    size_t n = strspn(text, "01234567");

    if (n == 0 || n > 4 || text[n] != '\0')
        return false;
    *value = (mode_t)strtoul(text, NULL, 8);
    return in_range(key, (double)*value);
}

/* ---- value to text ---- */

static void
scaled_text(const struct unit *units, uint64_t value, char out[CONF_VALUE_TEXT])
{
    const struct unit *unit = units;

    while (unit->factor > 1 && (value == 0 || value % unit->factor != 0))
        unit++;
    snprintf(out, CONF_VALUE_TEXT, "%llu%s", (unsigned long long)(value / unit->factor),
             unit->name);
}

void
conf_value_size_text(size_t size, char out[CONF_VALUE_TEXT])
{
    scaled_text(sizes, size, out);
}

void
conf_value_duration_text(double seconds, char out[CONF_VALUE_TEXT])
{
    if (seconds <= 0)
        snprintf(out, CONF_VALUE_TEXT, "0");
    else
        scaled_text(durations, (uint64_t)llround(seconds * 1000), out);
}

void
conf_value_enum_text(const struct conf_key *key, unsigned value, char out[CONF_VALUE_TEXT])
{
    const char *word = key->values;

    while (value-- > 0) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    snprintf(out, CONF_VALUE_TEXT, "%.*s", (int)strcspn(word, " "), word);
}

void
conf_value_set_text(const struct conf_key *key, unsigned value, char out[CONF_VALUE_EXPECTED])
{
    size_t len = 0;
    char word[CONF_VALUE_TEXT];

    out[0] = '\0';
    for (unsigned i = 0; value >> i != 0; i++) {
        if ((value >> i & 1) == 0)
            continue;
        conf_value_enum_text(key, i, word);
        len += (size_t)snprintf(out + len, CONF_VALUE_EXPECTED - len, "%s%s", len > 0 ? "," : "",
                                word);
    }
}

/* ---- what is expected ---- */

static void
expected_word(const struct conf_key *key, char out[CONF_VALUE_EXPECTED])
{
    bool some = key->type == CONF_SET;
    const char *last = some ? " and " : " or ";
    size_t len = (size_t)snprintf(out, CONF_VALUE_EXPECTED, "%s", some ? "some of " : "");
    size_t before = len;

    for (const char *word = key->values; *word != '\0' && len < CONF_VALUE_EXPECTED;) {
        size_t word_len = strcspn(word, " ");
        const char *next = word + word_len + strspn(word + word_len, " ");
        const char *join = len == before ? "" : *next == '\0' ? last : ", ";
        len += (size_t)snprintf(out + len, CONF_VALUE_EXPECTED - len, "%s%.*s", join, (int)word_len,
                                word);
        word = next;
    }
    if (some)
        snprintf(out + len, CONF_VALUE_EXPECTED - len, ", separated by commas");
}

static void
expected_range(const struct conf_key *key, const char *what, const char *min, const char *max,
               const char *example, char out[CONF_VALUE_EXPECTED])
{
    snprintf(out, CONF_VALUE_EXPECTED, "%s from %s to %s%s%s%s", what, min, max, example,
             key->values == NULL ? "" : " or ", key->values == NULL ? "" : key->values);
}

static void
expected_scaled(const struct conf_key *key, char out[CONF_VALUE_EXPECTED])
{
    char min[CONF_VALUE_TEXT], max[CONF_VALUE_TEXT];

    if (key->type == CONF_DURATION) {
        conf_value_duration_text(key->min, min);
        conf_value_duration_text(key->max, max);
        expected_range(key, "a duration", min, max, " (such as 30s)", out);
        return;
    }
    if (key->type == CONF_SIZE) {
        conf_value_size_text((size_t)key->min, min);
        conf_value_size_text((size_t)key->max, max);
        expected_range(key, "a size", min, max, " (such as 64k)", out);
        return;
    }
    snprintf(min, sizeof(min), "%.0f", key->min);
    snprintf(max, sizeof(max), "%.0f", key->max);
    expected_range(key, "a number", min, max, "", out);
}

static const char *
expected_form(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_BOOL:
        return "yes or no";
    case CONF_TEXT:
        return "a text";
    case CONF_LIST:
        return "names separated by commas";
    case CONF_FILTERS:
        return "MQTT topic filters separated by commas, perhaps with ${user} and ${client_id}";
    case CONF_BUS:
        return "memory:, mqtt://HOST, mqtt://HOST:PORT, mqtts://HOST or mqtts://HOST:PORT";
    case CONF_ORIGINS:
        return "same, any, or origins SCHEME://HOST or SCHEME://HOST:PORT separated by commas";
    case CONF_PATH:
        if (strcmp(key->values, "output") == 0)
            return "a file to write to, or -";
        return strcmp(key->values, "directory") == 0 ? "a directory" : "a file";
    case CONF_LISTEN:
        return "PORT, :PORT, HOST:PORT with a numeric host or localhost, [IPV6]:PORT or "
               "unix:PATH, and then perhaps tls, proxy";
    case CONF_ADMIN:
        return "PORT, :PORT, HOST:PORT with a numeric host or localhost, [IPV6]:PORT, "
               "unix:PATH or off";
    case CONF_NETWORKS:
        return "networks such as 10.0.0.0/8, 192.0.2.1, fd00::/8 or unix separated by commas";
    case CONF_TARGET:
        return "tcp://HOST:PORT, tls://HOST:PORT, mqtt://HOST[:PORT], mqtts://HOST[:PORT], "
               "mqtt+unix:PATH, unix:PATH, topics:, topics:BUS, map:FILE, echo: or files:DIR";
    case CONF_MODE:
        return "an octal mode from 0000 to 0777 (such as 0660)";
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_DURATION:
    case CONF_ENUM:
    case CONF_SET:
        break;
    }
    return NULL;
}

void
conf_value_expected(const struct conf_key *key, char out[CONF_VALUE_EXPECTED])
{
    const char *form = expected_form(key);

    if (form != NULL)
        snprintf(out, CONF_VALUE_EXPECTED, "%s", form);
    else if (key->type == CONF_ENUM || key->type == CONF_SET)
        expected_word(key, out);
    else
        expected_scaled(key, out);
}
