/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_mqtt_options -- what is said to a broker at each connect, from the configuration.
 *
 * Thread:    made on main, then the bus's.
 * Lifetime:  of its bus: the configuration may be replaced meanwhile.
 */
#ifndef CULVERT_TOPIC_BUS_MQTT_OPTIONS_H
#define CULVERT_TOPIC_BUS_MQTT_OPTIONS_H

#include <MQTTAsync.h>
#include <stdbool.h>
#include <stdint.h>

struct conf_bus;

struct bus_mqtt_options {
    char *url; /* for the log */
    char *uri; /* as Paho has it */
    unsigned port;
    char *client_id;
    bool made_up; /* the client id: nobody comes back to its session after us */
    char *username, *password;
    char *will_topic, *will_payload;
    unsigned will_qos;
    bool will_retain;
    bool tls, tls_verify;
    char *tls_ca, *tls_certificate, *tls_private_key;
    bool v5;
    unsigned qos;
    bool clean_start;
    uint32_t session_expiry; /* seconds */
    int keep_alive, connect_timeout;
    double publish_timeout;
    unsigned publish_max;
};

/* Returns NULL without memory or random bytes. */
struct bus_mqtt_options *bus_mqtt_options_new(const struct conf_bus *conf)
    __attribute__((warn_unused_result));
void bus_mqtt_options_free(struct bus_mqtt_options *options);

/* Options for MQTTAsync_connect(), with what they point to. */
struct bus_mqtt_connect {
    MQTTAsync_connectOptions options;
    MQTTAsync_willOptions will;
    MQTTAsync_SSLOptions tls;
    MQTTProperties properties;
};

/* clean: the session that the broker keeps is not to go on. Callbacks are the caller's to fill in. */
void bus_mqtt_connect_init(struct bus_mqtt_connect *connect, const struct bus_mqtt_options *options,
                           bool clean);
void bus_mqtt_connect_deinit(struct bus_mqtt_connect *connect);

#endif
