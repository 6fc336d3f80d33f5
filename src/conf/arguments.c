/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The short form of the command line is a configuration of three lines, so that there is one way
 * in. Its mistakes speak of arguments: nobody typed a section, and there are no lines.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/context.h"
#include "conf/expand.h"
#include "conf/keys.h"
#include "conf/value.h"

struct argument {
    const char *name;   /* as the usage text calls it */
    const char *prefix; /* what messages begin with that are about it */
    const char *value;
};

/* A line feed could not be written into the text, and would begin another line there. */
static bool
is_plain(const char *value)
{
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

/* HOST:PORT is what people type. A host may well be called "echo"; one called "unix", "files"
 * or "map" needs its tcp:// written. */
static bool
has_scheme(const char *target)
{
    return strstr(target, "://") != NULL || strcmp(target, "echo:") == 0 ||
           strncmp(target, "unix:", 5) == 0 || strncmp(target, "files:", 6) == 0 ||
           strncmp(target, "map:", 4) == 0 || strncmp(target, "mqtt+unix:", 10) == 0;
}

static char *
make_text(const struct argument *listen, const struct argument *target, const struct argument *web,
          size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    bool failed;

    if (out == NULL)
        return NULL;
    fputs("[server]\nlisten = ", out);
    conf_expand_escape(listen->value, out);
    fputs("\nadmin = off\n[route /]\ntarget = ", out);
    if (!has_scheme(target->value))
        fputs("tcp://", out);
    conf_expand_escape(target->value, out);
    if (web->value != NULL) {
        fputs("\nweb = ", out);
        conf_expand_escape(web->value, out);
    }
    fputc('\n', out);
    failed = ferror(out) != 0;
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}

/* ---- mistakes ---- */

/* Of a HOST:PORT there is nothing else to say, and the tcp:// in front was not typed. */
static void
expect_host(const struct argument *argument, struct conf_report *report)
{
    char expected[CONF_VALUE_EXPECTED];
    int shown = conf_shown(argument->value);

    conf_value_expected(conf_key_find("route", "target"), expected);
    conf_report_add(report, 0, "%s: expected HOST:PORT, %s, got \"%.*s%s\"", argument->name,
                    expected, shown, argument->value, argument->value[shown] == '\0' ? "" : "...");
}

static void
retell_one(const struct argument *arguments, const char *text, struct conf_report *report)
{
    const struct argument *argument = arguments;
    size_t len = 0;

    for (; argument->name != NULL; argument++) {
        len = strlen(argument->prefix);
        if (strncmp(text, argument->prefix, len) == 0)
            break;
    }
    if (argument->name == NULL)
        conf_report_add(report, 0, "%s", text);
    else if (strcmp(argument->name, "TARGET") == 0 && !has_scheme(argument->value))
        expect_host(argument, report);
    else if (strstr(text + len, "[tls]") != NULL)
        conf_report_add(report, 0, "%s: tls needs a certificate, and so a configuration file",
                        argument->name);
    else
        conf_report_add(report, 0, "%s: %s", argument->name, text + len);
}

static void
retell(const struct argument *arguments, const struct conf_report *inner,
       struct conf_report *report)
{
    for (size_t i = 0; i < inner->n_mistakes; i++)
        retell_one(arguments, inner->mistakes[i].text, report);
}

static bool
check_plain(const struct argument *arguments, struct conf_report *report)
{
    bool sound = true;

    for (const struct argument *argument = arguments; argument->name != NULL; argument++) {
        if (argument->value == NULL || is_plain(argument->value))
            continue;
        conf_report_add(report, 0, "%s: a control character", argument->name);
        sound = false;
    }
    return sound;
}

struct conf *
conf_from_arguments(const char *listen, const char *target, const char *web,
                    struct conf_report *report)
{
    const struct argument arguments[] = {
        {"LISTEN", "[server] listen: ", listen},
        {"TARGET", "[route /] target: ", target},
        {"--web", "[route /] web: ", web},
        {NULL, NULL, NULL},
    };
    struct conf_report inner;
    struct conf *conf = NULL;
    char *text;
    size_t len;

    if (!check_plain(arguments, report))
        return NULL;
    text = make_text(&arguments[0], &arguments[1], &arguments[2], &len);
    if (text == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    conf_report_init(&inner, "command line");
    conf = conf_parse(text, len, "command line", NULL, &inner);
    if (conf == NULL)
        retell(arguments, &inner, report);
    else
        conf->routes[0].target_line = 0; /* nobody typed that line */
    conf_report_deinit(&inner);
    free(text);
    return conf;
}
