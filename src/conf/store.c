/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/store.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

#include "conf/address.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "conf/names.h"
#include "conf/path.h"
#include "conf/value.h"

/* Fields of enums are written and read as this. */
static_assert(sizeof(enum log_level) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_client_verify) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_tls_version) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_messages) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_framing) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_log_format) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_payload) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_overflow) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_mqtt_version) == sizeof(unsigned), "enums are ints");
static_assert(sizeof(enum conf_send_proxy) == sizeof(unsigned), "enums are ints");

/* ---- storing ---- */

/* What this process may use, which in a container is less than what the machine has. */
static unsigned
count_cpus(unsigned max)
{
    cpu_set_t set;
    unsigned n = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1)
        n = (unsigned)CPU_COUNT(&set);
    return n > max ? max : n;
}

static bool
store_number(const struct conf_key *key, const char *value, void *field)
{
    unsigned number;

    if (!conf_value_number(key, value, &number))
        return false;
    if (key->values != NULL && strcmp(key->values, value) == 0)
        number = count_cpus((unsigned)key->max);
    *(unsigned *)field = number;
    return true;
}

static bool
store_enum(const struct conf_key *key, const char *value, void *field)
{
    unsigned number;

    if (!conf_value_enum(key, value, &number))
        return false;
    memcpy(field, &number, sizeof(number));
    return true;
}

/* What is wrong with any of these can be said by what is expected. */
static void
store_simple(struct conf_context *context, const struct conf_place *place,
             const struct conf_key *key, const char *value, void *field)
{
    char expected[CONF_VALUE_EXPECTED];
    bool sound = false;

    if (key->type == CONF_BOOL)
        sound = conf_value_bool(value, field);
    else if (key->type == CONF_NUMBER)
        sound = store_number(key, value, field);
    else if (key->type == CONF_SIZE)
        sound = conf_value_size(key, value, field);
    else if (key->type == CONF_DURATION)
        sound = conf_value_duration(key, value, field);
    else if (key->type == CONF_ENUM)
        sound = store_enum(key, value, field);
    else if (key->type == CONF_SET)
        sound = conf_value_set(key, value, field);
    else if (key->type == CONF_MODE)
        sound = conf_value_mode(key, value, field);
    if (sound)
        return;
    conf_value_expected(key, expected);
    conf_mistake_got(context, place, expected, value);
}

/* For what is wrong with the value in itself, and is found later by others. */
static void
store_line(const struct conf_place *place, const struct conf_key *key, void *object)
{
    if (key->line_offset != 0)
        *(unsigned *)((char *)object + key->line_offset) = place->line;
}

static void
store_path(struct conf_context *context, const struct conf_place *place, const struct conf_key *key,
           const char *value, void *object)
{
    char **field = (char **)((char *)object + key->offset);
    bool directory = strcmp(key->values, "directory") == 0;

    *field = NULL;
    if (strcmp(key->values, "output") == 0) {
        if (strcmp(value, "-") != 0)
            *field = conf_path_output(context, place, value);
        store_line(place, key, object);
        return;
    }
    if (*value == '\0') {
        if (key->standard == NULL)
            conf_mistake_got(context, place, directory ? "a directory" : "a file", value);
        return;
    }
    *field = conf_path_existing(context, place, value, directory);
    store_line(place, key, object);
}

static void
store_names(struct conf_context *context, const struct conf_place *place,
            const struct conf_key *key, const char *value, void *object)
{
    char ***field = (char ***)((char *)object + key->offset);
    char **names;

    if (key->type == CONF_ORIGINS)
        names = conf_names_read_origins(context, place, value);
    else if (key->type == CONF_FILTERS)
        names = conf_names_read_filters(context, place, value);
    else
        names = conf_names_read(context, place, value);

    if (names == NULL)
        return;
    *field = names;
    store_line(place, key, object);
}

static void
store_listen(struct conf_context *context, const struct conf_place *place,
             const struct conf_key *key, const char *value, struct conf *conf)
{
    struct conf_listen listen;

    if (!conf_address_listen(context, place, key, value, &listen))
        return;
    for (size_t i = 0; i < conf->n_listens; i++) {
        if (!conf_address_same(&conf->listens[i], &listen))
            continue;
        conf_mistake(context, place, "the same address as in line %u", conf->listens[i].line);
        return;
    }
    if (conf->n_listens == CONF_LISTENS_MAX) {
        conf_mistake(context, place, "at most %d are taken", CONF_LISTENS_MAX);
        return;
    }
    conf->listens[conf->n_listens++] = listen;
}

void
conf_store(struct conf_context *context, const struct conf_place *place, const struct conf_key *key,
           const char *value, void *object)
{
    void *field = (char *)object + key->offset;

    switch (key->type) {
    case CONF_BOOL:
    case CONF_NUMBER:
    case CONF_SIZE:
    case CONF_DURATION:
    case CONF_ENUM:
    case CONF_SET:
    case CONF_MODE:
        store_simple(context, place, key, value, field);
        return;
    case CONF_TEXT:
        *(char **)field = conf_pool_copy(context->pool, value, strlen(value));
        return;
    case CONF_LIST:
    case CONF_ORIGINS:
    case CONF_FILTERS:
        store_names(context, place, key, value, object);
        return;
    case CONF_PATH:
        store_path(context, place, key, value, object);
        return;
    case CONF_LISTEN:
        store_listen(context, place, key, value, object);
        return;
    case CONF_ADMIN:
        if (!conf_address_admin(context, place, key, value, field))
            context->failed = true;
        return;
    case CONF_NETWORKS:
        *(char **)field = conf_pool_copy(context->pool, value, strlen(value));
        store_line(place, key, object);
        return;
    case CONF_BUS:
        if (!conf_address_bus(context, place, key, value, object))
            context->failed = true;
        return;
    case CONF_TARGET:
        if (!conf_address_target(context, place, key, value, field))
            context->failed = true;
        store_line(place, key, object);
        return;
    }
}

