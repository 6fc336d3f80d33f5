/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/path.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char *
join(struct conf_context *context, const char *name)
{
    const char *directory = context->directory == NULL ? "." : context->directory;
    char *current, *path;
    size_t len;

    if (name[0] == '/')
        return conf_pool_copy(context->pool, name, strlen(name));
    len = strlen(directory);
    while (len > 1 && directory[len - 1] == '/')
        len--;
    if (directory[0] == '/')
        return conf_pool_format(context->pool, "%.*s%s%s", (int)len, directory, len == 1 ? "" : "/",
                                name);
    current = getcwd(NULL, 0);
    if (current == NULL)
        return NULL;
    if (strcmp(directory, ".") == 0)
        path = conf_pool_format(context->pool, "%s/%s", current, name);
    else
        path = conf_pool_format(context->pool, "%s/%.*s/%s", current, (int)len, directory, name);
    free(current);
    return path;
}

char *
conf_path_absolute(struct conf_context *context, const struct conf_place *place, const char *name)
{
    char *path = join(context, name);

    if (path == NULL) {
        conf_mistake(context, place, "cannot tell the current directory: %s", strerror(errno));
        return NULL;
    }
    if (strlen(path) >= PATH_MAX) {
        conf_mistake(context, place, "the path is too long");
        return NULL;
    }
    return path;
}

static bool
exists(struct conf_context *context, const struct conf_place *place, const char *path,
       bool directory)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        conf_mistake(context, place, "%.*s: %s", conf_shown(path), path, strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode) != directory) {
        conf_mistake(context, place, "%.*s: %s", conf_shown(path), path,
                     directory ? "not a directory" : "a directory, expected a file");
        return false;
    }
    if (access(path, directory ? X_OK : R_OK) != 0) {
        conf_mistake(context, place, "%.*s: %s", conf_shown(path), path, strerror(errno));
        return false;
    }
    return true;
}

char *
conf_path_existing(struct conf_context *context, const struct conf_place *place, const char *name,
                   bool directory)
{
    char *path = conf_path_absolute(context, place, name);
    size_t len;

    if (path == NULL)
        return NULL;
    len = strlen(path);
    while (directory && len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    return exists(context, place, path, directory) ? path : NULL;
}

/* Whether the file can be made: its directory is there and may be written to. */
static bool
can_be_made(const char *path)
{
    size_t len = (size_t)(strrchr(path, '/') - path);
    char *directory = strndup(path, len == 0 ? 1 : len);
    bool sound = directory != NULL && access(directory, W_OK | X_OK) == 0;

    free(directory);
    return sound;
}

char *
conf_path_output(struct conf_context *context, const struct conf_place *place, const char *name)
{
    char *path = *name == '\0' ? NULL : conf_path_absolute(context, place, name);
    struct stat st;

    if (*name == '\0')
        conf_mistake_got(context, place, "a file to write to, or -", name);
    if (path == NULL)
        return NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (access(path, W_OK) == 0 || (errno == ENOENT && can_be_made(path)))
        return path;
    conf_mistake(context, place, "%.*s cannot be written to: %s", conf_shown(path), path,
                 strerror(errno));
    return NULL;
}

char *
conf_path_socket(struct conf_context *context, const struct conf_place *place, const char *name)
{
    char *path = conf_path_absolute(context, place, name);
    size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);

    if (path == NULL)
        return NULL;
    if (strlen(path) >= room) {
        conf_mistake(context, place, "the path of a unix socket has at most %zu bytes", room - 1);
        return NULL;
    }
    return path;
}
