/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf -- the configuration: an INI file made into an immutable, counted snapshot.
 *
 * Thread:    loading on the main thread; a snapshot is read by any thread, without locks.
 * Lifetime:  conf_load() returns one reference; conf_ref()/conf_unref() count from any thread.
 *            Connections hold a reference to the snapshot that they began with.
 * Ownership: all strings belong to the snapshot.
 * Errors:    every mistake is collected in a report (file, line, key, what was expected); then
 *            NULL.
 *
 * All durations are seconds (double), all sizes bytes.
 */
#ifndef CULVERT_CONF_CONF_H
#define CULVERT_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"

/* One address of `listen`. */
struct conf_listen {
    char *text;    /* as configured, without flags: "0.0.0.0:8080", ":6080", "[::]:8443",
                      "unix:/run/x.sock" */
    char *host;    /* NULL: all addresses, IPv6 and IPv4; numeric otherwise. For unix: NULL */
    char *path;    /* unix socket, absolute; NULL otherwise */
    uint16_t port; /* 0 lets the kernel choose */
    bool tls;
    bool proxy;    /* connections begin with a PROXY header */
    unsigned line; /* 0: the default */
};

enum conf_log_format {
    CONF_LOG_TEXT,
    CONF_LOG_JSON,
};

enum conf_client_verify {
    CONF_VERIFY_NONE,
    CONF_VERIFY_OPTIONAL,
    CONF_VERIFY_REQUIRED,
};

enum conf_tls_version {
    CONF_TLS_1_2,
    CONF_TLS_1_3,
};

/* [tls] and [tls HOST] */
struct conf_tls {
    char *host; /* lower case, "*.example.org" allowed; NULL for the default certificate */
    char *certificate;
    char *private_key;
    char *client_ca; /* NULL: none. client_ca, client_verify and min_version only in [tls] */
    enum conf_client_verify client_verify;
    enum conf_tls_version min_version;
    unsigned line;             /* of the section */
    unsigned certificate_line; /* for mistakes found when the files are read */
    unsigned private_key_line;
    unsigned client_ca_line;
};

enum conf_target_kind {
    CONF_TARGET_TCP,    /* tcp://HOST:PORT */
    CONF_TARGET_TLS,    /* tls://HOST:PORT */
    CONF_TARGET_UNIX,   /* unix:/PATH */
    CONF_TARGET_ECHO,   /* echo: */
    CONF_TARGET_FILES,  /* files:DIR */
    CONF_TARGET_MAP,    /* map:FILE: the request's token chooses */
    CONF_TARGET_TOPICS, /* topics:[BUS] */
    CONF_TARGET_MQTT,   /* mqtt://HOST[:PORT], mqtt+unix:/PATH */
    CONF_TARGET_MQTTS,  /* mqtts://HOST[:PORT] */
};

struct conf_target {
    enum conf_target_kind kind;
    char *text; /* as configured, for logs */
    char *host; /* a name or a numeric address, IPv6 without brackets; tcp, tls, mqtt, mqtts */
    uint16_t port;
    char *path; /* unix, mqtt+unix: the socket; files: the directory; map: the file; absolute */
    char *bus;  /* topics: its name, "" for that of [bus] */
};

/* What a target's bytes are to the client. */
enum conf_messages {
    CONF_MESSAGES_BINARY,
    CONF_MESSAGES_TEXT,   /* UTF-8, no code point cut */
    CONF_MESSAGES_BASE64, /* text, each message a whole base64 text; both ways */
};

/* Where messages begin and end on the target's side. */
enum conf_framing {
    CONF_FRAMING_NONE,
    CONF_FRAMING_LINE,
    CONF_FRAMING_LENGTH16, /* big-endian prefixes of 16 and 32 bits */
    CONF_FRAMING_LENGTH32,
};

/* Which PROXY header a target gets. */
enum conf_send_proxy {
    CONF_SEND_PROXY_NO,
    CONF_SEND_PROXY_V1,
    CONF_SEND_PROXY_V2,
};

/* What a topic route's messages are to the client. */
enum conf_payload {
    CONF_PAYLOAD_JSON, /* with topic and id */
    CONF_PAYLOAD_RAW,  /* the payload alone */
};

/* What is done with a subscriber whose queue is full. */
enum conf_overflow {
    CONF_OVERFLOW_DROP_OLDEST,
    CONF_OVERFLOW_DROP_NEWEST,
    CONF_OVERFLOW_COALESCE, /* the latest of each topic is kept */
    CONF_OVERFLOW_DISCONNECT,
};

/* How a client's side may be carried; in the order of enum metrics_transport. */
enum conf_transport {
    CONF_TRANSPORT_WEBSOCKET = 1,
    CONF_TRANSPORT_SSE = 2,
    CONF_TRANSPORT_LONGPOLL = 4,
};

enum conf_mqtt_version {
    CONF_MQTT_3_1_1,
    CONF_MQTT_5,
};

