/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_conf -- any text as a configuration, and its first two lines as a command line.
 *
 * What is refused says why. What is accepted is written by conf_dump() so that it is accepted
 * again and then written as the same bytes, and each of its routes is found by its own name.
 * Nothing is opened: names of files are looked up, no more.
 */
#include "conf/conf.h"
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("ODD", " ;$a\\;${B}\t", 1);
    setenv("FEED", "a\n[log]", 1);
    setenv("EMPTY", "", 1);
    return 0;
}

static char *
dump(const struct conf *conf, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    CHECK(out != NULL);
    conf_dump(conf, out);
    fclose(out);
    return text;
}

static struct conf *
parse_again(const char *text, size_t len)
{
    struct conf_report report;
    struct conf *conf;

    conf_report_init(&report, "dump");
    conf = conf_parse(text, len, "dump", "/", &report);
    if (conf == NULL) {
        fwrite(text, 1, len, stderr);
        conf_report_print(&report, stderr);
        abort();
    }
    conf_report_deinit(&report);
    return conf;
}

static void
check_routes(const struct conf *conf)
{
    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        CHECK(conf_find_route(conf, route->host, route->path) == route);
    }
}

/* Takes the reference. */
static void
check(struct conf *conf, struct conf_report *report)
{
    struct conf *again;
    char *first, *second;
    size_t first_len, second_len;

    CHECK((conf == NULL) == (report->n_mistakes > 0));
    for (size_t i = 1; i < report->n_mistakes; i++)
        CHECK(report->mistakes[i - 1].line <= report->mistakes[i].line);
    conf_report_deinit(report);
    if (conf == NULL)
        return;
    check_routes(conf);
    first = dump(conf, &first_len);
    again = parse_again(first, first_len);
    second = dump(again, &second_len);
    CHECK(first_len == second_len && memcmp(first, second, first_len) == 0);
    free(first);
    free(second);
    conf_unref(again);
    conf_unref(conf);
}

static void
try_arguments(const char *text)
{
    struct conf_report report;
    size_t listen_len = strcspn(text, "\n");
    const char *rest = text + listen_len + (text[listen_len] == '\n');
    char *listen = strndup(text, listen_len);
    char *target = strndup(rest, strcspn(rest, "\n"));

    CHECK(listen != NULL && target != NULL);
    conf_report_init(&report, "command line");
    check(conf_from_arguments(listen, target, NULL, &report), &report);
    free(listen);
    free(target);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct conf_report report;
    char *text = malloc(len + 1);

    CHECK(text != NULL);
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    try_arguments(text);
    free(text);

    text = fuzz_copy(data, len);
    conf_report_init(&report, "fuzz");
    check(conf_parse(text, len, "fuzz", "/usr", &report), &report);
    free(text);
    return 0;
}
