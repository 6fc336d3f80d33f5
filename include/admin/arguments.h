/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arguments -- the command line, and what the process tells by its exit status.
 *
 * Thread:    main's, before anything else.
 * Ownership: texts are argv's.
 */
#ifndef CULVERT_ADMIN_ARGUMENTS_H
#define CULVERT_ADMIN_ARGUMENTS_H

#include <stdbool.h>

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* at run time */
    STATUS_USAGE = 2,
    STATUS_CONFIGURATION = 78, /* EX_CONFIG of sysexits.h */
};

struct arguments {
    const char *file;   /* NULL with the short form */
    const char *web;    /* NULL: none */
    const char *listen; /* the short form; NULL: a file */
    const char *target;
    bool check;
    bool dump;
};

/* arguments is all zero at first. Does what --help and --version ask for, and says what is wrong.
 * Returns -1 to go on, or an exit status. */
int arguments_parse(struct arguments *arguments, int argc, char **argv);

#endif
