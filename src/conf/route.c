/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/route.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "conf/address.h"
#include "conf/conf.h"

/* ---- names ---- */

char *
conf_route_host(struct conf_context *context, const struct conf_place *place, const char *host,
                size_t len, bool wildcard)
{
    size_t star = wildcard && len > 2 && host[0] == '*' && host[1] == '.' ? 2 : 0;
    char *lower;

    if (!conf_address_is_name(host + star, len - star)) {
        conf_mistake(context, place, "\"%.*s\" is no host: expected a name%s or an IPv4 address%s",
                     (int)(len < 80 ? len : 80), host, wildcard ? ", *.NAME" : "",
                     memchr(host, ':', len) == NULL ? "" : ", without a port");
        return NULL;
    }
    lower = conf_pool_copy(context->pool, host, len);
    for (size_t i = 0; lower != NULL && i < len; i++)
        lower[i] = (char)tolower((unsigned char)lower[i]);
    return lower;
}

/* What is wrong with a path; NULL: nothing. The same that is asked of a request's path, after which
 * only such paths are ever looked for. */
static const char *
path_fault(const char *path)
{
    for (const char *segment = path + 1; *segment != '\0';) {
        size_t len = strcspn(segment, "/");
        if (len == 0)
            return "an empty segment (\"//\")";
        if (segment[0] == '.' && (len == 1 || (len == 2 && segment[1] == '.')))
            return "the segment \".\" or \"..\"";
        segment += len;
        if (*segment == '/')
            segment++;
    }
    if (strchr(path, '\\') != NULL)
        return "a backslash";
    if (strchr(path, '?') != NULL)
        return "a question mark: routes do not look at the query";
    for (const char *p = strchr(path, '%'); p != NULL; p = strchr(p + 1, '%')) {
        if (isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]))
            return "an escape (%XX): write the path decoded";
    }
    return NULL;
}

bool
conf_route_name(struct conf_context *context, const struct conf_place *place, const char *argument,
                struct conf_route *route)
{
    const char *path = strchr(argument, '/');
    const char *fault;

    if (path == NULL) {
        conf_mistake(context, place, "expected [route /PATH] or [route HOST/PATH]");
        return false;
    }
    fault = path_fault(path);
    if (fault != NULL) {
        conf_mistake(context, place, "the path of a request never holds %s", fault);
        return false;
    }
    if (path != argument) {
        route->host = conf_route_host(context, place, argument, (size_t)(path - argument), false);
        if (route->host == NULL)
            return false;
    }
    route->name = conf_pool_copy(context->pool, argument, strlen(argument));
    route->path = conf_pool_copy(context->pool, path, strlen(path));
    route->path_len = strlen(path);
    route->prefix = path[route->path_len - 1] == '/';
    return route->name != NULL && route->path != NULL;
}

bool
conf_route_same(const struct conf_route *a, const struct conf_route *b)
{
    if (a->path == NULL || b->path == NULL || strcmp(a->path, b->path) != 0)
        return false;
    if (a->host == NULL || b->host == NULL)
        return a->host == b->host;
    return strcmp(a->host, b->host) == 0;
}

enum conf_use
conf_route_use(const struct conf_route *route)
{
    if (route->target.kind == CONF_TARGET_FILES)
        return CONF_USE_FILES;
    if (route->target.kind == CONF_TARGET_MQTT || route->target.kind == CONF_TARGET_MQTTS)
        return CONF_USE_MQTT;
    return route->target.kind == CONF_TARGET_TOPICS ? CONF_USE_TOPICS : CONF_USE_STREAM;
}

/* ---- finding ---- */

static bool
matches(const struct conf_route *route, const char *host, const char *path, size_t path_len)
{
    if (route->host != NULL && (host == NULL || strcasecmp(route->host, host) != 0))
        return false;
    if (!route->prefix)
        return route->path_len == path_len && memcmp(route->path, path, path_len) == 0;
    return route->path_len <= path_len && memcmp(route->path, path, route->path_len) == 0;
}

/* A host outweighs any path. Of the paths that match, an exact one is the longest that there is, so
 * the length alone decides: "/x/" exactly is the prefix "/x/" too. */
static bool
is_better(const struct conf_route *route, const struct conf_route *best)
{
    if (best == NULL)
        return true;
    if ((route->host != NULL) != (best->host != NULL))
        return route->host != NULL;
    return route->path_len > best->path_len;
}

const struct conf_route *
conf_find_route(const struct conf *conf, const char *host, const char *path)
{
    const struct conf_route *best = NULL;
    size_t path_len = strlen(path);

    for (size_t i = 0; i < conf->n_routes; i++) {
        const struct conf_route *route = &conf->routes[i];
        if (matches(route, host, path, path_len) && is_better(route, best))
            best = route;
    }
    return best;
}
