/* SPDX-License-Identifier: BSD-2-Clause */
#include "admin/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "admin/usage.h"

#define DEFAULT_FILE CULVERT_SYSCONFDIR "/culvert.ini"

/* Returns -1 to go on, or an exit status. */
static int
parse_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c':
        arguments->file = optarg;
        return -1;
    case 'C':
        arguments->check = true;
        return -1;
    case 'd':
        arguments->dump = true;
        return -1;
    case 'w':
        arguments->web = optarg;
        return -1;
    case 'V':
        usage_version(stdout);
        return STATUS_DONE;
    case 'h':
        usage_help(stdout);
        return STATUS_DONE;
    default: /* getopt has said what is wrong */
        fputs("Try 'culvert --help'.\n", stderr);
        return STATUS_USAGE;
    }
}

static int
bad_usage(const char *what)
{
    fprintf(stderr, "culvert: %s\nTry 'culvert --help'.\n", what);
    return STATUS_USAGE;
}

int
arguments_parse(struct arguments *arguments, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'C'},
        {"dump", no_argument, NULL, 'd'},
        {"web", required_argument, NULL, 'w'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = parse_option(arguments, option);

        if (status >= 0)
            return status;
    }
    if (optind == argc) {
        if (arguments->web != NULL)
            return bad_usage("--web DIR is followed by LISTEN TARGET");
        if (arguments->file == NULL)
            arguments->file = DEFAULT_FILE;
        return -1;
    }
    if (optind + 2 != argc)
        return bad_usage("expected LISTEN TARGET, or -c FILE alone");
    if (arguments->file != NULL)
        return bad_usage("-c FILE and LISTEN TARGET exclude each other");
    arguments->listen = argv[optind];
    arguments->target = argv[optind + 1];
    return -1;
}
