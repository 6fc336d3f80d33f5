/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/keys.h"

#include <stddef.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/document.h"

#define KIB  1024.0
#define HOUR 3600.0
#define DAY  86400.0

/* Where the value goes, and the line of a file that is read later. */
#define SERVER(field)     .section = "server", .offset = offsetof(struct conf, field)
#define LOG(field)        .section = "log", .offset = offsetof(struct conf, field)
#define TLS(field)        .section = "tls", .offset = offsetof(struct conf_tls, field)
#define ROUTE(field)      .section = "route", .offset = offsetof(struct conf_route, field)
#define BUS(field)        .section = "bus", .offset = offsetof(struct conf_bus, field)
#define TLS_LINE(field)   .line_offset = offsetof(struct conf_tls, field)
#define ROUTE_LINE(field) .line_offset = offsetof(struct conf_route, field)
#define BUS_LINE(field)   .line_offset = offsetof(struct conf_bus, field)

/* Which routes it says something to. */
#define BYTES   .uses = CONF_USE_STREAM
#define STREAMS .uses = CONF_USE_STREAM | CONF_USE_MQTT
#define TOPICS  .uses = CONF_USE_TOPICS
#define MQTT    .uses = CONF_USE_MQTT
#define CLIENTS .uses = CONF_USE_STREAM | CONF_USE_MQTT | CONF_USE_TOPICS

