/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/conf.h"
#include "conf/path.h"
#include "conf/value.h"

static bool
refuse(struct conf_context *context, const struct conf_place *place, const struct conf_key *key,
       const char *value)
{
    char expected[CONF_VALUE_EXPECTED];

    conf_value_expected(key, expected);
    conf_mistake_got(context, place, expected, value);
    return false;
}

static const char *
behind(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* ---- parts ---- */

static bool
take_port(const char *text, unsigned min, uint16_t *port)
{
    size_t len = strspn(text, "0123456789");
    unsigned long value;

    if (len == 0 || len > 5 || text[len] != '\0')
        return false;
    value = strtoul(text, NULL, 10);
    if (value < min || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool
is_numeric(int family, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(family, host, address) == 1;
}

bool
conf_address_is_name(const char *name, size_t len)
{
    size_t label = 0;

    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool sound = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        if (c == '.' ? label == 0 : !sound || label == 63)
            return false;
        label = c == '.' ? 0 : label + 1;
    }
    return label > 0;
}

/* Digits and dots alone are a mistyped address, not a name: 127.0.0.256 must not go to DNS. */
static bool
is_host(const char *host)
{
    if (is_numeric(AF_INET, host))
        return true;
    return strspn(host, "0123456789.") != strlen(host) && conf_address_is_name(host, strlen(host));
}

/* Splits HOST:PORT or [IPV6]:PORT in place; NULL if it is neither, or for NULL. */
static char *
split_host(char *host, const char **port, bool *bracketed)
{
    char *end;

    if (host == NULL)
        return NULL;
    *bracketed = *host == '[';
    end = *bracketed ? strstr(host, "]:") : strchr(host, ':');
    if (end == NULL)
        return NULL;
    *port = end + (*bracketed ? 2 : 1);
    *end = '\0';
    return *bracketed ? host + 1 : host;
}

/* ---- listen ---- */

static bool
listen_at_host(struct conf_context *context, const char *address, struct conf_listen *listen)
{
    bool bracketed;
    const char *port;
    char *host;

    if (take_port(address, 0, &listen->port))
        return true;
    host = conf_pool_copy(context->pool, address, strlen(address));
    host = split_host(host, &port, &bracketed);
    if (host == NULL || !take_port(port, 0, &listen->port))
        return false;
    if (*host == '\0' && !bracketed)
        return true;
    /* One address each: who wants [::1] too writes a second listen. */
    if (!bracketed && strcmp(host, "localhost") == 0)
        host = conf_pool_copy(context->pool, "127.0.0.1", 9);
    listen->host = host;
    return host != NULL && is_numeric(bracketed ? AF_INET6 : AF_INET, host);
}

static bool
listen_flags(struct conf_context *context, const struct conf_place *place, const char *flags,
             struct conf_listen *listen)
{
    while (*(flags += strspn(flags, " \t")) != '\0') {
        size_t len = strcspn(flags, " \t");
        bool *flag = NULL;
        if (len == 3 && memcmp(flags, "tls", 3) == 0)
            flag = &listen->tls;
        else if (len == 5 && memcmp(flags, "proxy", 5) == 0)
            flag = &listen->proxy;
        if (flag == NULL || *flag) {
            conf_mistake_got(context, place, "tls, proxy or nothing behind the address", flags);
            return false;
        }
        *flag = true;
        flags += len;
    }
    return true;
}

bool
conf_address_listen(struct conf_context *context, const struct conf_place *place,
                    const struct conf_key *key, const char *value, struct conf_listen *listen)
{
    size_t len = strcspn(value, " \t");
    const char *path;

    memset(listen, 0, sizeof(*listen));
    listen->line = place->line;
    listen->text = conf_pool_copy(context->pool, value, len);
    if (listen->text == NULL || !listen_flags(context, place, value + len, listen))
        return false;
    path = behind(listen->text, "unix:");
    if (path == NULL)
        return listen_at_host(context, listen->text, listen) || refuse(context, place, key, value);
    if (*path == '\0')
        return refuse(context, place, key, value);
    listen->path = conf_path_socket(context, place, path);
    if (listen->path == NULL)
        return false;
    /* The directory of the file may bring some, and then --dump could not be read again. */
    if (strpbrk(listen->path, " \t") != NULL) {
        conf_mistake(context, place, "%s: the path must not hold blanks", listen->path);
        return false;
    }
    return true;
}

bool
conf_address_same(const struct conf_listen *a, const struct conf_listen *b)
{
    if (a->path != NULL || b->path != NULL)
        return a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0;
    if (a->port != b->port || a->port == 0)
        return false;
    if (a->host == NULL || b->host == NULL)
        return a->host == b->host;
    return strcmp(a->host, b->host) == 0;
}

bool
conf_address_admin(struct conf_context *context, const struct conf_place *place,
                   const struct conf_key *key, const char *value, struct conf_listen *listen)
{
    if (strcmp(value, "off") == 0) {
        memset(listen, 0, sizeof(*listen));
        listen->line = place->line;
        return true;
    }
    if (value[strcspn(value, " \t")] != '\0')
        return refuse(context, place, key, value);
    return conf_address_listen(context, place, key, value, listen);
}

/* ---- target ---- */

/* text is taken apart; the target keeps a part of it. */
static bool
target_host(char *text, struct conf_target *target)
{
    bool bracketed;
    const char *port;
    char *host = split_host(text, &port, &bracketed);

    if (host == NULL || !take_port(port, 1, &target->port))
        return false;
    target->host = host;
    return bracketed ? is_numeric(AF_INET6, host) : is_host(host);
}

/* "HOST", "HOST:PORT", "[IPV6]", "[IPV6]:PORT"; kind tells the port that is left out. */
static bool
target_broker(struct conf_context *context, const char *text, struct conf_target *target)
{
    const char *port = target->kind == CONF_TARGET_MQTTS ? ":8883" : ":1883";
    size_t len = strlen(text);
    bool has_port = *text == '[' ? strstr(text, "]:") != NULL : strchr(text, ':') != NULL;
    char *copy = conf_pool_alloc(context->pool, len + strlen(port) + 1, 1);

    if (copy == NULL)
        return false;
    strcpy(copy, text);
    if (!has_port)
        strcpy(copy + len, port);
    return target_host(copy, target);
}

static bool
target_path(struct conf_context *context, const struct conf_place *place, const char *rest,
            struct conf_target *target)
{
    if (target->kind == CONF_TARGET_UNIX || target->kind == CONF_TARGET_MQTT)
        target->path = conf_path_socket(context, place, rest);
    else
        target->path = conf_path_existing(context, place, rest, target->kind == CONF_TARGET_FILES);
    return target->path != NULL;
}

bool
conf_address_target(struct conf_context *context, const struct conf_place *place,
                    const struct conf_key *key, const char *value, struct conf_target *target)
{
    static const struct {
        const char *scheme;
        enum conf_target_kind kind;
        bool broker; /* HOST[:PORT] follows */
    } known[] = {
        {"tcp://", CONF_TARGET_TCP, false},      {"tls://", CONF_TARGET_TLS, false},
        {"unix:", CONF_TARGET_UNIX, false},      {"echo:", CONF_TARGET_ECHO, false},
        {"files:", CONF_TARGET_FILES, false},    {"map:", CONF_TARGET_MAP, false},
        {"topics:", CONF_TARGET_TOPICS, false},  {"mqtt://", CONF_TARGET_MQTT, true},
        {"mqtt+unix:", CONF_TARGET_MQTT, false}, {"mqtts://", CONF_TARGET_MQTTS, true},
    };
    const char *rest = NULL;
    unsigned i = 0;

    memset(target, 0, sizeof(*target));
    while (i < sizeof known / sizeof known[0] && (rest = behind(value, known[i].scheme)) == NULL)
        i++;
    if (rest == NULL)
        return refuse(context, place, key, value);
    target->kind = known[i].kind;
    target->text = conf_pool_copy(context->pool, value, strlen(value));
    if (target->text == NULL)
        return false;
    if (target->kind == CONF_TARGET_TCP || target->kind == CONF_TARGET_TLS)
        return target_host(conf_pool_copy(context->pool, rest, strlen(rest)), target) ||
               refuse(context, place, key, value);
    if (known[i].broker)
        return target_broker(context, rest, target) || refuse(context, place, key, value);
    if (target->kind == CONF_TARGET_TOPICS)
        return (*rest == '\0' || conf_address_is_bus_name(rest) ||
                refuse(context, place, key, value)) &&
               (target->bus = conf_pool_copy(context->pool, rest, strlen(rest))) != NULL;
    if ((target->kind == CONF_TARGET_ECHO) != (*rest == '\0'))
        return refuse(context, place, key, value);
    return target->kind == CONF_TARGET_ECHO || target_path(context, place, rest, target);
}

/* ---- bus ---- */

bool
conf_address_is_bus_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return len > 0 && len <= 32 && name[len] == '\0';
}

bool
conf_address_bus(struct conf_context *context, const struct conf_place *place,
                 const struct conf_key *key, const char *value, struct conf_bus *bus)
{
    struct conf_target target = {.kind = CONF_TARGET_MQTT};
    const char *rest = behind(value, "mqtt://");

    bus->kind = CONF_BUS_MEMORY;
    bus->url = conf_pool_copy(context->pool, value, strlen(value));
    if (bus->url == NULL)
        return false;
    if (strcmp(value, "memory:") == 0)
        return true;
    bus->kind = CONF_BUS_MQTT;
    if (rest == NULL) {
        bus->kind = CONF_BUS_MQTTS;
        target.kind = CONF_TARGET_MQTTS;
        rest = behind(value, "mqtts://");
    }
    if (rest == NULL || !target_broker(context, rest, &target))
        return refuse(context, place, key, value);
    bus->host = target.host;
    bus->port = target.port;
    return true;
}

/* ---- a target in a map ---- */

static const char *
stream_path(char *path, struct conf_target *target)
{
    target->kind = CONF_TARGET_UNIX;
    target->path = path;
    if (*path != '/')
        return "expected an absolute path behind unix:";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "the path of the unix socket is too long";
    return NULL;
}

const char *
conf_address_stream(char *text, char *room, struct conf_target *target)
{
    const char *rest;

    memset(target, 0, sizeof(*target));
    target->text = text;
    target->kind = CONF_TARGET_ECHO;
    if (strcmp(text, "echo:") == 0)
        return NULL;
    if (behind(text, "files:") != NULL || behind(text, "map:") != NULL ||
        behind(text, "topics:") != NULL)
        return "files:, map: and topics: cannot be chosen by a token";
    if ((rest = behind(text, "unix:")) != NULL || (rest = behind(text, "unix_socket:")) != NULL)
        return stream_path(text + (rest - text), target);
    target->kind = behind(text, "tls://") != NULL ? CONF_TARGET_TLS : CONF_TARGET_TCP;
    rest = target->kind == CONF_TARGET_TLS ? behind(text, "tls://") : behind(text, "tcp://");
    strcpy(room, rest == NULL ? text : rest);
    if (target_host(room, target))
        return NULL;
    return "expected HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH or echo: behind the "
           "token";
}
