/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_text -- configurations in tests: a text in, the snapshot or all its mistakes out.
 *
 * Needs cmocka.h before it. Texts of mistakes are "LINE: TEXT" lines.
 */
#ifndef CULVERT_TESTS_CONF_TEXT_H
#define CULVERT_TESTS_CONF_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

/* What every configuration needs, on lines of its own: 1 to 4. */
#define LISTEN_AND_ROUTE "[server]\nlisten = 1\n[route /]\ntarget = echo:\n"

static inline char *
report_text(const struct conf_report *report)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    for (size_t i = 0; i < report->n_mistakes; i++)
        fprintf(out, "%u: %s\n", report->mistakes[i].line, report->mistakes[i].text);
    fclose(out);
    return text;
}

/* The snapshot, or NULL and the mistakes in *mistakes, which the caller frees. */
static inline struct conf *
parse_bytes(const char *text, size_t len, const char *directory, char **mistakes)
{
    struct conf_report report;
    struct conf *conf;

    conf_report_init(&report, "test");
    conf = conf_parse(text, len, "test", directory, &report);
    *mistakes = report_text(&report);
    assert_int_equal(conf == NULL, report.n_mistakes > 0);
    conf_report_deinit(&report);
    return conf;
}

/* Must be accepted. */
static inline struct conf *
parse(const char *text)
{
    char *mistakes;
    struct conf *conf = parse_bytes(text, strlen(text), "/", &mistakes);

    assert_string_equal(mistakes, "");
    free(mistakes);
    return conf;
}

/* Must be refused with exactly these mistakes. */
static inline void
assert_mistakes(const char *text, const char *expected)
{
    char *mistakes;
    struct conf *conf = parse_bytes(text, strlen(text), "/", &mistakes);

    assert_string_equal(mistakes, expected);
    assert_null(conf);
    free(mistakes);
}

/* The same for a text that begins with LISTEN_AND_ROUTE: what is given begins at line 5. */
static inline void
assert_added_mistakes(const char *added, const char *expected)
{
    char *text;

    assert_true(asprintf(&text, "%s%s", LISTEN_AND_ROUTE, added) > 0);
    assert_mistakes(text, expected);
    free(text);
}

static inline char *
dump_text(const struct conf *conf)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    conf_dump(conf, out);
    fclose(out);
    return text;
}

#endif
