/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage -- what --help and --version print.
 */
#ifndef CULVERT_ADMIN_USAGE_H
#define CULVERT_ADMIN_USAGE_H

#include <stdio.h>

void usage_help(FILE *out);

/* With the versions of the libraries that are linked now, which need not be those that it was built
 * with. */
void usage_version(FILE *out);

#endif
