/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/bus_mqtt_options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "conf/conf.h"

enum {
    HOST_PART = 40, /* bytes of a host's name in a client id */
    ID_BYTES = 4,
};

/* culvert-HOSTNAME-8random. */
static char *
make_client_id(void)
{
    uint8_t random[ID_BYTES];
    char host[256], *id;
    ssize_t n;

    do {
        n = getrandom(random, sizeof random, 0);
    } while (n < 0 && errno == EINTR);
    if (n != sizeof random)
        return NULL;
    if (gethostname(host, sizeof host) != 0)
        strcpy(host, "host");
    host[HOST_PART] = '\0';
    /* What every broker takes. */
    for (char *at = host; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at))
            *at = '-';
    if (asprintf(&id, "culvert-%s-%02x%02x%02x%02x", host, random[0], random[1], random[2],
                 random[3]) < 0)
        return NULL;
    return id;
}

static char *
make_uri(const struct conf_bus *conf)
{
    bool v6 = strchr(conf->host, ':') != NULL && conf->host[0] != '[';
    char *uri;

    if (asprintf(&uri, "%s://%s%s%s:%u", conf->kind == CONF_BUS_MQTTS ? "ssl" : "tcp",
                 v6 ? "[" : "", conf->host, v6 ? "]" : "", conf->port) < 0)
        return NULL;
    return uri;
}

/* Copies a text unless it is NULL or empty. Returns -1 without memory. */
static int
copy(char **out, const char *text)
{
    if (text == NULL || *text == '\0')
        return 0;
    *out = strdup(text);
    return *out != NULL ? 0 : -1;
}

static int
copy_texts(struct bus_mqtt_options *options, const struct conf_bus *conf)
{
    options->uri = make_uri(conf);
    options->made_up = conf->client_id == NULL || *conf->client_id == '\0';
    options->client_id = options->made_up ? make_client_id() : strdup(conf->client_id);
    if (options->uri == NULL || options->client_id == NULL)
        return -1;
    /* An empty password, and an empty will, are something else than none. */
    if (conf->password != NULL && (options->password = strdup(conf->password)) == NULL)
        return -1;
    options->will_payload = strdup(conf->will_payload != NULL ? conf->will_payload : "");
    if (options->will_payload == NULL)
        return -1;
    return copy(&options->url, conf->url) != 0 || copy(&options->username, conf->username) != 0 ||
                   copy(&options->will_topic, conf->will_topic) != 0 ||
                   copy(&options->tls_ca, conf->tls_ca) != 0 ||
                   copy(&options->tls_certificate, conf->tls_certificate) != 0 ||
                   copy(&options->tls_private_key, conf->tls_private_key) != 0
               ? -1
               : 0;
}

/* Paho counts in whole seconds. */
static int
seconds(double time, int most)
{
    return (int)fmin(ceil(time), most);
}

struct bus_mqtt_options *
bus_mqtt_options_new(const struct conf_bus *conf)
{
    struct bus_mqtt_options *options = calloc(1, sizeof *options);

    if (options == NULL)
        return NULL;
    options->port = conf->port;
    options->will_qos = conf->will_qos;
    options->will_retain = conf->will_retain;
    options->tls = conf->kind == CONF_BUS_MQTTS;
    options->tls_verify = conf->tls_verify;
    options->v5 = conf->mqtt_version == CONF_MQTT_5;
    options->qos = conf->qos;
    options->clean_start = conf->clean_start;
    options->session_expiry = (uint32_t)fmin(ceil(conf->session_expiry), UINT32_MAX);
    options->keep_alive = seconds(conf->keep_alive, UINT16_MAX);
    options->connect_timeout = seconds(conf->connect_timeout, 3600);
    options->publish_timeout = conf->publish_timeout;
    options->publish_max = conf->publish_max;
    if (copy_texts(options, conf) == 0)
        return options;
    bus_mqtt_options_free(options);
    return NULL;
}

void
bus_mqtt_options_free(struct bus_mqtt_options *options)
{
    if (options == NULL)
        return;
    free(options->url);
    free(options->uri);
    free(options->client_id);
    free(options->username);
    if (options->password != NULL)
        explicit_bzero(options->password, strlen(options->password));
    free(options->password);
    free(options->will_topic);
    free(options->will_payload);
    free(options->tls_ca);
    free(options->tls_certificate);
    free(options->tls_private_key);
    free(options);
}

/* ---- for Paho ---- */

static void
fill_tls(struct bus_mqtt_connect *connect, const struct bus_mqtt_options *options)
{
    MQTTAsync_SSLOptions *tls = &connect->tls;

    *tls = (MQTTAsync_SSLOptions)MQTTAsync_SSLOptions_initializer;
    tls->trustStore = options->tls_ca; /* NULL: the system's */
    tls->keyStore = options->tls_certificate;
    tls->privateKey = options->tls_private_key;
    tls->enableServerCertAuth = options->tls_verify;
    tls->verify = options->tls_verify; /* its name */
    connect->options.ssl = tls;
}

static void
fill_will(struct bus_mqtt_connect *connect, const struct bus_mqtt_options *options)
{
    MQTTAsync_willOptions *will = &connect->will;

    *will = (MQTTAsync_willOptions)MQTTAsync_willOptions_initializer;
    will->topicName = options->will_topic;
    will->payload.data = options->will_payload;
    will->payload.len = (int)strlen(options->will_payload);
    will->qos = (int)options->will_qos;
    will->retained = options->will_retain;
    connect->options.will = will;
}

void
bus_mqtt_connect_init(struct bus_mqtt_connect *connect, const struct bus_mqtt_options *options,
                      bool clean)
{
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                           .value.integer4 = options->session_expiry};
    MQTTAsync_connectOptions *to = &connect->options;

    if (options->v5) {
        *to = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer5;
        to->cleanstart = clean;
    } else {
        *to = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer;
        to->MQTTVersion = MQTTVERSION_3_1_1;
        to->cleansession = clean || options->clean_start;
    }
    connect->properties = (MQTTProperties)MQTTProperties_initializer;
    if (options->v5 && MQTTProperties_add(&connect->properties, &expiry) == 0)
        to->connectProperties = &connect->properties;
    to->keepAliveInterval = options->keep_alive;
    to->connectTimeout = options->connect_timeout;
    to->username = options->username;
    to->password = options->password;
    if (options->tls)
        fill_tls(connect, options);
    if (options->will_topic != NULL)
        fill_will(connect, options);
}

void
bus_mqtt_connect_deinit(struct bus_mqtt_connect *connect)
{
    MQTTProperties_free(&connect->properties);
}