/* ---- printing ---- */

/* The absolute path: what is printed may be kept in another directory. */
static void
print_address(const struct conf_listen *listen, FILE *out)
{
    if (listen->path != NULL)
        fputs("unix:", out);
    conf_expand_escape(listen->path == NULL ? listen->text : listen->path, out);
}

static void
print_listens(const struct conf_key *key, const struct conf *conf, FILE *out)
{
    for (size_t i = 0; i < conf->n_listens; i++) {
        const struct conf_listen *listen = &conf->listens[i];
        fprintf(out, "%s = ", key->name);
        print_address(listen, out);
        fprintf(out, "%s%s\n", listen->tls ? " tls" : "", listen->proxy ? " proxy" : "");
    }
}

static void
print_admin(const struct conf_listen *admin, FILE *out)
{
    if (admin->text == NULL)
        fputs("off", out);
    else
        print_address(admin, out);
}

static void
print_target(const struct conf_target *target, FILE *out)
{
    if (target->kind == CONF_TARGET_UNIX)
        fputs("unix:", out);
    if (target->kind == CONF_TARGET_MQTT && target->path != NULL)
        fputs("mqtt+unix:", out);
    if (target->kind == CONF_TARGET_FILES)
        fputs("files:", out);
    if (target->kind == CONF_TARGET_MAP)
        fputs("map:", out);
    conf_expand_escape(target->path == NULL ? target->text : target->path, out);
}

static void
print_names(const struct conf_key *key, char *const *names, FILE *out)
{
    /* Without blanks, so that what came in within the bound of a value goes out within it. */
    for (size_t i = 0; names[i] != NULL; i++) {
        if (i > 0)
            fputc(',', out);
        if (key->type == CONF_FILTERS)
            conf_expand_escape_filter(names[i], out);
        else
            conf_expand_escape(names[i], out);
    }
}

static void
print_simple(const struct conf_key *key, const void *field, FILE *out)
{
    char text[CONF_VALUE_EXPECTED] = "";

    if (key->type == CONF_BOOL)
        snprintf(text, sizeof(text), "%s", *(const bool *)field ? "yes" : "no");
    else if (key->type == CONF_NUMBER)
        snprintf(text, sizeof(text), "%u", *(const unsigned *)field);
    else if (key->type == CONF_SIZE)
        conf_value_size_text(*(const size_t *)field, text);
    else if (key->type == CONF_DURATION)
        conf_value_duration_text(*(const double *)field, text);
    else if (key->type == CONF_ENUM)
        conf_value_enum_text(key, *(const unsigned *)field, text);
    else if (key->type == CONF_SET)
        conf_value_set_text(key, *(const unsigned *)field, text);
    else if (key->type == CONF_MODE)
        snprintf(text, sizeof(text), "%04o", (unsigned)*(const mode_t *)field);
    fputs(text, out);
}

static bool
is_list(const struct conf_key *key)
{
    return key->type == CONF_LIST || key->type == CONF_ORIGINS || key->type == CONF_FILTERS;
}

static bool
is_text(const struct conf_key *key)
{
    return key->type == CONF_PATH || key->type == CONF_TEXT || key->type == CONF_NETWORKS ||
           key->type == CONF_BUS;
}

static const char *
text_of(const struct conf_key *key, const void *field)
{
    const char *text = *(const char *const *)field;

    if (text != NULL)
        return text;
    return key->type == CONF_PATH && strcmp(key->values, "output") == 0 ? "-" : "";
}

static void
print_value(const struct conf_key *key, const void *field, FILE *out)
{
    if (key->type == CONF_TARGET) {
        print_target(field, out);
    } else if (key->type == CONF_ADMIN) {
        print_admin(field, out);
    } else if (is_list(key)) {
        print_names(key, *(char *const *const *)field, out);
    } else if (is_text(key)) {
        conf_expand_escape(text_of(key, field), out);
    } else {
        print_simple(key, field, out);
    }
}

/* Only so that no blank is left at the end of a line. */
static bool
is_empty(const struct conf_key *key, const void *field)
{
    if (is_list(key))
        return **(char *const *const *)field == NULL;
    return is_text(key) && *text_of(key, field) == '\0';
}

void
conf_store_print(const struct conf_key *key, const void *object, FILE *out)
{
    const void *field = (const char *)object + key->offset;

    if (key->type == CONF_LISTEN) {
        print_listens(key, object, out);
        return;
    }
    fprintf(out, "%s =%s", key->name, is_empty(key, field) ? "" : " ");
    print_value(key, field, out);
    fputc('\n', out);
}