#define CONF_MQTT_VERSIONS (1u << CONF_MQTT_3_1_1 | 1u << CONF_MQTT_5)

/* Where topic filters are rules, and alone: no topic. */
#define CONF_MQTT_NONE "none"

struct conf_route {
    char *name; /* as in [route NAME], for logs and metrics */
    char *host; /* lower case; NULL: any */
    char *path; /* decoded, begins with '/' */
    size_t path_len;
    bool prefix; /* path ends with '/': matches all below it */
    unsigned line;

    struct conf_target target;
    unsigned target_line; /* for mistakes found when a map is read */
    char *web; /* directory of files for requests that are no WebSocket upgrade; NULL: none */

    unsigned transports; /* of enum conf_transport, never 0 */
    char **subprotocols; /* NULL-terminated, perhaps empty */
    bool subprotocols_required;
    enum conf_messages messages;
    enum conf_framing framing;
    char **origins; /* NULL-terminated, never empty; one of "same" and "any" alone, or origins
                              as configured: of each only "://" is certain */
    unsigned origins_line; /* 0: the default */
    bool origin_required;
    double heartbeat; /* 0: never */
    double heartbeat_timeout;
    double idle_timeout; /* 0: never */
    double connect_timeout;
    double close_timeout;
    double write_timeout;
    double message_timeout;      /* 0: never */
    size_t message_max;          /* where messages are collected: framing, base64, sessions */
    size_t buffer;               /* cap on what waits for one side; a session's window */
    double resume_window;        /* a session's time without a client; 0: no sessions */
    double reconnect_spread;     /* told to clients, for when all of them come back at once */
    double poll_wait;            /* a poll without an answer ends after it */
    unsigned connections_max;    /* clients joined to this route's targets at a time; 0: no limit */
    unsigned connections_per_ip; /* the same of one address, of IPv6 one /64; 0: no limit */
    enum conf_send_proxy send_proxy;
    bool tls_verify;
    char *tls_ca; /* NULL: the system's */
    unsigned tls_ca_line;

    /* mqtt, mqtts: rules, each of which may say nothing */
    size_t mqtt_packet_max; /* 0: no bound */
    char **mqtt_publish;    /* topic filters; empty: all topics; CONF_MQTT_NONE alone: no topic */
    char **mqtt_subscribe;
    char *mqtt_client_id_prefix; /* "": none */
    char *mqtt_username;         /* "": the client's own */
    char *mqtt_password_file;
    unsigned mqtt_password_file_line;
    char *mqtt_password; /* what stands in the file; NULL: none */
    double mqtt_connect_timeout;
    unsigned mqtt_versions; /* one bit each of enum conf_mqtt_version, never 0 */

    size_t bus;       /* topics: of conf->buses */
    char **subscribe; /* topic filters; NULL-terminated, perhaps empty */
    char **publish;
    enum conf_payload payload;
    bool retain;
    unsigned queue_messages; /* for one subscriber */
    size_t queue_bytes;
    enum conf_overflow overflow;
};

enum conf_bus_kind {
    CONF_BUS_MEMORY, /* memory: */
    CONF_BUS_MQTT,   /* mqtt://HOST[:PORT] */
    CONF_BUS_MQTTS,
};

/* [bus] and [bus NAME]: what topic routes share. */
struct conf_bus {
    char *name;    /* "" for [bus] */
    unsigned line; /* 0: there is no such section, all of it is default */
    char *url;     /* as configured */
    enum conf_bus_kind kind;
    char *host; /* mqtt, mqtts */
    uint16_t port;

    unsigned history_messages; /* all topics together; each worker refers to so many */
    size_t history_bytes;
    unsigned retained_max; /* topics */
    size_t retained_bytes;

    /* mqtt, mqtts */
    char *client_id; /* "": made up at each start */
    char *username;  /* "": none */
    char *password_file;
    unsigned password_file_line;
    char *password; /* what stands in the file; NULL: none */
    enum conf_mqtt_version mqtt_version;
    unsigned qos;
    double keep_alive;
    double connect_timeout;
    double publish_timeout; /* from a client's publication to the broker's acknowledgement */
    unsigned publish_max;   /* publications that wait for it */
    bool clean_start;
    double session_expiry;
    char *will_topic; /* "": no will */
    char *will_payload;
    unsigned will_qos;
    bool will_retain;
    bool tls_verify;
    char *tls_ca; /* NULL: the system's */
    unsigned tls_ca_line;
    char *tls_certificate; /* ours, with its key; NULL: none */
    unsigned tls_certificate_line;
    char *tls_private_key;
    unsigned tls_private_key_line;
};

struct conf {
    char *file; /* where it came from, for messages */

