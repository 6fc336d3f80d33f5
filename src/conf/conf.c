/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conf/build.h"
#include "conf/context.h"
#include "conf/document.h"
#include "conf/pool.h"

/* A thousand routes with long values fit many times; /dev/zero does not. */
#define FILE_MAX ((size_t)8 << 20)

/* conf is the first member, so that the one pointer that is given out finds the other. */
struct snapshot {
    struct conf conf;
    struct conf_pool pool;
};

/* ---- snapshots ---- */

static struct snapshot *
new_snapshot(const char *name)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot == NULL)
        return NULL;
    conf_pool_init(&snapshot->pool);
    snapshot->conf.references = 1;
    snapshot->conf.file = conf_pool_copy(&snapshot->pool, name, strlen(name));
    return snapshot;
}

static void
free_snapshot(struct snapshot *snapshot)
{
    conf_pool_deinit(&snapshot->pool);
    free(snapshot);
}

struct conf *
conf_ref(struct conf *conf)
{
    unsigned before = __atomic_fetch_add(&conf->references, 1, __ATOMIC_RELAXED);
    assert(before > 0);
    return conf;
}

void
conf_unref(struct conf *conf)
{
    if (conf == NULL)
        return;
    /* What other threads read of it must have happened before it is freed here. */
    if (__atomic_sub_fetch(&conf->references, 1, __ATOMIC_ACQ_REL) == 0)
        free_snapshot((struct snapshot *)conf);
}

double
conf_longest_close_timeout(const struct conf *conf)
{
    double longest = 0;

    for (size_t i = 0; i < conf->n_routes; i++)
        longest = fmax(longest, conf->routes[i].close_timeout);
    return longest;
}

/* ---- parsing ---- */

static bool
read_and_build(struct conf_context *context, const char *text, size_t len, struct conf *conf)
{
    struct conf_document document;

    conf_document_read(context, text, len, &document);
    if (!conf_pool_failed(context->scratch))
        conf_build(context, &document, conf);
    if (!conf_pool_failed(context->scratch) && !conf_pool_failed(context->pool))
        return !context->failed;
    conf_report_add(context->report, 0, "out of memory");
    return false;
}

struct conf *
conf_parse(const char *text, size_t len, const char *name, const char *directory,
           struct conf_report *report)
{
    struct snapshot *snapshot = new_snapshot(name);
    struct conf_pool scratch;
    struct conf_context context = {.report = report, .directory = directory, .scratch = &scratch};
    bool sound;

    if (snapshot == NULL) {
        conf_report_add(report, 0, "out of memory");
        return NULL;
    }
    conf_pool_init(&scratch);
    context.pool = &snapshot->pool;
    sound = read_and_build(&context, text, len, &snapshot->conf);
    conf_pool_deinit(&scratch);
    if (sound)
        return &snapshot->conf;
    free_snapshot(snapshot);
    return NULL;
}

/* ---- files ---- */

/* Pipes and /dev/fd/63 are taken too, so the length is known at the end only. */
static char *
read_stream(FILE *in, size_t *len)
{
    size_t room = 4096;
    char *text = malloc(room);

    *len = 0;
    while (text != NULL) {
        char *grown;
        *len += fread(text + *len, 1, room - *len, in);
        if (*len < room || *len > FILE_MAX)
            return text;
        room *= 2;
        grown = realloc(text, room);
        if (grown == NULL)
            free(text);
        text = grown;
    }
    return NULL;
}

static char *
read_file(const char *path, size_t *len, struct conf_report *report)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "re");
    char *text;
    bool sound;

    if (in == NULL) {
        conf_report_add(report, 0, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    text = read_stream(in, len);
    sound = text != NULL && !ferror(in) && *len <= FILE_MAX;
    if (text == NULL)
        conf_report_add(report, 0, "out of memory");
    else if (ferror(in))
        conf_report_add(report, 0, "cannot be read: %s", strerror(errno));
    else if (*len > FILE_MAX)
        conf_report_add(report, 0, "larger than %zu MiB", FILE_MAX >> 20);
    if (!is_stdin)
        fclose(in);
    if (sound)
        return text;
    free(text);
    return NULL;
}

/* The part of a path before its last slash, in a copy; NULL: without memory. */
static char *
directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

struct conf *
conf_load(const char *path, struct conf_report *report)
{
    struct conf *conf = NULL;
    size_t len;
    char *directory = directory_of(path);
    char *text = read_file(path, &len, report);

    if (directory != NULL && text != NULL)
        conf = conf_parse(text, len, path, directory, report);
    else if (directory == NULL)
        conf_report_add(report, 0, "out of memory");
    free(text);
    free(directory);
    return conf;
}
