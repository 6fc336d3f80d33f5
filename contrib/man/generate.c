/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * generate -- writes what is documented about the configuration's keys out of the table in
 * src/conf/keys.c. After a change of the table, or of culvert.ini.5.in:
 *
 *     cc -D_GNU_SOURCE -Iinclude -o build/generate contrib/man/generate.c src/conf/[a-z]*.c \
 *         src/base/map.c src/base/siphash.c src/base/topic_*.c -linih -lm
 *     build/generate ini > conf/culvert.ini
 *     build/generate man < contrib/man/culvert.ini.5.in > contrib/man/culvert.ini.5
 *
 * Both results are committed, so that neither building nor installing needs this; a test
 * (tests/integration/test_config_documents.py) makes them again and compares.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"

/* ---- conf/culvert.ini ---- */

/* Where comments begin. */
#define COLUMN 36

enum which {
    ALL,
    WITH_DEFAULT,
    WITHOUT_DEFAULT,
};

struct part {
    const char *section;
    const char *kind; /* of the table */
    enum which which;
    const char *comment; /* put before each line of what needs files, which are not there yet */
    const char *about;
};

static const struct part parts[] = {
    {"server", "server", ALL, "", ""},
    {"log", "log", ALL, "", ""},
    {"tls", "tls", ALL, ";",
     "; The certificate for addresses with tls; [tls HOST] adds the one of a host, *.HOST too.\n"},
    {"bus", "bus", ALL, "",
     "; What topic routes share; [bus NAME] adds one, which a route is on with topics:NAME.\n"},
    {"defaults", "route", WITH_DEFAULT, "", "; For routes that do not say otherwise.\n"},
    {"route /", "route", WITHOUT_DEFAULT, "",
     "; [route /PATH] or [route HOST/PATH]: '/x' is that path alone, '/x/' is all below it; the\n"
     "; longest wins. A route takes any key of [defaults] too. Targets: tcp://HOST:PORT,\n"
     "; tls://HOST:PORT, unix:PATH, mqtt://HOST, mqtts://HOST, mqtt+unix:PATH, map:FILE, echo:,\n"
     "; topics:, topics:BUS and files:DIR.\n"},
};

static bool
belongs(const struct conf_key *key, const struct part *part)
{
    if (strcmp(key->section, part->kind) != 0)
        return false;
    return part->which == ALL || (part->which == WITH_DEFAULT) == (key->standard != NULL);
}

/* For keys without a default. */
static const char *
example(const struct conf_key *key)
{
    static const char *const examples[][2] = {
        {"listen", "127.0.0.1:8080"},
        {"certificate", "/etc/culvert/tls.crt"},
        {"private_key", "/etc/culvert/tls.key"},
        {"target", "tcp://127.0.0.1:5900"},
    };

    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        if (strcmp(examples[i][0], key->name) == 0)
            return examples[i][1];
    }
    fprintf(stderr, "generate: %s has neither a default nor an example\n", key->name);
    exit(1);
}

static void
write_part(const struct part *part)
{
    printf("\n%s%s[%s]\n", part->about, part->comment, part->section);
    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        const char *value;
        int width;

        if (!belongs(key, part))
            continue;
        value = key->standard == NULL ? example(key) : key->standard;
        width = (int)(strlen(part->comment) + strlen(key->name) + strlen(" = ") + strlen(value));
        printf("%s%s = %s%*s ; %s\n", part->comment, key->name, value,
               width < COLUMN ? COLUMN - width : 0, "", key->meaning);
    }
}

static int
write_ini(void)
{
    fputs(
        "; culvert.ini: every key with its default, or with an example where there is none.\n"
        "; What each means and takes: culvert.ini(5). What is wrong with a file, with all lines:\n"
        "; culvert --check -c FILE. Three lines are enough to begin with: see minimal.ini.\n"
        ";\n"
        "; A comment is a line that begins with ; or #, or what stands behind ' ;'.\n"
        "; ${NAME} and ${NAME:-default} take environment variables; $$ is a dollar, \\; a "
        "semicolon.\n",
        stdout);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        write_part(&parts[i]);
    return 0;
}