static const struct conf_key keys[] = {
    {SERVER(listens), .name = "listen", .type = CONF_LISTEN, .reloadable = true,
     .meaning = "an address to listen on; more than one may be given; flags behind it: tls, proxy"},
    {SERVER(workers), .name = "workers", .type = CONF_NUMBER, .standard = "auto", .min = 1,
     .max = 256, .values = "auto", .meaning = "threads that serve connections; auto: one per CPU"},
    {SERVER(socket_mode), .name = "socket_mode", .type = CONF_MODE, .standard = "0660", .min = 0,
     .max = 0777, .meaning = "permissions of the unix sockets that are listened on"},
    {SERVER(admin), .name = "admin", .type = CONF_ADMIN, .standard = "127.0.0.1:9180",
     .meaning = "where health, metrics and status are served, to whoever gets there; or off"},
    {SERVER(drain_timeout), .name = "drain_timeout", .type = CONF_DURATION, .standard = "30s",
     .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "after TERM, the time over which clients are told to leave"},
    {SERVER(max_connections), .name = "max_connections", .type = CONF_NUMBER, .standard = "100000",
     .min = 1, .max = 10e6, .reloadable = true,
     .meaning = "clients joined to targets at a time, all routes together; more get 503"},
    {SERVER(half_open_max), .name = "half_open_max", .type = CONF_NUMBER, .standard = "10000",
     .min = 1, .max = 10e6, .reloadable = true,
     .meaning = "clients without a complete request; for one more the longest waiting is closed"},
    {SERVER(trusted_proxies), .name = "trusted_proxies", .type = CONF_NETWORKS, .standard = "",
     .reloadable = true, .line_offset = offsetof(struct conf, trusted_proxies_line),
     .meaning = "networks whose PROXY and forwarding headers are believed; unix: unix sockets"},
    {SERVER(header_timeout), .name = "header_timeout", .type = CONF_DURATION, .standard = "10s",
     .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "from the beginning of a connection to its complete request header"},
    {SERVER(header_max), .name = "header_max", .type = CONF_SIZE, .standard = "32k", .min = KIB,
     .max = 64 * KIB, .reloadable = true,
     .meaning = "size of a request header, all lines together"},

    {LOG(log_level), .name = "level", .type = CONF_ENUM, .standard = "info",
     .values = "error warn info debug", .reloadable = true, .meaning = "what is logged"},
    {LOG(log_format), .name = "format", .type = CONF_ENUM, .standard = "text",
     .values = "text json", .reloadable = true, .meaning = "how a line is written"},
    {LOG(log_access), .name = "access", .type = CONF_BOOL, .standard = "yes", .reloadable = true,
     .meaning = "a line at the end of each connection, whatever the level"},
    {LOG(log_file), .name = "file", .type = CONF_PATH, .standard = "-", .values = "output",
     .reloadable = true, .line_offset = offsetof(struct conf, log_file_line),
     .meaning = "where lines are appended, reopened on USR1; -: standard error"},

    {TLS(certificate), .name = "certificate", .type = CONF_PATH, .values = "file",
     .reloadable = true, TLS_LINE(certificate_line),
     .meaning = "PEM file: the certificate, and the chain that leads to its root"},
    {TLS(private_key), .name = "private_key", .type = CONF_PATH, .values = "file",
     .reloadable = true, TLS_LINE(private_key_line),
     .meaning = "PEM file: the key of the certificate"},
    {TLS(client_ca), .name = "client_ca", .type = CONF_PATH, .standard = "", .values = "file",
     .reloadable = true, TLS_LINE(client_ca_line),
     .meaning = "PEM file: who may issue the certificates of clients"},
    {TLS(client_verify), .name = "client_verify", .type = CONF_ENUM, .standard = "none",
     .values = "none optional required", .reloadable = true,
     .meaning = "whether clients show a certificate; all but none needs client_ca"},
    {TLS(min_version), .name = "min_version", .type = CONF_ENUM, .standard = "1.2",
     .values = "1.2 1.3", .reloadable = true, .meaning = "the oldest TLS version that is taken"},

    {ROUTE(target), .name = "target", .type = CONF_TARGET, .reloadable = true,
     ROUTE_LINE(target_line), .meaning = "where the route leads"},
    {ROUTE(web), .name = "web", .type = CONF_PATH, .standard = "", .values = "directory",
     .reloadable = true, STREAMS,
     .meaning = "directory of files for requests that are no WebSocket; empty: none"},
    {ROUTE(transports), .name = "transports", .type = CONF_SET,
     .standard = "websocket, sse, longpoll", .values = "websocket sse longpoll", .reloadable = true,
     CLIENTS, .meaning = "how clients may be connected; the last two are sessions' alone"},
    {ROUTE(subprotocols), .name = "subprotocols", .type = CONF_LIST, .standard = "",
     .reloadable = true, CLIENTS,
     .meaning = "the first of the client's that is listed here is chosen; empty: none"},
    {ROUTE(subprotocols_required), .name = "subprotocols_required", .type = CONF_BOOL,
     .standard = "no", .reloadable = true,
     .meaning = "refuse clients that offer none of the subprotocols"},
    {ROUTE(messages), .name = "messages", .type = CONF_ENUM, .standard = "binary",
     .values = "binary text base64", .reloadable = true, BYTES,
     .meaning = "what the target's bytes are to a client: binary, text in UTF-8, or base64"},
    {ROUTE(framing), .name = "framing", .type = CONF_ENUM, .standard = "none",
     .values = "none line length16 length32", .reloadable = true, BYTES,
     .meaning = "how messages are told apart at the target; none: it is a stream of bytes"},
    {ROUTE(origins), .name = "origins", .type = CONF_ORIGINS, .standard = "same",
     .reloadable = true, CLIENTS, ROUTE_LINE(origins_line),
     .meaning = "the pages that may connect; same: those of the host that they connect to"},
    {ROUTE(origin_required), .name = "origin_required", .type = CONF_BOOL, .standard = "no",
     .reloadable = true, CLIENTS,
     .meaning = "refuse clients that tell no origin, as programs do that are no browser"},
    {ROUTE(heartbeat), .name = "heartbeat", .type = CONF_DURATION, .standard = "25s", .min = 0.1,
     .max = HOUR, .values = "0", .reloadable = true,
     .meaning = "ping a client that has been silent for so long; 0: never"},
    {ROUTE(heartbeat_timeout), .name = "heartbeat_timeout", .type = CONF_DURATION,
     .standard = "10s", .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "close when no sign of life follows the ping within this"},
    {ROUTE(idle_timeout), .name = "idle_timeout", .type = CONF_DURATION, .standard = "0",
     .min = 0.1, .max = DAY, .values = "0", .reloadable = true,
     .meaning = "close when no data went either way for so long; 0: never"},
    {ROUTE(connect_timeout), .name = "connect_timeout", .type = CONF_DURATION, .standard = "10s",
     .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "to reach the target, its name looked up and TLS agreed on"},
    {ROUTE(close_timeout), .name = "close_timeout", .type = CONF_DURATION, .standard = "5s",
     .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "for the other side to end too, once one side has ended"},
    {ROUTE(write_timeout), .name = "write_timeout", .type = CONF_DURATION, .standard = "60s",
     .min = 0.1, .max = HOUR, .reloadable = true,
     .meaning = "close when a side takes nothing for so long while something waits for it"},
    {ROUTE(message_timeout), .name = "message_timeout", .type = CONF_DURATION, .standard = "60s",
     .min = 0.1, .max = HOUR, .values = "0", .reloadable = true,
     .meaning = "close when an unfinished message gets nothing for so long; 0: never"},
    {ROUTE(message_max), .name = "message_max", .type = CONF_SIZE, .standard = "1m", .min = KIB,
     .max = 64 * KIB * KIB, .reloadable = true, CLIENTS,
     .meaning = "the longest message where they are collected: by framing, base64 and sessions"},
    {ROUTE(buffer), .name = "buffer", .type = CONF_SIZE, .standard = "256k", .min = 4 * KIB,
     .max = KIB * KIB * KIB, .reloadable = true,
     .meaning = "how much may wait for one side before the other is no longer read"},
    {ROUTE(resume_window), .name = "resume_window", .type = CONF_DURATION, .standard = "30s",
     .min = 0.1, .max = DAY, .values = "0", .reloadable = true, STREAMS,
     .meaning = "a session waits this long for its client to come back; 0: no sessions"},
    {ROUTE(reconnect_spread), .name = "reconnect_spread", .type = CONF_DURATION, .standard = "5s",
     .min = 0.1, .max = HOUR, .values = "0", .reloadable = true, STREAMS,
     .meaning = "clients of sessions that lost the server come back spread over this"},
    {ROUTE(poll_wait), .name = "poll_wait", .type = CONF_DURATION, .standard = "25s", .min = 0.1,
     .max = HOUR, .reloadable = true, CLIENTS,
     .meaning = "a long poll for which nothing comes is answered after this"},
    {ROUTE(connections_max), .name = "connections_max", .type = CONF_NUMBER, .standard = "0",
     .min = 0, .max = 10e6, .reloadable = true, CLIENTS,
     .meaning = "clients of this route at a time, more get 503; 0: no limit"},
    {ROUTE(connections_per_ip), .name = "connections_per_ip", .type = CONF_NUMBER, .standard = "0",
     .min = 0, .max = 10e6, .reloadable = true, CLIENTS,
     .meaning = "the same of one address, of IPv6 one /64, more get 429; 0: no limit"},
    {ROUTE(send_proxy), .name = "send_proxy", .type = CONF_ENUM, .standard = "no",
     .values = "no v1 v2", .reloadable = true, STREAMS,
     .meaning = "whether a target is told the client's address first, in a PROXY header"},
    {ROUTE(tls_verify), .name = "tls_verify", .type = CONF_BOOL, .standard = "yes",
     .reloadable = true,
     .meaning = "for tls:// and mqtts:// targets, check the certificate and the name in it"},
    {ROUTE(tls_ca), .name = "tls_ca", .type = CONF_PATH, .standard = "", .values = "file",
     .reloadable = true, ROUTE_LINE(tls_ca_line),
     .meaning = "for such targets, PEM file: who may issue it; empty: the system's"},

    {ROUTE(mqtt_packet_max), .name = "mqtt_packet_max", .type = CONF_SIZE, .standard = "0",
     .min = 0, .max = 256 * KIB * KIB, .reloadable = true, MQTT,
     .meaning = "the longest packet that a client may send; 0: no bound"},
    {ROUTE(mqtt_publish), .name = "mqtt_publish", .type = CONF_FILTERS, .standard = "",
     .reloadable = true, MQTT,
     .meaning = "what clients may publish to, their wills too; empty: everything; none: nothing"},
    {ROUTE(mqtt_subscribe), .name = "mqtt_subscribe", .type = CONF_FILTERS, .standard = "",
     .reloadable = true, MQTT,
     .meaning = "what clients may subscribe to; empty: everything; none: nothing"},
    {ROUTE(mqtt_client_id_prefix), .name = "mqtt_client_id_prefix", .type = CONF_TEXT,
     .standard = "", .reloadable = true, MQTT,
     .meaning = "put in front of each client identifier; empty: nothing"},
    {ROUTE(mqtt_username), .name = "mqtt_username", .type = CONF_TEXT, .standard = "",
     .reloadable = true, MQTT,
     .meaning = "who clients are at the broker, whatever they say; empty: who they say"},
    {ROUTE(mqtt_password_file), .name = "mqtt_password_file", .type = CONF_PATH, .standard = "",
     .values = "file", .reloadable = true, MQTT, ROUTE_LINE(mqtt_password_file_line),
     .meaning = "a file that holds the password of mqtt_username and nothing else"},
    {ROUTE(mqtt_connect_timeout), .name = "mqtt_connect_timeout", .type = CONF_DURATION,
     .standard = "10s", .min = 0.1, .max = HOUR, .reloadable = true, MQTT,
     .meaning = "for a client's CONNECT to be there, where one of these rules reads it"},
    {ROUTE(mqtt_versions), .name = "mqtt_versions", .type = CONF_SET, .standard = "3.1.1, 5",
     .values = "3.1.1 5", .reloadable = true, MQTT,
     .meaning = "the versions of MQTT that clients may speak"},

    {ROUTE(subscribe), .name = "subscribe", .type = CONF_FILTERS, .standard = "",
     .reloadable = true, TOPICS, .meaning = "what clients may subscribe to; empty: nothing"},
    {ROUTE(publish), .name = "publish", .type = CONF_FILTERS, .standard = "", .reloadable = true,
     TOPICS, .meaning = "what clients may publish to; empty: nothing"},
    {ROUTE(payload), .name = "payload", .type = CONF_ENUM, .standard = "json", .values = "json raw",
     .reloadable = true, TOPICS,
     .meaning = "what clients get and send: JSON with topic and id, or the payload alone"},
    {ROUTE(retain), .name = "retain", .type = CONF_BOOL, .standard = "yes", .reloadable = true,
     TOPICS, .meaning = "clients get retained values and may publish them"},
    {ROUTE(queue_messages), .name = "queue_messages", .type = CONF_NUMBER, .standard = "256",
     .min = 1, .max = 1e6, .reloadable = true, TOPICS,
     .meaning = "messages that may wait for one subscriber"},
    {ROUTE(queue_bytes), .name = "queue_bytes", .type = CONF_SIZE, .standard = "1m", .min = 4 * KIB,
     .max = KIB * KIB * KIB, .reloadable = true, TOPICS,
     .meaning = "bytes that may wait for one subscriber"},
    {ROUTE(overflow), .name = "overflow", .type = CONF_ENUM, .standard = "drop-oldest",
     .values = "drop-oldest drop-newest coalesce disconnect", .reloadable = true, TOPICS,
     .meaning = "with a full queue; coalesce: the latest message of each topic is kept"},

    {BUS(url), .name = "url", .type = CONF_BUS, .standard = "memory:",
     .meaning = "what carries the topics: this process alone, or an MQTT broker"},
    {BUS(history_messages), .name = "history_messages", .type = CONF_NUMBER, .standard = "1000",
     .min = 0, .max = 10e6,
     .meaning = "messages kept for clients that come back, all topics together"},
    {BUS(history_bytes), .name = "history_bytes", .type = CONF_SIZE, .standard = "16m", .min = 0,
     .max = 4 * KIB * KIB * KIB,
     .meaning = "the most bytes of them, with what is made of them for the wire"},
    {BUS(retained_max), .name = "retained_max", .type = CONF_NUMBER, .standard = "10000", .min = 0,
     .max = 10e6, .meaning = "topics whose last retained value is kept"},
    {BUS(retained_bytes), .name = "retained_bytes", .type = CONF_SIZE, .standard = "64m", .min = 0,
     .max = 64 * KIB * KIB * KIB, .meaning = "the most bytes of these values"},
    {BUS(client_id), .name = "client_id", .type = CONF_TEXT, .standard = "",
     .meaning = "our name at the broker; empty: culvert-, the host's name and 8 random characters"},
    {BUS(username), .name = "username", .type = CONF_TEXT, .standard = "",
     .meaning = "who we are at the broker; empty: nobody"},
    {BUS(password_file), .name = "password_file", .type = CONF_PATH, .standard = "",
     .values = "file", BUS_LINE(password_file_line),
     .meaning = "a file that holds the password of username and nothing else"},
    {BUS(mqtt_version), .name = "mqtt_version", .type = CONF_ENUM, .standard = "5",
     .values = "3.1.1 5", .meaning = "the version of MQTT that is spoken with the broker"},
    {BUS(qos), .name = "qos", .type = CONF_NUMBER, .standard = "1", .min = 0, .max = 2,
     .meaning = "how surely messages go to the broker and come from it"},
    {BUS(keep_alive), .name = "keep_alive", .type = CONF_DURATION, .standard = "20s", .min = 1,
     .max = 18 * HOUR, .meaning = "a silent broker is asked for a sign of life after this"},
    {BUS(connect_timeout), .name = "connect_timeout", .type = CONF_DURATION, .standard = "10s",
     .min = 1, .max = HOUR, .meaning = "to reach the broker, and for its answer"},
    {BUS(publish_timeout), .name = "publish_timeout", .type = CONF_DURATION, .standard = "10s",
     .min = 0.1, .max = HOUR,
     .meaning = "a publication that the broker has not taken within this has failed"},
    {BUS(publish_max), .name = "publish_max", .type = CONF_NUMBER, .standard = "1000", .min = 1,
     .max = 65535, .meaning = "publications that may wait for the broker; more fail at once"},
    {BUS(clean_start), .name = "clean_start", .type = CONF_BOOL, .standard = "no",
     .meaning = "leave behind what the broker kept for our client_id from before our start"},
    {BUS(session_expiry), .name = "session_expiry", .type = CONF_DURATION, .standard = "1h",
     .min = 300, .max = 30 * DAY,
     .meaning = "how long the broker keeps messages while we are away (MQTT 5)"},
    {BUS(will_topic), .name = "will_topic", .type = CONF_TEXT, .standard = "",
     .meaning = "where the broker tells that we have gone without a word; empty: nowhere"},
    {BUS(will_payload), .name = "will_payload", .type = CONF_TEXT, .standard = "",
     .meaning = "what it tells there"},
    {BUS(will_qos), .name = "will_qos", .type = CONF_NUMBER, .standard = "0", .min = 0, .max = 2,
     .meaning = "how surely"},
    {BUS(will_retain), .name = "will_retain", .type = CONF_BOOL, .standard = "no",
     .meaning = "whether that stays the topic's retained value"},
    {BUS(tls_verify), .name = "tls_verify", .type = CONF_BOOL, .standard = "yes",
     .meaning = "for mqtts://, check the broker's certificate and the name in it"},
    {BUS(tls_ca), .name = "tls_ca", .type = CONF_PATH, .standard = "", .values = "file",
     BUS_LINE(tls_ca_line),
     .meaning = "for mqtts://, PEM file: who may issue it; empty: the system's"},
    {BUS(tls_certificate), .name = "tls_certificate", .type = CONF_PATH, .standard = "",
     .values = "file", BUS_LINE(tls_certificate_line),
     .meaning = "for mqtts://, PEM file: our own certificate; empty: none"},
    {BUS(tls_private_key), .name = "tls_private_key", .type = CONF_PATH, .standard = "",
     .values = "file", BUS_LINE(tls_private_key_line),
     .meaning = "for mqtts://, PEM file: its key"},

    {.name = NULL},
};