    struct conf_listen *listens;
    size_t n_listens;
    unsigned workers;         /* never 0: auto is resolved */
    mode_t socket_mode;       /* of unix sockets */
    struct conf_listen admin; /* text is NULL: off; line is 0: the default */
    double drain_timeout;
    unsigned max_connections; /* clients joined to targets at a time, all routes together */
    unsigned half_open_max;   /* clients that have not asked for anything yet */
    char *trusted_proxies;    /* networks as configured; perhaps empty */
    unsigned trusted_proxies_line;
    double header_timeout;
    size_t header_max;

    enum log_level log_level;
    enum conf_log_format log_format;
    char *log_file; /* absolute; NULL: standard error */
    unsigned log_file_line;
    bool log_access;

    struct conf_tls *tls; /* the first is the default one, if any */
    size_t n_tls;

    struct conf_route *routes; /* in the order of the file */
    size_t n_routes;

    struct conf_bus *buses; /* that of [bus] is always there */
    size_t n_buses;

    unsigned references; /* atomic; private to conf.c */
};

/* ---- mistakes ---- */

struct conf_key;

struct conf_mistake {
    unsigned line; /* 0: the file as a whole */
    char *text;    /* "[server] workers: expected a number from 1 to 256 or auto, got \"x\"" */
};

struct conf_report {
    char *file;
    struct conf_mistake *mistakes; /* in the order of lines */
    size_t n_mistakes;
};

void conf_report_init(struct conf_report *report, const char *file);
void conf_report_add(struct conf_report *report, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One line each: "FILE:LINE: TEXT". */
void conf_report_print(const struct conf_report *report, FILE *out);
void conf_report_deinit(struct conf_report *report);

/* ---- snapshots ---- */

/* Reads a file; "-" is standard input. Relative paths in it are relative to its directory. */
struct conf *conf_load(const char *path, struct conf_report *report)
    __attribute__((warn_unused_result));

/* The same from memory; name stands in messages, directory (may be NULL: the current one) begins
 * relative paths. */
struct conf *conf_parse(const char *text, size_t len, const char *name, const char *directory,
                        struct conf_report *report) __attribute__((warn_unused_result));

/*
 * The command line's short form: one route for every path. target is what `target =` takes, or
 * HOST:PORT. web may be NULL.
 */
struct conf *conf_from_arguments(const char *listen, const char *target, const char *web,
                                 struct conf_report *report) __attribute__((warn_unused_result));

/* Writes the effective configuration with every default, in a form that conf_load() accepts with
 * the same result. */
void conf_dump(const struct conf *conf, FILE *out);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf);

/*
 * The route for a host (without port, any case; NULL if unknown) and a decoded path: routes bound
 * to the host before those bound to none; exact before prefix; the longest prefix. NULL: none.
 */
const struct conf_route *conf_find_route(const struct conf *conf, const char *host,
                                         const char *path);

/* The keys that a reload cannot change, and whose values differ: the one after `after` (NULL: the
 * first). NULL: no more. */
const struct conf_key *conf_next_fixed(const struct conf *old, const struct conf *conf,
                                       const struct conf_key *after);

enum conf_use conf_route_use(const struct conf_route *route);

/* How long a connection of any of its routes may take to end. */
double conf_longest_close_timeout(const struct conf *conf);

/* ---- the table of keys, for documentation and tests ---- */

enum conf_type {
    CONF_BOOL,
    CONF_NUMBER,
    CONF_SIZE,
    CONF_DURATION,
    CONF_ENUM,
    CONF_SET, /* some of a list of words: an unsigned, a bit for each */
    CONF_TEXT,
    CONF_LIST,
    CONF_ORIGINS,
    CONF_FILTERS,
    CONF_PATH,
    CONF_LISTEN,
    CONF_ADMIN, /* one address without flags, or off */
    CONF_NETWORKS,
    CONF_TARGET,
    CONF_BUS,
    CONF_MODE,
};

/* Kinds of routes. */
enum conf_use {
    CONF_USE_FILES = 1,
    CONF_USE_STREAM = 2,
    CONF_USE_TOPICS = 4,
    CONF_USE_MQTT = 8, /* a stream, of MQTT's packets */
};

struct conf_key {
    const char *section; /* "server", "log", "tls", "bus", "route" (which [defaults] takes too) */
    const char *name;
    enum conf_type type;
    const char *standard; /* default, as it would be written; NULL: must be given */
    double min, max;      /* of numbers, sizes, durations (seconds), modes */
    const char *values;   /* of enums and sets their words: "none optional required"; of numbers and
                             durations one that is taken besides the range: "auto", "0"; of paths
                             what they name: "file", "directory", "output"; else NULL */
    bool reloadable;      /* takes effect on reload */
    unsigned uses;        /* of routes: of enum conf_use, those it says something to; 0: all */
    const char *meaning;  /* one line */
    size_t offset;        /* in its struct */
    size_t line_offset;   /* of the field that takes the line, in the same struct; 0: none */
};

/* NULL-terminated (by name). */
const struct conf_key *conf_keys(void);

#endif