/* ---- culvert.ini.5 ---- */

/* What a page calls the value. */
static const char *
placeholder(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_BOOL:
        return ".Cm yes | no";
    case CONF_NUMBER:
        return ".Ar number";
    case CONF_SIZE:
        return ".Ar size";
    case CONF_DURATION:
        return ".Ar duration";
    case CONF_ENUM:
        return ".Ar word";
    case CONF_SET:
        return ".Ar word , ...";
    case CONF_TEXT:
        return ".Ar text";
    case CONF_LIST:
        return ".Ar name , ...";
    case CONF_FILTERS:
        return ".Ar filter , ...";
    case CONF_BUS:
        return ".Ar bus";
    case CONF_ORIGINS:
        return ".Cm same | any | Ar origin , ...";
    case CONF_PATH:
        if (strcmp(key->values, "output") == 0)
            return ".Cm - | Ar file";
        return strcmp(key->values, "directory") == 0 ? ".Ar directory" : ".Ar file";
    case CONF_LISTEN:
        return ".Ar address Op Cm tls | proxy";
    case CONF_ADMIN:
        return ".Cm off | Ar address";
    case CONF_NETWORKS:
        return ".Ar network , ...";
    case CONF_TARGET:
        return ".Ar target";
    case CONF_MODE:
        return ".Ar mode";
    }
    return "";
}

static void
write_range(const struct conf_key *key)
{
    char expected[CONF_VALUE_EXPECTED];

    /* Forms that the prose around the list explains. */
    if (key->type == CONF_LISTEN || key->type == CONF_TARGET || key->type == CONF_PATH)
        return;
    conf_value_expected(key, expected);
    printf("It takes %s.\n", expected);
}

static void
write_uses(unsigned uses)
{
    if (uses == CONF_USE_TOPICS)
        puts("Only with a target\n.Li topics: .");
    else if (uses == CONF_USE_MQTT)
        puts("Only with a target\n.Li mqtt://\nor\n.Li mqtts:// .");
    else if (uses == CONF_USE_STREAM)
        puts("Not with a target\n.Li files: ,\n.Li topics: ,\n.Li mqtt://\nor\n.Li mqtts:// .");
    else if (uses != 0 && (uses & CONF_USE_TOPICS) == 0)
        puts("Not with a target\n.Li files:\nor\n.Li topics: .");
    else if (uses != 0)
        puts("Not with a target\n.Li files: .");
}

static void
write_key(const struct conf_key *key)
{
    printf(".It Ic %s Li = %s\n", key->name, placeholder(key) + 1);
    printf("%c%s.\n", toupper((unsigned char)key->meaning[0]), key->meaning + 1);
    write_range(key);
    write_uses(key->uses);
    if (!key->reloadable)
        puts("A change takes effect at the next start.");
    if (key->standard == NULL)
        puts("There is no default.");
    else if (*key->standard == '\0')
        puts("The default is empty.");
    else
        printf("The default is\n.Li %s .\n", key->standard);
}

static bool
write_list(const char *section)
{
    bool found = false;

    for (const struct conf_key *key = conf_keys(); key->name != NULL; key++) {
        if (strcmp(key->section, section) != 0)
            continue;
        if (!found)
            puts(".Bl -tag -width Ds");
        found = true;
        write_key(key);
    }
    if (found)
        puts(".El");
    return found;
}

/* A line "@server@" stands for the list of that section's keys. */
static int
write_man(void)
{
    char line[1024];
    char section[32];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "@%31[a-z]@", section) != 1) {
            fputs(line, stdout);
        } else if (!write_list(section)) {
            fprintf(stderr, "generate: no keys of section %s\n", section);
            return 1;
        }
    }
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "ini") == 0)
        return write_ini();
    if (argc == 2 && strcmp(argv[1], "man") == 0)
        return write_man();
    fputs("usage: generate ini | generate man\n", stderr);
    return 2;
}