static const char *const kinds[] = {"server", "log", "tls", "bus", "defaults", "route", NULL};

const struct conf_key *
conf_keys(void)
{
    return keys;
}

static bool
is_of_kind(const struct conf_key *key, const char *kind)
{
    return strcmp(key->section, strcmp(kind, "defaults") == 0 ? "route" : kind) == 0;
}

const struct conf_key *
conf_key_find(const char *kind, const char *name)
{
    for (const struct conf_key *key = keys; key->name != NULL; key++) {
        if (is_of_kind(key, kind) && strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

bool
conf_key_allowed(const struct conf_key *key, const struct conf_section *section)
{
    if (!is_of_kind(key, section->kind))
        return false;
    if (strcmp(section->kind, "defaults") == 0)
        return key->standard != NULL;
    if (strcmp(section->kind, "tls") == 0 && section->argument != NULL)
        return key->standard == NULL;
    return true;
}

bool
conf_key_required(const struct conf_key *key, const struct conf_section *section)
{
    return key->standard == NULL && conf_key_allowed(key, section);
}

/* ---- what was probably meant ---- */

#define WORD_MAX 32

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time. */
static unsigned
distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned row[WORD_MAX + 1];

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (unsigned i = 0; i <= b_len; i++)
        row[i] = i;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= b_len; k++) {
            unsigned above = row[k];
            row[k] = least(above + 1, row[k - 1] + 1, corner + (a[i - 1] != b[k - 1]));
            corner = above;
        }
    }
    return row[b_len];
}

/* Two slips in a long word, one in a short one: `level` is not meant by `lines`. */
static bool
is_near(const char *word, const char *known, unsigned *best)
{
    unsigned d = distance(word, known);

    if (d >= *best || d > strlen(known) / 3 || d > 2)
        return false;
    *best = d;
    return true;
}

const char *
conf_key_near(const char *kind, const char *name)
{
    const char *near = NULL;
    unsigned best = WORD_MAX;

    for (const struct conf_key *key = keys; key->name != NULL; key++) {
        if (is_of_kind(key, kind) && is_near(name, key->name, &best))
            near = key->name;
    }
    return near;
}

bool
conf_kind_known(const char *kind)
{
    for (const char *const *known = kinds; *known != NULL; known++) {
        if (strcmp(*known, kind) == 0)
            return true;
    }
    return false;
}

const char *
conf_kind_near(const char *kind)
{
    const char *near = NULL;
    unsigned best = WORD_MAX;

    for (const char *const *known = kinds; *known != NULL; known++) {
        if (is_near(kind, *known, &best))
            near = *known;
    }
    return near;
}
