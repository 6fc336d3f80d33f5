/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/mqtt_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/topic_filter.h"
#include "base/topic_template.h"
#include "proto/mqtt_read.h"

void
mqtt_client_deinit(struct mqtt_client *client)
{
    free(client->user);
    free(client->client_id);
    free(client->aliases);
    memset(client, 0, sizeof *client);
}

/* ---- topics ---- */

/* Whether one of the templates, filled with who the client is, covers the filter; a topic's name is the
 * filter for itself. Filled each time: kept, they would be many times what the client has sent. */
static bool
is_covered(char *const *templates, const struct mqtt_client *client, struct span filter)
{
    struct topic_client names = {client->user, client->client_id};
    char filled[TOPIC_MAX + 1];

    for (; *templates != NULL; templates++) {
        bool fixed = strstr(*templates, "${") == NULL;
        const char *wide = fixed ? *templates : filled;
        int len = fixed ? (int)strlen(wide)
                        : topic_template_fill(*templates, &names, filled, sizeof filled);

        if (len >= 0 && topic_filter_covers(wide, (size_t)len, filter.at, filter.len))
            return true;
    }
    return false;
}

static bool
may_publish(const struct mqtt_rules *rules, const struct mqtt_client *client, struct span topic)
{
    return rules->publish == NULL || is_covered(rules->publish, client, topic);
}

/* What is behind $share/NAME/; empty if it is malformed. Not of MQTT 3.1.1, but brokers take it there
 * too. */
static struct span
without_share(struct span filter)
{
    static const char share[] = "$share/";
    size_t len = sizeof share - 1;
    const char *name, *slash;

    if (filter.len < len || memcmp(filter.at, share, len) != 0)
        return filter;
    name = filter.at + len;
    slash = memchr(name, '/', filter.len - len);
    if (slash == NULL || slash == name || memchr(name, '+', (size_t)(slash - name)) != NULL ||
        memchr(name, '#', (size_t)(slash - name)) != NULL)
        return (struct span){"", 0};
    return (struct span){slash + 1, (size_t)(filter.at + filter.len - (slash + 1))};
}

bool
mqtt_rules_subscribe(const struct mqtt_rules *rules, const struct mqtt_client *client,
                     struct span filter)
{
    filter = without_share(filter);
    return topic_filter_is_valid(filter.at, filter.len) &&
           (rules->subscribe == NULL || is_covered(rules->subscribe, client, filter));
}

/* ---- topic aliases ---- */

static bool
alias_is_good(const struct mqtt_client *client, uint16_t alias)
{
    return alias / 8u < client->aliases_size && (client->aliases[alias / 8] & 1u << alias % 8) != 0;
}

static int
note_alias(struct mqtt_client *client, uint16_t alias, bool good)
{
    size_t size = alias / 8u + 1;
    uint8_t *aliases = client->aliases;

    if (size > client->aliases_size && good) {
        aliases = realloc(aliases, size);
        if (aliases == NULL)
            return -1;
        memset(aliases + client->aliases_size, 0, size - client->aliases_size);
        client->aliases = aliases;
        client->aliases_size = size;
    }
    if (good)
        aliases[alias / 8] |= (uint8_t)(1u << alias % 8);
    else if (size <= client->aliases_size)
        aliases[alias / 8] &= (uint8_t) ~(1u << alias % 8);
    return 0;
}

enum mqtt_verdict
mqtt_rules_publish(const struct mqtt_rules *rules, struct mqtt_client *client,
                   const struct mqtt_publish *publish)
{
    bool allowed;

    if (publish->topic.len == 0)
        return alias_is_good(client, publish->alias) ? MQTT_ALLOWED : MQTT_FORBIDDEN;
    allowed = may_publish(rules, client, publish->topic);
    if (publish->alias != 0 && note_alias(client, publish->alias, allowed) != 0)
        return MQTT_UNDECIDED;
    return allowed ? MQTT_ALLOWED : MQTT_FORBIDDEN;
}

/* ---- who it is ---- */

static bool
ask_for(char *const *templates, const char *place)
{
    for (; templates != NULL && *templates != NULL; templates++) {
        if (strstr(*templates, place) != NULL)
            return true;
    }
    return false;
}

static bool
is_asked_for(const struct mqtt_rules *rules, const char *place)
{
    return ask_for(rules->publish, place) || ask_for(rules->subscribe, place);
}

static const char *
prefix_of(const struct mqtt_rules *rules)
{
    return rules->identity.client_id_prefix != NULL ? rules->identity.client_id_prefix : "";
}

/* Without an identifier of its own a client is nobody, also with a prefix: that alone would be one
 * identifier for all of them. */
static int
note_names(const struct mqtt_rules *rules, const struct mqtt_connect *connect,
           struct mqtt_client *client)
{
    if (connect->username.len > 0 && is_asked_for(rules, "${user}")) {
        client->user = strndup(connect->username.at, connect->username.len);
        if (client->user == NULL)
            return -1;
    }
    if (connect->client_id.len > 0 && is_asked_for(rules, "${client_id}") &&
        asprintf(&client->client_id, "%s%.*s", prefix_of(rules), (int)connect->client_id.len,
                 connect->client_id.at) < 0) {
        client->client_id = NULL;
        return -1;
    }
    return 0;
}

static bool
refuse(struct mqtt_fault *fault, enum mqtt_reason reason, const char *why)
{
    *fault = (struct mqtt_fault){reason, why};
    return false;
}

bool
mqtt_rules_take_client(const struct mqtt_rules *rules, const struct mqtt_connect *connect,
                       struct mqtt_client *client, struct mqtt_fault *fault)
{
    size_t prefix = strlen(prefix_of(rules));

    if (!(connect->version == MQTT_VERSION_5 ? rules->takes_5 : rules->takes_3_1_1))
        return refuse(fault, MQTT_UNSUPPORTED_VERSION, "a version of MQTT that is not taken here");
    if (prefix > 0 && connect->client_id.len == 0)
        return refuse(fault, MQTT_BAD_CLIENT_ID, "a client identifier is needed here");
    if (prefix + connect->client_id.len > UINT16_MAX)
        return refuse(fault, MQTT_BAD_CLIENT_ID, "the client identifier is too long");
    if (note_names(rules, connect, client) != 0)
        return refuse(fault, MQTT_UNSPECIFIED, "out of memory");
    if ((connect->flags & MQTT_FLAG_WILL) != 0 && !may_publish(rules, client, connect->will_topic))
        return refuse(fault, MQTT_NOT_AUTHORIZED, "the topic of the will is not allowed");
    return true;
}
