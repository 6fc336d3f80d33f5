/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps of tokens: what is taken is what a slow second reading makes of it, what is refused names
 * lines that are there, and a file that ends early is either.
 */
#include "conf/conf.h"
#include "conf/map_file.h"
#include "fuzz.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The target that was found, against the text behind its token. */
static void
check_target(const struct conf_target *target, const char *text)
{
    CHECK(strcmp(target->text, text) == 0);
    switch (target->kind) {
    case CONF_TARGET_TCP:
    case CONF_TARGET_TLS:
        CHECK(target->host != NULL && target->port > 0 && target->path == NULL);
        CHECK(strlen(target->host) <= 253 && strstr(text, target->host) != NULL);
        CHECK((target->kind == CONF_TARGET_TLS) == (strncmp(text, "tls://", 6) == 0));
        break;
    case CONF_TARGET_UNIX:
        CHECK(target->host == NULL && target->path[0] == '/' && strlen(target->path) < 108);
        break;
    case CONF_TARGET_ECHO:
        CHECK(strcmp(text, "echo:") == 0);
        break;
    case CONF_TARGET_FILES:
    case CONF_TARGET_MAP:
    case CONF_TARGET_TOPICS:
    case CONF_TARGET_MQTT:
    case CONF_TARGET_MQTTS:
        CHECK(false);
    }
}

/* A line of a file that was taken. Returns how many tokens it has. */
static size_t
check_line(const struct conf_map_file *file, char *line)
{
    struct conf_target *target;
    size_t len = strlen(line), token = 0, behind;

    if (len > 0 && line[len - 1] == '\r')
        line[--len] = '\0';
    while (is_blank(*line))
        line++;
    for (len = strlen(line); len > 0 && is_blank(line[len - 1]);)
        line[--len] = '\0';
    if (len == 0 || *line == '#')
        return 0;
    while (!(line[token] == ':' && is_blank(line[token + 1])))
        CHECK(line[token++] != '\0');
    for (behind = token + 1; is_blank(line[behind]);)
        behind++;
    while (is_blank(line[token - 1]))
        token--;
    line[token] = '\0';
    CHECK(token <= CONF_MAP_FILE_TOKEN_MAX && strpbrk(line, " \t") == NULL);
    CHECK(conf_map_file_has(file, line));
    CHECK(conf_map_file_find(file, line, &target) == 1);
    check_target(target, line + behind);
    free(target);
    return 1;
}

static void
check_taken(const struct conf_map_file *file, const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1), *rest = text, *line;
    size_t n = 0;

    CHECK(text != NULL);
    memcpy(text, data, len);
    text[len] = '\0';
    CHECK(strlen(text) == len);
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        rest += 3;
    while ((line = strsep(&rest, "\n")) != NULL)
        n += check_line(file, line);
    CHECK(conf_map_file_count(file) == n);
    CHECK(!conf_map_file_has(file, ""));
    free(text);
}

static void
check_refused(const struct conf_report *report, const uint8_t *data, size_t len)
{
    unsigned lines = 1;

    for (size_t i = 0; i < len; i++)
        lines += data[i] == '\n';
    CHECK(report->n_mistakes > 0);
    for (size_t i = 0; i < report->n_mistakes; i++)
        CHECK(report->mistakes[i].line >= 1 && report->mistakes[i].line <= lines);
}

static void
check(const uint8_t *data, size_t len)
{
    struct conf_report report;
    struct conf_map_file *file;
    char *copy = fuzz_copy(data, len);

    conf_report_init(&report, "fuzz");
    file = conf_map_file_parse(copy, len, &report);
    free(copy); /* it keeps nothing of it */
    if (file != NULL) {
        CHECK(report.n_mistakes == 0);
        check_taken(file, data, len);
    } else {
        check_refused(&report, data, len);
    }
    conf_map_file_free(file);
    conf_report_deinit(&report);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (data == NULL)
        data = (const uint8_t *)"";
    check(data, len);
    check(data, len / 2);
    return 0;
}
